"""How much disk the store uses, how much is left, and what follows from that.

- Below `LLMMONITOR_DISK_FLOOR` free bytes (256 MiB) new events are refused (503): what is left is for the machine.
- Below `LLMMONITOR_DISK_RESERVE` (the smaller of 5 % and 1 GiB) the store may not outgrow its present size. Nothing of
  it is shed for the sake of others: retention goes on freeing pages inside the file, and those are filled again.
- Above `LLMMONITOR_MAX_DISK` the oldest raw rows go (`metrics.store.upkeep.shedding`). Should they come faster than
  they can go, the file ends at a tenth more.

On SQLite a commit holds the file to its size by `max_page_count`, which belongs to the connection:
`enforce_disk_limits` sets it inside the transaction, and an insert that finds no free page fails with SQLITE_FULL
(answered 503, disk_full). The disk of a PostgreSQL server is its own affair, perhaps on another machine: its size is
measured, its free space is not known, and when it is full it says so itself.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import connection

from metrics.store.availability import StoreUnavailable

logger = logging.getLogger(__name__)

CACHE_SECONDS = 1.0
RESERVE_BYTES, RESERVE_SHARE = 2**30, 0.05
OVER_SHARE = 1.1  # of LLMMONITOR_MAX_DISK: where the file ends when shedding cannot keep up
NO_LIMIT_PAGES = 4_294_967_294  # SQLite's own


@dataclass(frozen=True, slots=True)
class DiskState:
    """store_bytes: file and WAL, or the database's size. free_bytes: of its filesystem; None where that is not known.

    may_grow: the store may use more than it does now. may_accept: new events are taken. message: what is wrong, for
    people; None when all is well.
    """

    store_bytes: int
    free_bytes: int | None
    may_grow: bool
    may_accept: bool
    message: str | None


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds in bytes. reserve: None takes the smaller of 5 % of the filesystem and 1 GiB."""

    max_disk: int
    floor: int
    reserve: int | None

    @classmethod
    def from_settings(cls) -> Limits:
        """Those of this installation."""
        own = settings.LLMMONITOR
        return cls(own.max_disk, own.disk_floor, own.disk_reserve)

    def reserve_of(self, total_bytes: int) -> int:
        """The free bytes of a filesystem of this size that are left to others."""
        return self.reserve if self.reserve is not None else min(RESERVE_BYTES, int(total_bytes * RESERVE_SHARE))


def judge(
    store_bytes: int,
    free_bytes: int | None,
    total_bytes: int,
    limits: Limits,
    *,
    wal_bytes: int = 0,
) -> DiskState:
    """What follows from these sizes. `wal_bytes`: the part of the store that is its log, which comes and goes."""
    reserve = limits.reserve_of(total_bytes)
    if free_bytes is not None and free_bytes < limits.floor:
        text = (
            f"Only {size(free_bytes)} are free on the disk of the store: new events are refused below "
            f"{size(limits.floor)} (LLMMONITOR_DISK_FLOOR). Free space on it."
        )
        return DiskState(store_bytes, free_bytes, False, False, text)
    if free_bytes is not None and free_bytes < reserve:
        text = (
            f"Only {size(free_bytes)} are free on the disk of the store: below {size(reserve)} it does not grow "
            "(LLMMONITOR_DISK_RESERVE). Free space on it."
        )
        return DiskState(store_bytes, free_bytes, False, True, text)
    if free_bytes is not None and store_bytes - wal_bytes > limits.max_disk * OVER_SHARE:
        text = (
            f"The store uses {size(store_bytes)}, its bound is {size(limits.max_disk)} (LLMMONITOR_MAX_DISK): "
            "it does not grow until older rows have gone. Raise the bound, or keep less."
        )
        return DiskState(store_bytes, free_bytes, False, True, text)
    return DiskState(store_bytes, free_bytes, True, True, None)


_lock = threading.Lock()
_cached: tuple[float, str, DiskState] | None = None
_said: str | None = None


def disk_state(fresh: bool = False) -> DiskState:
    """How it stands, at most a second old unless it must be fresh. What is wrong is logged as it begins and ends."""
    global _cached
    name = str(connection.settings_dict["NAME"])
    with _lock:
        if not fresh and _cached and _cached[1] == name and time.monotonic() - _cached[0] < CACHE_SECONDS:
            return _cached[2]
    state = _measure()
    with _lock:
        _cached = (time.monotonic(), name, state)
        _say(state)
    return state


def _say(state: DiskState) -> None:
    global _said
    kind = None if state.may_grow else "grow" if state.may_accept else "accept"
    if kind == _said:
        return
    if kind is not None:
        logger.warning("disk: %s", state.message)
    else:
        logger.warning("disk: there is room again; the store takes events and may grow")
    _said = kind


def _measure() -> DiskState:
    free, total = filesystem_bytes()
    own, wal = store_bytes()
    return judge(own, free, total, Limits.from_settings(), wal_bytes=wal)


def store_bytes() -> tuple[int, int]:
    """What the store uses on the disk, and how much of that is SQLite's write-ahead log."""
    if connection.vendor == "sqlite":
        wal = _size_of(Path(f"{_file()}-wal"))
        return _size_of(_file()) + wal, wal
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0]), 0


def filesystem_bytes() -> tuple[int | None, int]:
    """Free and all bytes of the filesystem of SQLite's file; (None, 0) on PostgreSQL, whose disk is not ours to see."""
    if connection.vendor != "sqlite":
        return None, 0
    try:
        found = os.statvfs(_file().parent)
    except OSError:  # the directory is gone; whoever opens the database says so
        return None, 0
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def place() -> str:
    """Where the store lies, for the log: what is sent to clients names no path."""
    return str(_file()) if connection.vendor == "sqlite" else "in PostgreSQL"


def disk_limit_message() -> str | None:
    """What holds the store to its present size, when it is one of our own bounds; None when the disk itself is full."""
    if connection.vendor != "sqlite":
        return None
    state = disk_state()
    return None if state.may_grow else state.message


def is_disk_low() -> bool:
    """Whether less is free than is left to others."""
    free, total = filesystem_bytes()
    return free is not None and free < Limits.from_settings().reserve_of(total)


def enforce_disk_limits() -> None:
    """For a commit, at the beginning of its transaction. Raises StoreUnavailable when new events are refused.

    While the store may not grow, what the commit inserts must find room in free pages of the file.
    """
    if connection.vendor != "sqlite":
        return
    state = disk_state()
    if not state.may_accept:
        raise StoreUnavailable("disk_full", state.message)
    # Below its present size SQLite does not lower it, so 1 means: no page more than now.
    connection.connection.execute(f"PRAGMA max_page_count={NO_LIMIT_PAGES if state.may_grow else 1}").fetchone()


def size(number: int) -> str:
    """Bytes as people read them: `1.5 GiB`."""
    value = float(number)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "bytes" or value >= 100 else f"{value:.3g} {unit}"
        value /= 1024
    raise AssertionError


def _file() -> Path:
    return Path(connection.settings_dict["NAME"])


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
