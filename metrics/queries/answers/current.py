"""The snapshot of this second: what a tick says and `/metrics/current` answers.

It runs every second, so it reads what is near: one-second rollups of the last minute by their key, and the newest
samples of machines and queues by their times. What other apps have to say comes from `metrics.registers.tick_parts`.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Any

from metrics.queries.answers.hosts import tick_hosts
from metrics.queries.answers.minute import WINDOW_SECONDS, read_minute
from metrics.queries.answers.queue_levels import Level, queue_levels
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.time.window import iso
from metrics.registers import tick_parts

logger = logging.getLogger(__name__)

_complained: set[str] = set()


def current(at: datetime) -> dict[str, Any]:
    """The body of the tick of the second that holds `at`. Raises QueryTooSlow.

    `overall` and `models` are over the last 60 s, the running second among them; a figure of which nothing is known is
    None. `queue` holds the levels of now and the waits of the minute's requests.
    """
    with query_budget():
        everything = Filters()
        levels = queue_levels(everything, at)
        minute = read_minute(everything, at, levels)
        level = Level.together(levels.values())
        body: dict[str, Any] = {
            "at": iso(at),
            "window_seconds": WINDOW_SECONDS,
            "overall": minute.overall,
            "models": minute.models,
            "models_omitted": minute.models_omitted,
            "queue": {
                "pending": level.pending,
                "processing": level.processing,
                "wait_time_ms": minute.wait_time_ms,
            },
            **tick_hosts(at),
            "alerts": {"firing": 0, "pending": 0},
        }
    return body | _registered(at)


def _registered(at: datetime) -> dict[str, Any]:
    """The parts of other apps. One that fails is left out and said once: the rest of the tick goes on."""
    found = {}
    for name, function in tick_parts:
        try:
            found[name] = function(at)
            _complained.discard(name)
        except Exception:
            if name not in _complained:
                _complained.add(name)
                logger.exception("tick: the part %r failed; ticks go on without it", name)
    return found
