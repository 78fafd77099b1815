"""The size of the database."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from django.db import connection

SQLITE_FILES = ("", "-wal", "-shm")  # of one database


def database_bytes() -> int:
    """Return the size of the database on the disk, with indexes, free pages and, on SQLite, its write-ahead log."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    path, size = Path(connection.settings_dict["NAME"]), 0
    for suffix in SQLITE_FILES:
        with suppress(OSError):  # the log exists only while the database is open
            size += Path(f"{path}{suffix}").stat().st_size
    return size
