"""Django's database settings for the store: SQLite in the data directory, or PostgreSQL by URL."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

SQLITE_FILE = "llmmonitor.sqlite3"  # in the data directory

# Several processes share one SQLite file: immediate transactions queue up for the write lock instead of failing when a
# read turns into a write, and the busy timeout is how long they queue.
SQLITE_BUSY_SECONDS = 15

# synchronous=FULL: an acknowledged event
# survives a power cut, and with group commit it costs nothing measurable against NORMAL.
SQLITE_INIT = (
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"
    "PRAGMA cache_size=-8000;"  # of each connection; a dozen threads have one
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_size_limit=67108864;"
)


class VacuumableConnection(sqlite3.Connection):
    """A connection that makes a new database able to give pages back to the disk.

    `auto_vacuum` holds only when it is set before the first table and before WAL. It is set only then: on a database
    that exists, the same statement takes the write lock and writes, at every connection of every thread.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.execute("PRAGMA page_count").fetchone() == (0,):
            self.execute("PRAGMA auto_vacuum=INCREMENTAL")


def database_settings(database_url: str | None, data_dir: Path) -> dict[str, Any]:
    """The entry of `DATABASES` for a `postgres://` URL, or for SQLite when there is none."""
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
    """Close this thread's connections that have failed, so that its next query opens new ones.

    For threads that live as long as the process and keep theirs: `close_old_connections` would close them each time. (A
    request's connections end with it, since each request has a thread of its own under ASGI.)
    """
    from django.db import connections

    for connection in connections.all(initialized_only=True):
        if connection.errors_occurred:
            connection.close()
