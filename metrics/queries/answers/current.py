"""The snapshot of the current second: the body of a tick, and of `/metrics/current`.

It is computed every second, so it reads little: the one-second rollups of the last minute, and the newest samples of
hosts and queues by their times. Other apps add parts to it through `metrics.registers.tick_parts`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from metrics.queries.answers.hosts import tick_hosts
from metrics.queries.answers.minute import WINDOW_SECONDS, read_minute
from metrics.queries.answers.queue_levels import Level, queue_levels
from metrics.queries.answers.results import round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.time.window import iso
from metrics.registers import tick_parts


def current(at: datetime) -> dict[str, Any]:
    """Return the body of the tick of the second that contains `at`. Raises QueryTooSlow.

    `overall` and `models` are over the last 60 s, including the current second. Unknown figures are None. `queue` has
    the current queue lengths, the age of the oldest request, what rate limits still allow, and the queue times of the
    requests of the last 60 s.
    """
    with query_budget(is_live=True):
        unfiltered = Filters()
        levels = queue_levels(unfiltered, at)
        minute = read_minute(unfiltered, at, levels)
        level = Level.sum_of(levels.values())
        body: dict[str, Any] = {
            "at": iso(at),
            "window_seconds": WINDOW_SECONDS,
            "overall": minute.overall,
            "models": minute.models,
            "models_omitted": minute.models_omitted,
            "queue": {
                "pending": level.pending,
                "processing": level.processing,
                "oldest_seconds": round_figure(level.oldest_seconds),
                "ratelimit_remaining_requests": level.ratelimit_remaining_requests,
                "ratelimit_remaining_tokens": level.ratelimit_remaining_tokens,
                "wait_time_ms": minute.wait_time_ms,
            },
            **tick_hosts(at),
            "alerts": {"firing": 0, "pending": 0},
        }
    return body | dict(tick_parts.results("the tick", at))
