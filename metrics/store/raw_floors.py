"""The raw floors: the time before which events of a kind are rejected.

A duplicate is detected by its raw row. After old rows were deleted, an event of that age could be a duplicate of one of
them, so events before the floor are rejected. A deletion raises the floor in its own transaction, and a commit reads it
in its own (`locked_floors`), so the later of two transactions sees the result of the earlier one. Validation uses
`raw_floor` to reject events before they wait for the recorder. That value may be slightly out of date; the commit
checks again.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

from django.db import DatabaseError, InterfaceError, connection

from metrics.models import RawFloor
from metrics.store.writing.statements import execute, table_of

# An error counts as a failed request unless it belongs to a failed inference. To decide this, the rows of both kinds
# must exist, so these kinds share one floor: the later of the two.
SHARED_FLOOR = ("inference", "error")
# A number that no other code uses in this database. Commits share the lock; a deletion holds it exclusively.
_ADVISORY_LOCK = 0x4C4C4D01

_last_read: dict[str, datetime] = {}


def raw_floor(kind: str) -> datetime | None:
    """Return the time before which events of a kind are rejected. None: all are accepted.

    Kinds are inference, error, queue, system and engine. The value is read from the database. On an event loop, where
    no query may run, and when the database fails, it is the value that this process read last.
    """
    if not _on_event_loop():
        with contextlib.suppress(DatabaseError, InterfaceError):  # the commit reports the error
            _read()
    return _last_read.get(str(kind))


def locked_floors() -> dict[str, datetime]:
    """Return the floors by kind for a commit. They do not change until its transaction ends."""
    exclude_upkeep()
    return _read()


def stored_floors() -> dict[str, datetime]:
    """Return the floors by kind as the transaction of the caller reads them. Raise database errors."""
    return _read()


def exclude_upkeep() -> None:
    """Wait for a running step of upkeep, and block new ones until this transaction ends. On SQLite it does nothing."""
    _lock("pg_advisory_xact_lock_shared")


def block_commits() -> None:
    """Wait for running commits and block new ones until this transaction ends, so that none can deadlock with it.

    Upkeep calls this at the beginning of a transaction on PostgreSQL. On SQLite it does nothing.
    """
    _lock("pg_advisory_xact_lock")


def raise_floor(kind: str, at: datetime) -> None:
    """Raise the floor of a kind to `at` if it is lower. Call it before the deletion, in the same transaction."""
    block_commits()
    _, is_new = RawFloor.objects.get_or_create(kind=kind, defaults={"at": at})
    if not is_new:
        RawFloor.objects.filter(kind=kind, at__lt=at).update(at=at)


def _read() -> dict[str, datetime]:
    # Each commit runs this query, and building it with the ORM takes longer than running it.
    rows = execute(f"SELECT kind, at FROM {table_of(RawFloor)}", (), True)
    floors = {kind: at if at.tzinfo else at.replace(tzinfo=UTC) for kind, at in rows}  # SQLite stores UTC
    latest = max((floors[kind] for kind in SHARED_FLOOR if kind in floors), default=None)
    if latest is not None:
        floors |= dict.fromkeys(SHARED_FLOOR, latest)
    for kind in _last_read.keys() - floors.keys():
        _last_read.pop(kind, None)
    _last_read.update(floors)
    return floors


def _lock(function: str) -> None:
    # An advisory lock, because a row that does not exist yet cannot be locked. SQLite has one writer at a time.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [_ADVISORY_LOCK])


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
