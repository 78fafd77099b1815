"""Live subscriptions: parse them, count them, and compute what they add to a tick.

Equal subscriptions of several clients are computed once. `compute_view` uses the query layer, so the buckets of a tick
equal those of `/metrics/history`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from metrics import queries
from metrics.queries import BadQuery, Filters, SeriesSpec, Window
from metrics.queries.parameters import check_names, parse_filters_object, parse_live_step, parse_series_objects
from metrics.queries.time.window import at_second, end_of_now, iso

MAX_DISTINCT = 32  # each is computed every second
NAMES = ("type", "id", "filters", "step", "series")
MAX_ID_CHARACTERS = 64
# An event may be committed shortly after the bucket of its time has closed. Buckets that closed within these seconds
# are sent again.
LOOK_BACK_SECONDS = 5
MAX_CATCH_UP_POINTS = 60  # closed buckets in a tick


class TooManySubscriptions(Exception):
    """The limit of distinct subscriptions is reached; the client must poll instead."""


@dataclass(frozen=True)
class Subscription:
    """What a client subscribes to. Subscriptions with the same `key` are equal."""

    filters: Filters
    step: int
    specs: tuple[SeriesSpec, ...]
    key: bytes = field(repr=False)


def parse(message: Mapping[str, Any], now: datetime) -> Subscription:
    """Return the subscription of a `subscribe` message. Raises BadQuery."""
    check_names(message, *NAMES)
    filters = parse_filters_object(message.get("filters") or {})
    specs = parse_series_objects(message.get("series") or [])
    step = parse_live_step(message.get("step"), specs, now)
    key = orjson.dumps([filters.as_dict(), step, [spec.as_dict() for spec in specs]], option=orjson.OPT_SORT_KEYS)
    return Subscription(filters, step, specs, key)


def parse_id(message: Mapping[str, Any]) -> str | None:
    """Return the client's id of the subscription. It is not part of the subscription. Raises BadQuery."""
    if "id" not in message:
        return None
    given = message["id"]
    if not isinstance(given, str) or not 1 <= len(given) <= MAX_ID_CHARACTERS:
        raise BadQuery("id", f"must be a string of 1 to {MAX_ID_CHARACTERS} characters.")
    return given


class Subscriptions:
    """The distinct subscriptions of one process, each with its number of clients."""

    def __init__(self, limit: int = MAX_DISTINCT) -> None:
        self._limit = limit
        self._clients: Counter[bytes] = Counter()
        self._by_key: dict[bytes, Subscription] = {}

    def add(self, wanted: Subscription) -> None:
        """Add a client of a subscription. Raises TooManySubscriptions."""
        if wanted.key not in self._by_key and len(self._by_key) >= self._limit:
            raise TooManySubscriptions
        self._by_key.setdefault(wanted.key, wanted)
        self._clients[wanted.key] += 1

    def discard(self, subscription: Subscription) -> None:
        """Remove a client of a subscription."""
        self._clients[subscription.key] -= 1
        if self._clients[subscription.key] <= 0:
            del self._clients[subscription.key], self._by_key[subscription.key]

    def __iter__(self) -> Iterator[Subscription]:
        return iter(list(self._by_key.values()))

    def __len__(self) -> int:
        return len(self._by_key)


def compute_view(
    subscription: Subscription,
    at: datetime,
    since: int | None = None,
    changed_s: int | None = None,
    overall: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return what a subscription adds to the tick of `at`: `view`, `buckets`, and `reread_from` if it is needed.

    The buckets are the open one, the newest closed one, and earlier ones that may have changed: since `since`, the seq
    of the previous such tick, or by late events, the oldest of which is of the unix second `changed_s`. `reread_from`
    is the start of the oldest of them if it is too old to be sent again. `overall` is that of the tick, which is the
    view without filters. Raises QueryTooSlow.
    """
    step, filters = subscription.step, subscription.filters
    view = queries.live_view(filters, at) if filters != Filters() or overall is None else overall
    if not subscription.specs:
        return {"view": view, "buckets": []}
    again = to_send(step, at, since, changed_s)
    try:
        series = queries.series(subscription.specs, again.window, filters, step=step, now=at)
    except BadQuery:  # buckets of a step that is not a multiple of a minute cannot be read so far back
        again = to_send(step, at, since, changed_s, most_closed=1)
        series = queries.series(subscription.specs, again.window, filters, step=step, now=at)
    buckets = []
    for line in series.as_dict()["series"]:
        del line["unit"]
        buckets.append(line)
    reread = {} if again.reread_from is None else {"reread_from": iso(again.reread_from)}
    return {"view": view, "buckets": buckets, **reread}


class ToSend(NamedTuple):
    """The window of the buckets that are sent, and the start of older buckets that have changed."""

    window: Window
    reread_from: datetime | None


def to_send(
    step: int,
    at: datetime,
    since: int | None = None,
    changed_s: int | None = None,
    most_closed: int = MAX_CATCH_UP_POINTS,
) -> ToSend:
    """Return the window from the oldest bucket that may have changed to the end of this second.

    It has at most `most_closed` closed buckets. If events have changed older ones, their figures are read again anyway,
    so the window is not extended for them.
    """
    end = end_of_now(at)
    opened = (end - 1) // step * step
    limit = opened - most_closed * step
    seen = end - 1 if since is None else min(since, end - 1)
    unseen = (seen - LOOK_BACK_SECONDS) // step * step
    changed = unseen if changed_s is None else changed_s // step * step
    oldest = min(unseen, changed)
    start = min(opened - step, unseen if changed < limit else oldest)
    return ToSend(Window.of_seconds(max(start, limit), end), at_second(oldest) if oldest < limit else None)
