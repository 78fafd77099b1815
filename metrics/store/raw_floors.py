"""The raw floors: how far back each kind of event is accepted.

The raw row is what recognises a repeat. Once rows were deleted, an event as old as they were could be one of them
coming again, so nothing before the floor is accepted. A deletion moves the floor in its own transaction, and a commit
reads it in its own (`locked_floors`): whichever comes second sees what the first did. `raw_floor` is for the door,
which refuses by name before anything waits for the recorder; it may be a moment behind, the commit is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime

from django.db import DatabaseError, InterfaceError, connection

from metrics.models import RawFloor

# An error is a failed request by itself unless a failed inference has its id, and the other way round: to settle that,
# the rows of both must be there. So these two kinds have one floor, the later of theirs.
TOGETHER = ("inference", "error")
# Any number that nobody else takes in this database. Commits hold it together, a deletion holds it alone.
_ADVISORY_LOCK = 0x4C4C4D01

_last_read: dict[str, datetime] = {}


def raw_floor(kind: str) -> datetime | None:
    """The time before which no event of a kind (inference, error, queue, system, engine) is accepted; None: no limit.

    Reads the store at each call. Where it cannot (on an event loop no query may run; the database may not answer) it is
    what this process read last, and the commit decides.
    """
    if not _on_event_loop():
        with contextlib.suppress(DatabaseError, InterfaceError):  # the commit will say why it cannot store them
            _read()
    return _last_read.get(str(kind))


def locked_floors() -> dict[str, datetime]:
    """The floors by kind, for a commit: inside its transaction, they stay as they are until it ends."""
    _lock("pg_advisory_xact_lock_shared")
    return _read()


def block_commits() -> None:
    """For upkeep on PostgreSQL, at the beginning of its transaction: no commit runs beside it, so none can deadlock."""
    _lock("pg_advisory_xact_lock")


def raise_floor(kind: str, at: datetime) -> None:
    """Move the floor of a kind up to `at`, never down; in the transaction that deletes the rows, before it does."""
    block_commits()
    _, made = RawFloor.objects.get_or_create(kind=kind, defaults={"at": at})
    if not made:
        RawFloor.objects.filter(kind=kind, at__lt=at).update(at=at)


def _read() -> dict[str, datetime]:
    floors = dict(RawFloor.objects.values_list("kind", "at"))
    later = max((floors[kind] for kind in TOGETHER if kind in floors), default=None)
    if later is not None:
        floors |= dict.fromkeys(TOGETHER, later)
    for kind in _last_read.keys() - floors.keys():
        _last_read.pop(kind, None)
    _last_read.update(floors)
    return floors


def _lock(function: str) -> None:
    # A row that does not exist yet cannot be locked, so PostgreSQL locks a number. SQLite has one writer at a time.
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}(%s)", [_ADVISORY_LOCK])


def _on_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
