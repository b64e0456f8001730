"""The experiments of the paper: tables and figures as lists of runs, and what they show."""
