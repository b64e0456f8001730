"""Training runs: recipes, models ready for raw pixels, run directories, and the runs themselves."""
