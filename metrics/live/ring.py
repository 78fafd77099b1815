"""A ring buffer with the ticks of the last 15 minutes, in the cache that all processes share.

It can be lost at any time, because ticks are derived from the database. A tick is stored in the slot `seq % SLOTS` with
its seq. Each slot has the compressed tick and a brief form of it. A client that connects gets the brief forms of the
last five minutes, because three hundred full ticks may be megabytes.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson
from django.core.cache import caches

SECONDS = 900
SLOTS = 960  # more than SECONDS, so that the writer does not overwrite what a reader reads
HISTORY = 300
BACKFILL_BYTES = 8 * 2**20  # of ticks in one response; for more, a client reads the history instead
CLAIM_SECONDS = 60
LATE_SECONDS = 10  # more than building a tick takes: LLMMONITOR_QUERY_BUDGET_SECONDS is five

Tick = dict[str, Any]


def claim(seq: int, what: str = "tick") -> bool:
    """Return whether the caller is the first of all processes to claim this task for this second."""
    cache = _cache()
    if not cache.add(f"claim:{what}:{seq}", 1, timeout=CLAIM_SECONDS):
        return False
    # The in-process cache removes expired entries only when it is full or when they are read.
    cache.delete(f"claim:{what}:{seq - CLAIM_SECONDS}")
    return True


@contextmanager
def held(what: str, seconds: int) -> Iterator[bool]:
    """Hold a task until the end of the block, but not longer than `seconds`, unless any process holds it already.

    The value is whether the caller holds it.
    """
    key, begin = f"held:{what}", time.monotonic()
    is_ours = bool(_cache().add(key, 1, timeout=seconds))
    try:
        yield is_ours
    finally:
        if is_ours and time.monotonic() - begin < seconds:  # else another may hold it
            _cache().delete(key)


def put(tick: Tick) -> bytes:
    """Store a tick and return it as JSON. A late tick does not become the newest."""
    seq = int(tick["seq"])
    encoded = encode(tick)
    brief = orjson.dumps({"seq": seq, "at": tick["at"], "overall": tick["overall"]}, option=orjson.OPT_NON_STR_KEYS)
    kept: dict[str, Any] = {
        f"tick:{seq % SLOTS}": (seq, zlib.compress(encoded, 1)),
        f"brief:{seq % SLOTS}": (seq, brief),
    }
    if not is_late(seq, latest_seq()):
        kept["latest"] = seq
    _cache().set_many(kept, timeout=SECONDS)
    return encoded


def is_late(seq: int, newest: int | None) -> bool:
    """Return whether a tick of this or a later second was already stored: of two workers, the first may finish last.

    A tick that is more than LATE_SECONDS behind is not late: the clock was set back.
    """
    return newest is not None and newest - LATE_SECONDS < seq <= newest


def encode(message: Mapping[str, Any]) -> bytes:
    """Return a message as JSON. NaN and infinity become null, as everywhere in the API."""
    return orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def latest_seq() -> int | None:
    """Return the seq of the newest tick; None if there is none."""
    seq = _cache().get("latest")
    return None if seq is None else int(seq)


def latest() -> Tick | None:
    """Return the newest tick; None if there is none."""
    encoded = latest_encoded()
    return None if encoded is None else orjson.loads(encoded)


def latest_encoded() -> bytes | None:
    """Return the newest tick as JSON; None if there is none."""
    seq = latest_seq()
    return None if seq is None else next(iter(_read([seq]).values()), None)


def since(seq: int) -> list[bytes] | None:
    """Return the stored ticks after `seq` as JSON, oldest first; None if the ring does not reach back to `seq`.

    The ring does if the tick of `seq` and the newest tick are both stored. After a restart or an outage of Redis one
    of them is missing. A second without a tick between them is one whose tick was not built or not stored.
    """
    newest = latest_seq()
    if newest is None or not 0 <= newest - seq <= SECONDS:
        return None
    ticks = _read(range(seq, newest + 1))
    if seq not in ticks or newest not in ticks or sum(map(len, ticks.values())) > BACKFILL_BYTES:
        return None
    return [encoded for second, encoded in sorted(ticks.items()) if second > seq]


def history(count: int = HISTORY) -> list[bytes]:
    """Return `{seq, at, overall}` of the ticks of the last `count` seconds as JSON, oldest first."""
    newest = latest_seq()
    if newest is None:
        return []
    seconds = range(newest - min(count, SECONDS) + 1, newest + 1)
    slots = _cache().get_many([f"brief:{second % SLOTS}" for second in seconds])
    briefs = dict(slots.values())
    return [briefs[second] for second in seconds if second in briefs]


def _read(seconds: Iterable[int]) -> dict[int, bytes]:
    wanted = list(seconds)
    slots = _cache().get_many([f"tick:{second % SLOTS}" for second in wanted])
    packed = dict(slots.values())
    return {second: zlib.decompress(packed[second]) for second in wanted if second in packed}


def _cache() -> Any:
    return caches["ring"]
