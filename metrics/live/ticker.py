"""Builds the snapshot of a second, keeps it in the ring and sends it to everyone who listens."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.core.cache import caches

from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import ring

logger = logging.getLogger(__name__)

GROUP = "ticks"
STALE_SECONDS = 3.0
LATE_KEY = "late"


def build_tick(at: datetime) -> dict[str, Any]:
    """The tick of the second that holds `at`."""
    from metrics import queries

    return {"type": "tick", "seq": int(at.timestamp()), **queries.current(at)}


def newest_tick(at: datetime) -> dict[str, Any]:
    """The tick that was sent last, or one of this moment where none was for some seconds (nobody ticks, or not yet)."""
    seq = ring.latest_seq()
    if seq is not None and abs(at.timestamp() - seq) <= STALE_SECONDS:
        found = ring.latest()
        if found is not None:
            return found
    return build_tick(at)


def broadcast(at: datetime) -> bool:
    """Send the tick of this second, unless another process has. Answers whether it was sent; raises nothing."""
    try:
        seq = int(at.timestamp())
        if not ring.claim(seq):
            return False
        tick = build_tick(at)
        encoded = ring.put(tick)
        send_to_group({"type": "live.tick", "seq": seq, "at": tick["at"], "text": encoded.decode()})
    except Exception as error:  # noqa: BLE001 (a tick that fails must not take the worker with it)
        log_throttled(logger, "broadcast", error)
        return False
    return True


def count_late() -> None:
    """One more tick or sample was dropped because it came too late, in whatever process."""
    cache = caches["ring"]
    cache.add(LATE_KEY, 0, timeout=None)
    cache.incr(LATE_KEY)


def state(at: datetime) -> str:
    """How the ticks are, in words: how old the newest is and how many came too late."""
    seq = ring.latest_seq()
    late = int(caches["ring"].get(LATE_KEY, 0))
    if seq is None:
        said = "no tick yet: is a worker running?"
    else:
        age = max(0.0, at.timestamp() - seq)
        said = f"the newest tick is {age:.0f} s old" + (": is a worker running?" if age > STALE_SECONDS else "")
    return f"{said}; {late} came too late and were dropped" if late else said


def send_to_group(message: dict[str, Any]) -> None:
    """Send a message to every live consumer, from any thread."""
    layer = get_channel_layer()
    if layer is not None:
        async_to_sync(layer.group_send)(GROUP, message)
