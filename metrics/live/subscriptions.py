"""What pages ask to be shown live, each distinct question once.

`parse` checks a `subscribe` message; `Subscriptions` counts who wants which and bounds how many there are; `answer`
computes one for one tick, from the query layer alone, so that its buckets are those that `/metrics/history` answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from metrics import queries
from metrics.queries import BadQuery, Filters, SeriesSpec, Window
from metrics.queries.parameters import check_names, parse_filters_object, parse_live_step, parse_series_objects
from metrics.queries.time.window import end_of_now

MAX_DISTINCT = 32  # each is computed every second
NAMES = ("type", "id", "filters", "step", "series")
MAX_ID_CHARACTERS = 64
# An event may be committed a moment after the bucket of its time has closed: buckets that closed in these last seconds
# are answered again.
LOOK_BACK_SECONDS = 5
MAX_CATCH_UP_POINTS = 60


class TooManySubscriptions(Exception):
    """As many distinct subscriptions are live as are computed; this client polls instead."""


@dataclass(frozen=True)
class Subscription:
    """What a page shows. Two with the same `key` are one."""

    filters: Filters
    step: int
    specs: tuple[SeriesSpec, ...]
    key: bytes = field(repr=False)


def parse(message: Mapping[str, Any], now: datetime) -> Subscription:
    """The subscription that a message asks for. Raises BadQuery."""
    check_names(message, *NAMES)
    filters = parse_filters_object(message.get("filters") or {})
    specs = parse_series_objects(message.get("series") or [])
    step = parse_live_step(message.get("step"), specs, now)
    key = orjson.dumps([filters.as_dict(), step, [spec.as_dict() for spec in specs]], option=orjson.OPT_SORT_KEYS)
    return Subscription(filters, step, specs, key)


def parse_id(message: Mapping[str, Any]) -> str | None:
    """What the client calls its subscription: no part of it, so that others may share it. Raises BadQuery."""
    if "id" not in message:
        return None
    given = message["id"]
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID_CHARACTERS:
        raise BadQuery("id", f"must be a string of 1 to {MAX_ID_CHARACTERS} characters.")
    return given


class Subscriptions:
    """The distinct subscriptions of one process and how many clients hold each."""

    def __init__(self, limit: int = MAX_DISTINCT) -> None:
        self._limit = limit
        self._held: Counter[bytes] = Counter()
        self._by_key: dict[bytes, Subscription] = {}

    def add(self, wanted: Subscription) -> None:
        """Hold a subscription. Raises TooManySubscriptions."""
        if wanted.key not in self._by_key and len(self._by_key) >= self._limit:
            raise TooManySubscriptions
        self._by_key.setdefault(wanted.key, wanted)
        self._held[wanted.key] += 1

    def discard(self, held: Subscription) -> None:
        """Let go of one that was added."""
        self._held[held.key] -= 1
        if self._held[held.key] <= 0:
            del self._held[held.key], self._by_key[held.key]

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)


def answer(subscription: Subscription, at: datetime, since: int | None = None) -> dict[str, Any]:
    """`{"view": …, "buckets": […]}` for the tick of `at`. `since`: the second of the tick that was answered before.

    The buckets are the open one, the newest closed one, and those before it that may have changed since they were
    answered. Raises QueryTooSlow.
    """
    step, filters = subscription.step, subscription.filters
    window = window_of(step, at, since)
    buckets = []
    if subscription.specs:
        series = queries.series(subscription.specs, window, filters, step=step, now=at)
        for line in series.as_dict()["series"]:
            del line["unit"]
            buckets.append(line)
    return {"view": queries.live_view(filters, at), "buckets": buckets}


def window_of(step: int, at: datetime, since: int | None) -> Window:
    """From the start of the oldest bucket that may have changed since the answer before, to the end of this second."""
    end = end_of_now(at)
    opened = (end - 1) // step * step
    seen = end - 1 if since is None else min(since, end - 1)
    start = min(opened - step, (seen - LOOK_BACK_SECONDS) // step * step)
    return Window.of_seconds(max(start, opened - MAX_CATCH_UP_POINTS * step), end)
