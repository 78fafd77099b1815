"""A cache for results about the past.

It is used only for windows that ended at least 15 minutes ago. An event of the last 15 minutes is therefore in the next
result after its response. An older event may be missing from results for five seconds. A cached result has its age.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from django.core.cache import caches

from llmmonitor.infra.telemetry import telemetry
from metrics.queries.time.window import Window

CACHE_SECONDS = 5
SETTLED_SECONDS = 15 * 60

Result = TypeVar("Result", bound=Any)


def cached(query: tuple[Any, ...], window: Window, now: datetime, compute: Callable[[], Result]) -> Result:
    """Return the result (a frozen dataclass with `age_seconds`) from the cache, or compute it."""
    if (now - window.end).total_seconds() < SETTLED_SECONDS:
        return compute()
    # The key does not contain `now`. A result depends on it only through the retention, where 5 s make no difference.
    key = "answer:" + hashlib.sha256(repr((query, window)).encode()).hexdigest()
    entry = caches["queries"].get(key)
    if entry is not None:
        at, result = entry
        age = (now - at).total_seconds()
        if 0 <= age <= CACHE_SECONDS:
            telemetry.count("cache_reads", "hit")
            aged: Result = replace(result, age_seconds=round(age, 3))
            return aged
    telemetry.count("cache_reads", "miss")
    result = compute()
    caches["queries"].set(key, (now, result), CACHE_SECONDS)
    return result
