"""The size of the database, and the space into which it can grow."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import connection

WRITE_AHEAD_LOG = "-wal"
SQLITE_FILES = ("", WRITE_AHEAD_LOG, "-shm")  # of one database


@dataclass(frozen=True)
class DatabaseSize:
    """In bytes. On PostgreSQL, `total` and `used` are the same, and all others are None.

    total: on the disk, with indexes, free pages and, on SQLite, the write-ahead log.
    used: without free pages and without the log.
    free: pages of SQLite's file without content; new rows use them before the file grows.
    disk_free: of the disk that holds SQLite's file; None where it cannot be read.
    """

    total: int
    used: int
    free: int | None = None
    free_pages: int | None = None
    write_ahead_log: int | None = None
    disk_free: int | None = None

    def room(self, max_disk: int, disk_floor: int) -> int:
        """Return how much `used` can grow until it reaches LLMMONITOR_MAX_DISK, or the disk its floor. At least 0."""
        rooms = [max_disk - self.used]
        if self.disk_free is not None:
            rooms.append(self.disk_free - disk_floor + (self.free or 0))
        return max(0, min(rooms))


def database_size() -> DatabaseSize:
    """Return the sizes now."""
    total, used = database_bytes(), used_bytes()
    if connection.vendor == "postgresql":
        return DatabaseSize(total, used)
    free_pages = sqlite_pragma("freelist_count")
    return DatabaseSize(
        total=total,
        used=used,
        free=free_pages * sqlite_pragma("page_size"),
        free_pages=free_pages,
        write_ahead_log=_file_bytes(WRITE_AHEAD_LOG),
        disk_free=free_bytes(),
    )


def database_bytes() -> int:
    """Return the size of the database on the disk, with indexes, free pages and, on SQLite, its write-ahead log."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return int(cursor.fetchone()[0])
    return sum(_file_bytes(suffix) for suffix in SQLITE_FILES)


def used_bytes() -> int:
    """Return the size of SQLite's file without its free pages and log, or the size of the PostgreSQL database."""
    if connection.vendor == "postgresql":
        return database_bytes()
    return (sqlite_pragma("page_count") - sqlite_pragma("freelist_count")) * sqlite_pragma("page_size")


def free_bytes() -> int | None:
    """Return the free bytes of the disk that holds SQLite's file. None on PostgreSQL and when they cannot be read."""
    if connection.vendor != "sqlite":
        return None
    try:
        status = os.statvfs(sqlite_file().parent)
    except OSError:  # the directory is missing; opening the database reports that
        return None
    return status.f_bavail * status.f_frsize


def sqlite_pragma(pragma: str) -> int:
    """Read or set a PRAGMA of SQLite whose value is an integer."""
    connection.ensure_connection()
    return int(connection.connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def sqlite_file() -> Path:
    """Return the path of SQLite's file."""
    return Path(connection.settings_dict["NAME"])


def _file_bytes(suffix: str) -> int:
    with suppress(OSError):  # the log exists only while the database is open
        return Path(f"{sqlite_file()}{suffix}").stat().st_size
    return 0
