"""Training runs: what is trained how, on what, where, and all that one leaves behind."""
