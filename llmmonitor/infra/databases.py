"""Django's database settings: PostgreSQL if DATABASE_URL is set, SQLite in the data directory otherwise."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE_FILE = "llmmonitor.sqlite3"  # in the data directory

# Several processes share one SQLite file. Immediate transactions wait for the write lock, at most this long; deferred
# ones fail if another process writes between their first read and their first write.
SQLITE_BUSY_SECONDS = 15

# synchronous=FULL: a committed event survives a power failure. With group commit it is as fast as NORMAL.
SQLITE_INIT = (
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA cache_size=-8000;"  # 8 MiB at most, for each connection; a dozen threads have a connection
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_size_limit=67108864;"
)


class VacuumableConnection(sqlite3.Connection):
    """A connection that sets `auto_vacuum` on a new database, so that free pages can be returned to the disk.

    The pragma is effective only before the first table and before WAL. On an existing database it would acquire the
    write lock and write, for every connection.
    """

    LOCKING_MODE = "NORMAL"

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.execute(f"PRAGMA locking_mode={self.LOCKING_MODE}")
        if self.execute("PRAGMA page_count").fetchone() == (0,):
            self.execute("PRAGMA auto_vacuum=INCREMENTAL")


class ExclusiveConnection(VacuumableConnection):
    """A connection to a database that no other process has open or can open.

    The mode is effective only before the first access. Raises OperationalError (locked) if another process has it open.
    """

    LOCKING_MODE = "EXCLUSIVE"


def database_settings(database_url: str | None, data_dir: Path) -> dict[str, Any]:
    """Return the entry of `DATABASES` for a `postgres://` URL, or for SQLite if there is no URL."""
    if not database_url:
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(data_dir / SQLITE_FILE),
            "OPTIONS": {
                "timeout": SQLITE_BUSY_SECONDS,
                "transaction_mode": "IMMEDIATE",
                "init_command": SQLITE_INIT,
                "factory": VacuumableConnection,
            },
        }
    parts = urlsplit(database_url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        "OPTIONS": dict(parse_qsl(parts.query)),
    }


def close_failed_connections() -> None:
    """Close this thread's connections that had an error, so that its next query opens new ones.

    For threads that run as long as the process and keep their connections. (`close_old_connections` would close the
    connections each time.)
    """
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.close()
