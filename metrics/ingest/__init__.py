"""Ingest: reads a posted body, validates its items, records them in a group commit, and builds the response."""
