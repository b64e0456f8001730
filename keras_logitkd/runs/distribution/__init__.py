"""One device, several, or several machines."""
