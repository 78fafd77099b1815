"""The free space that new events need, and the largest size of SQLite's file.

- Below `LLMMONITOR_DISK_FLOOR` free bytes, new events are rejected (503). The rest is for other programs of the host.
- A commit cannot make the file larger than `LLMMONITOR_MAX_DISK`. Upkeep deletes the oldest raw rows before the file is
  that large (`metrics.store.upkeep.disk_limit`). If events arrive faster, they are rejected (503) until the next run of
  upkeep. The write-ahead log, usually 4 MiB, is not counted.

PostgreSQL may run on another host, so its free space is unknown. It reports a full disk with an error of its own.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from llmmonitor.infra.byte_sizes import format_bytes
from metrics.sizes.database import free_bytes, sqlite_file, sqlite_pragma
from metrics.store.unavailable import StoreUnavailable

# Upkeep starts to delete raw rows at this share of LLMMONITOR_MAX_DISK. The rest is for the events of one minute, which
# is the time between two runs.
DELETION_SHARE = 0.9
# No commit writes as much. With more free space, SQLite reports a full disk because the file has its largest size.
COMMIT_BYTES = 64 * 2**20


def enforce_disk_limits() -> None:
    """Apply both limits to a commit. Call it at the beginning of the transaction.

    Raise StoreUnavailable when too little disk space is free. When the file has its largest size and no free page is
    left in it, a later INSERT fails with SQLITE_FULL.
    """
    if connection.vendor != "sqlite":
        return
    message = low_space_message()
    if message is not None:
        raise StoreUnavailable("disk_full", message)
    # This setting belongs to the connection. SQLite does not set it below the present size of the file.
    pages = settings.LLMMONITOR.max_disk // sqlite_pragma("page_size")
    sqlite_pragma(f"max_page_count={max(1, pages)}")


def low_space_message() -> str | None:
    """Return why new events are rejected, or None when enough disk space is free."""
    free, floor = free_bytes(), settings.LLMMONITOR.disk_floor
    if free is None or free >= floor:
        return None
    return (
        f"Only {format_bytes(free)} are free on the disk of the store. New events are rejected below "
        f"{format_bytes(floor)} (LLMMONITOR_DISK_FLOOR). Free space on this disk."
    )


def disk_limit_message() -> str | None:
    """Return the message for SQLITE_FULL when the file has its largest size, or None when the disk itself is full."""
    if connection.vendor != "sqlite":
        return None
    limit = settings.LLMMONITOR.max_disk
    size = sqlite_pragma("page_count") * sqlite_pragma("page_size")
    if size <= limit * DELETION_SHARE and (free_bytes() or 0) < COMMIT_BYTES:
        return None
    return (
        f"The store has reached {format_bytes(limit)} (LLMMONITOR_MAX_DISK). Its oldest raw rows are deleted once a "
        "minute. Raise the limit, or keep rows for a shorter time."
    )


def store_location() -> str:
    """Return where the store is, for the log. Responses do not contain paths."""
    return str(sqlite_file()) if connection.vendor == "sqlite" else "in PostgreSQL"
