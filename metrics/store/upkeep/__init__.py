"""Deletes rows: retention, removal on request and the disk limit."""
