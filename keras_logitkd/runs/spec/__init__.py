"""What a run is: recipes and settings."""
