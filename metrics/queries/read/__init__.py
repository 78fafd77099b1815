"""Reading rows and rollups from the tables."""
