"""Build the tick of a second, store it in the ring and send it to the live clients of all processes."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

from llmmonitor.infra.telemetry import TelemetryUnavailable, telemetry
from metrics.live import ring

GROUP = "ticks"
STALE_SECONDS = 3.0
BROADCAST = "metrics.tasks.broadcast"  # the task


def build_tick(at: datetime) -> dict[str, Any]:
    """Return the tick of the second that contains `at`."""
    from metrics import queries

    return {"type": "tick", "seq": int(at.timestamp()), **queries.current(at)}


def newest_tick(at: datetime) -> dict[str, Any]:
    """Return the newest tick of the ring; build one if the newest is older than STALE_SECONDS."""
    seq = ring.latest_seq()
    if seq is not None and abs(at.timestamp() - seq) <= STALE_SECONDS:
        newest = ring.latest()
        if newest is not None:
            return newest
    return build_tick(at)


def broadcast(at: datetime) -> bool:
    """Send the tick of this second unless another process does. Return whether it was sent."""
    seq = int(at.timestamp())
    if not ring.claim(seq):
        return False
    tick = build_tick(at)
    encoded = ring.put(tick)
    telemetry.observe("tick_lag", max(0.0, time.time() - at.timestamp()))
    send_to_group({"type": "live.tick", "seq": seq, "at": tick["at"], "text": encoded.decode()})
    return True


def state(at: datetime) -> str:
    """Describe the ticks for readiness: the age of the newest and the number of late ones."""
    seq = ring.latest_seq()
    try:
        late = telemetry.totals().count("tasks_skipped", BROADCAST)
    except TelemetryUnavailable:
        late = 0  # not known
    if seq is None:
        text = "no tick yet: is a worker running?"
    else:
        age = max(0.0, at.timestamp() - seq)
        text = f"the newest tick is {age:.0f} s old" + (": is a worker running?" if age > STALE_SECONDS else "")
    return f"{text}; {late} ticks were skipped because they were late" if late else text


def send_to_group(message: dict[str, Any]) -> None:
    """Send a message to the hubs of all processes, from any thread."""
    layer = get_channel_layer()
    if layer is not None:
        async_to_sync(layer.group_send)(GROUP, message)
