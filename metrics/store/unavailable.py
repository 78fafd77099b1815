"""Why the store cannot take events now, read off the database's own errors."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection

# SQLite's primary result codes that say something about the place and not about the data (sqlite.org/rescode.html).
SQLITE_REASONS = {
    sqlite3.SQLITE_FULL: "disk_full",
    sqlite3.SQLITE_READONLY: "read_only",
    sqlite3.SQLITE_PERM: "read_only",
    sqlite3.SQLITE_BUSY: "locked",
    sqlite3.SQLITE_LOCKED: "locked",
    sqlite3.SQLITE_CANTOPEN: "down",
    sqlite3.SQLITE_IOERR: "down",
    sqlite3.SQLITE_NOTADB: "down",
    sqlite3.SQLITE_CORRUPT: "down",
    sqlite3.SQLITE_PROTOCOL: "locked",
    sqlite3.SQLITE_NOMEM: "down",
}
DETAILS = {
    "disk_full": "The store's disk is full. Free space on it.",
    "read_only": "The store cannot be written. Check the permissions of the data directory and the database file.",
    "locked": "Another program holds the store's write lock. Nothing was stored; try again.",
    "down": "The database does not answer.",
}
RETRY_SECONDS = {"locked": 1, "disk_full": 3, "read_only": 3, "down": 2}


class StoreUnavailable(Exception):
    """Nothing can be committed now, and nothing was. `reason` is disk_full, read_only, locked or down."""

    def __init__(self, reason: str, detail: str | None = None, retry_after_seconds: int | None = None) -> None:
        self.reason = reason
        self.detail = detail or DETAILS.get(reason, "The store cannot take events now.")
        self.retry_after_seconds = retry_after_seconds or RETRY_SECONDS.get(reason, 2)
        super().__init__(self.detail)


def reason_of(error: BaseException) -> str | None:
    """Why the store is unavailable, when this error says that it is; None when the error is about the data."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    cause = error.__cause__ or error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return SQLITE_REASONS.get(code & 0xFF)
    state = getattr(cause, "sqlstate", None)  # psycopg: five characters, none where the connection itself failed
    if state is None:
        return "down" if isinstance(error, OperationalError | InterfaceError) else None
    return _reason_of_state(state)


def _reason_of_state(state: str) -> str | None:
    # Classes of PostgreSQL: 08 connection, 53 resources (53100 disk full), 57 operator, 40 rollback, 55 object state.
    if state == "53100":
        return "disk_full"
    if state == "25006":
        return "read_only"
    if state in ("40001", "40P01", "55P03", "57014"):
        return "locked"
    return "down" if state[:2] in ("08", "53", "57", "58", "XX") else None


def is_transient(error: BaseException) -> bool:
    """Whether the same transaction may well succeed at once: PostgreSQL broke a deadlock, or a connection was cut."""
    cause: Any = error.__cause__ or error
    if getattr(cause, "sqlite_errorcode", None) is not None:
        return False
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in ("40001", "40P01", "57P01", "57P02", "57P03") or state.startswith("08")
    return connection.vendor == "postgresql" and isinstance(error, OperationalError | InterfaceError)


@contextmanager
def unavailable_as_such(why_full: Callable[[], str | None]) -> Iterator[None]:
    """Turns those errors of the database that are not about the data into StoreUnavailable.

    `why_full` says what holds the store to its size when it is not the disk itself (`metrics.store.disk`).
    """
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        reason = reason_of(error)
        if reason is None:
            raise
        raise StoreUnavailable(reason, why_full() if reason == "disk_full" else None) from error
