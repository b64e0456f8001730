"""The `logitkd` command: parses, calls the library, prints."""
