"""Views of images: operations, each a pure function of (view seed, view, index) and its fields."""
