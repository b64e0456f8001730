"""Other processes of this machine, signals, and the end of whoever started this one."""
