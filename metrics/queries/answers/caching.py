"""A short memory for answers about the past.

Used only for a window that ended 15 minutes ago or earlier: what is acknowledged now and happened in the last quarter
of an hour is in the next answer. An event that comes later than that into such a window may be missing from it for five
seconds. A cached answer says its age.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from django.core.cache import caches

from metrics.queries.time.window import Window

CACHE_SECONDS = 5
SETTLED_SECONDS = 15 * 60

Answer = TypeVar("Answer", bound=Any)


def cached(question: tuple[Any, ...], window: Window, now: datetime, compute: Callable[[], Answer]) -> Answer:
    """The answer (a frozen dataclass with `age_seconds`) out of the cache, or computed."""
    if (now - window.end).total_seconds() < SETTLED_SECONDS:
        return compute()
    # Answers depend on now by what is still kept: seconds of difference do not matter, 5 s apart it is asked again.
    key = "answer:" + hashlib.sha256(repr((question, window)).encode()).hexdigest()
    found = caches["queries"].get(key)
    if found is not None:
        at, answer = found
        age = (now - at).total_seconds()
        if 0 <= age <= CACHE_SECONDS:
            aged: Answer = replace(answer, age_seconds=round(age, 3))
            return aged
    answer = compute()
    caches["queries"].set(key, (now, answer), CACHE_SECONDS)
    return answer
