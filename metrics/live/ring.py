"""The hot ring: the ticks of the last 15 minutes, in the cache that all processes share.

It may be lost at any time: ticks are derived from the store. A tick lies in the slot of its second modulo `SLOTS`, so
the ring never grows; each slot says which second it holds. Beside the packed tick, a slot holds its brief form, of
which a client that connects gets the last five minutes (three hundred whole ticks of a busy site would be megabytes).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from django.core.cache import caches

SECONDS = 900
SLOTS = 960  # a little more than are promised: a reader is never overtaken by the writer
HISTORY = 300
BACKFILL_BYTES = 8 * 2**20  # of encoded ticks in one answer; beyond, a client reads the history instead
CLAIM_SECONDS = 60
LATE_SECONDS = 10  # more than a tick takes to be built: LLMMONITOR_QUERY_BUDGET_SECONDS is five

Tick = dict[str, Any]


def claim(seq: int, what: str = "tick") -> bool:
    """Whether this second's tick (or another thing done once a second) is the caller's to do.

    True for the first who asks, in any process.
    """
    cache = _cache()
    if not cache.add(f"claim:{what}:{seq}", 1, timeout=CLAIM_SECONDS):
        return False
    # The in-process cache drops what is out of date only when it is full or asked for the key.
    cache.delete(f"claim:{what}:{seq - CLAIM_SECONDS}")
    return True


def put(tick: Tick) -> bytes:
    """Keep a tick; answers it encoded as JSON (to be sent as it is). One that is late does not become the newest."""
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
    """Whether a tick comes after that of its own or a later second: of two workers, the first may be done last.

    One that is further behind is of a clock that was set back, and the newest from then on.
    """
    return newest is not None and newest - LATE_SECONDS < seq <= newest


def encode(message: Mapping[str, Any]) -> bytes:
    """A message as JSON. Not-a-number and infinity become null, as everywhere in the API."""
    return orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def latest_seq() -> int | None:
    """The second of the newest tick; None while there is none."""
    seq = _cache().get("latest")
    return None if seq is None else int(seq)


def latest() -> Tick | None:
    """The newest tick; None while there is none."""
    encoded = latest_encoded()
    return None if encoded is None else orjson.loads(encoded)


def latest_encoded() -> bytes | None:
    """The newest tick as JSON."""
    seq = latest_seq()
    return None if seq is None else next(iter(_read([seq]).values()), None)


def since(seq: int) -> list[bytes] | None:
    """The ticks after second `seq` that are kept, oldest first, each as JSON. None when they do not continue it.

    They do when the tick of `seq` itself and the newest are both kept: a ring that was lost (a restart of the one
    process, an outage of Redis) lacks one of them. A second between them without a tick is one that was not built, or
    that Redis did not take.
    """
    newest = latest_seq()
    if newest is None or not 0 <= newest - seq <= SECONDS:
        return None
    found = _read(range(seq, newest + 1))
    if seq not in found or newest not in found or sum(map(len, found.values())) > BACKFILL_BYTES:
        return None
    return [encoded for second, encoded in sorted(found.items()) if second > seq]


def history(count: int = HISTORY) -> list[bytes]:
    """`{seq, at, overall}` of the ticks in the last `count` seconds, oldest first, each as JSON."""
    newest = latest_seq()
    if newest is None:
        return []
    seconds = range(newest - min(count, SECONDS) + 1, newest + 1)
    found = _cache().get_many([f"brief:{second % SLOTS}" for second in seconds])
    briefs = dict(found.values())
    return [briefs[second] for second in seconds if second in briefs]


def _read(seconds: Iterable[int]) -> dict[int, bytes]:
    wanted = list(seconds)
    found = _cache().get_many([f"tick:{second % SLOTS}" for second in wanted])
    packed = dict(found.values())
    return {second: zlib.decompress(packed[second]) for second in wanted if second in packed}


def _cache() -> Any:
    return caches["ring"]
