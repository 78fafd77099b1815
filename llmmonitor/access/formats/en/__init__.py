"""English, the only language of the project."""
