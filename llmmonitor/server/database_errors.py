"""An error of the database as a sentence for whoever sits at the terminal: what it is, where, and what to do."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from django.conf import settings

# Below this a disk is taken for full: SQLite makes a file of 32 kB beside the database before it reads, and where that
# finds no room it speaks of an I/O error.
SOME_ROOM_BYTES = 2**20


def in_a_sentence(error: Exception, what: str = "The database cannot be used") -> str:
    """`what` failed, the database's own words for why, and what to do."""
    lines = str(error).strip().splitlines()
    return f"{what} ({lines[0] if lines else type(error).__name__}). {_what_to_do(error)}"


def _what_to_do(error: Exception) -> str:
    from metrics.store.unavailable import reason_of

    reason = reason_of(error)
    if _has_no_such_table_or_column(error):
        return "Has this version of the server been started once?"
    if reason == "locked":
        return "Another program holds its write lock; try again."
    if settings.LLMMONITOR.database_url:
        if reason == "disk_full":
            return "Free space on PostgreSQL's disk."
        return "Check DATABASE_URL and that PostgreSQL runs."
    path = Path(str(settings.DATABASES["default"]["NAME"]))
    if reason == "disk_full" or _is_full(path.parent):
        return f"Free space on the disk of {path}."
    return f"Check that {path} may be written by this user."


def _has_no_such_table_or_column(error: Exception) -> bool:
    state = getattr(error.__cause__, "sqlstate", None)  # of PostgreSQL
    return state in ("42P01", "42703") or str(error).startswith(("no such table", "no such column"))


def _is_full(directory: Path) -> bool:
    with contextlib.suppress(OSError):
        status = os.statvfs(directory)
        return status.f_bavail * status.f_frsize < SOME_ROOM_BYTES
    return False
