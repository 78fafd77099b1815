"""One commit: events become rows and rollups."""
