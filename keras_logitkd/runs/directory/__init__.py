"""Where a run is on disk."""
