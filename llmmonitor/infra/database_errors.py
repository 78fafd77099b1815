"""Classify database errors, and describe them for the user: what failed, where, and what to do."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

# SQLite's primary result codes for errors that the data did not cause (sqlite.org/rescode.html).
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
# A disk with less free space counts as full: SQLite creates a file of 32 KiB beside the database before it reads, and
# reports an I/O error if there is no space for it.
FULL_DISK_BYTES = 2**20


def reason_of(error: BaseException) -> str | None:
    """Return why the database is not available, or None if the data caused the error."""
    if not isinstance(error, DatabaseError | InterfaceError):
        return None
    cause = error.__cause__ or error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return SQLITE_REASONS.get(code & 0xFF)
    state = getattr(cause, "sqlstate", None)  # psycopg's code of five characters, None if the connection failed
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
    """Return whether a retry may succeed at once: PostgreSQL ended a deadlock or a connection."""
    cause: Any = error.__cause__ or error
    if getattr(cause, "sqlite_errorcode", None) is not None:
        return False
    state = getattr(cause, "sqlstate", None)
    if state is not None:
        return state in ("40001", "40P01", "57P01", "57P02", "57P03") or state.startswith("08")
    return connection.vendor == "postgresql" and isinstance(error, OperationalError | InterfaceError)


def describe_database_error(error: Exception, problem: str = "The database cannot be used") -> str:
    """Return the problem, the first line of the database's message, and what to do."""
    lines = str(error).strip().splitlines()
    return f"{problem} ({lines[0] if lines else type(error).__name__}). {_advice(error)}"


def _advice(error: Exception) -> str:
    reason = reason_of(error)
    if _has_no_such_table_or_column(error):
        return "Start the server of this version once, which migrates the database."
    if reason == "locked":
        return "Another program holds its write lock. Try again."
    if settings.LLMMONITOR.database_url:
        if reason == "disk_full":
            return "Free space on PostgreSQL's disk."
        return "Check DATABASE_URL, and that PostgreSQL is running."
    path = Path(str(settings.DATABASES["default"]["NAME"]))
    if reason == "disk_full" or _is_full(path.parent):
        return f"Free space on the disk of {path}."
    return f"Check that this user may write to {path}."


def _has_no_such_table_or_column(error: Exception) -> bool:
    state = getattr(error.__cause__, "sqlstate", None)
    return state in ("42P01", "42703") or str(error).startswith(("no such table", "no such column"))


def _is_full(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        status = os.statvfs(directory)
        return status.f_bavail * status.f_frsize < FULL_DISK_BYTES
    return False
