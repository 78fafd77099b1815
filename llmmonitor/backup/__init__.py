"""Backup and restore of the whole store, on SQLite and PostgreSQL, also from one to the other."""
