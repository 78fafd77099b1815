"""Windows, steps and resolutions."""
