"""When the monitor and the hosts were up, down or not known, over some days.

The monitor records its outages to the second when they end (`metrics.store.outages`); one that lasts began with its
newest sample. A host is down in the minutes in which none of its samples arrived, if they are at least three and longer
than three of its intervals; while the monitor itself was down, nothing is known of hosts. In days whose minutes have
become hours, a host is down only after its last reading has become invalid (`metrics.readings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from django.core.cache import caches
from numpy.typing import NDArray

from metrics import catalogue
from metrics.levels import HOUR, MINUTES_OF_HOUR
from metrics.models import GaugeLabels, GaugeRollup, MonitorOutage
from metrics.models.own_samples import LONGEST_GAP, OWN_METRIC, newest_own_sample
from metrics.queries.answers.hosts import host_states
from metrics.queries.read.budget import query_budget
from metrics.queries.read.gauge_cache import read_rows
from metrics.queries.time.plan import Segment
from metrics.readings import INSTANCE, MINUTE, START, VALID_INTERVALS

DAYS = 30
LEAST_MINUTES = 3
MAX_HOSTS = 20
MAX_OUTAGES = 10_000
MAX_DRAWN = 500  # of the outages
CACHE_SECONDS = 30
# A level, whose rows of hours have a bit for each minute.
OF_HOSTS = "system.memory_used_gb"

Span = tuple[int, int]  # from and to, unix seconds


@dataclass(frozen=True)
class Availability:
    """Of the monitor (`name` is empty) or a host. Times are unix seconds; spans are in their order.

    since: when it was first watched in these days, or the oldest of MAX_OUTAGES outages. until: now, or of demo data
    that has ended, its last sample.
    """

    name: str
    since: int
    until: int
    down: tuple[Span, ...] = ()
    unknown: tuple[Span, ...] = ()
    is_demo: bool = False

    @property
    def down_seconds(self) -> int:
        """How long it was down."""
        return _seconds(self.down)

    @property
    def unknown_seconds(self) -> int:
        """How long nothing is known of it."""
        return _seconds(self.unknown)

    @property
    def percent(self) -> float | None:
        """The share of the known time in which it was up; None if no time is known."""
        known = self.until - self.since - self.unknown_seconds
        return 100.0 * max(0, known - self.down_seconds) / known if known > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON; times in milliseconds. Of many spans, it has the MAX_DRAWN longest."""
        return {
            "name": self.name,
            "since": self.since * 1000,
            "until": self.until * 1000,
            "percent": self.percent,
            "outages": len(self.down),
            "down_seconds": self.down_seconds,
            "unknown_seconds": self.unknown_seconds,
            "down": _drawn(self.down),
            "unknown": _drawn(self.unknown),
            "is_demo": self.is_demo,
        }


def availability(now: datetime, days: int = DAYS) -> list[Availability]:
    """Return that of the monitor, then of up to MAX_HOSTS hosts that send `memory_used_gb`. Raises QueryStopped.

    The host that the monitor runs on is the first of them, then the others by name, then those of demo data.

    It is computed every half minute. Without a sample of the monitor the list is empty.
    """
    key = f"availability:{days}"
    entry: tuple[datetime, list[Availability]] | None = caches["queries"].get(key)
    if entry is not None and timedelta(0) <= now - entry[0] <= timedelta(seconds=CACHE_SECONDS):
        return entry[1]
    with query_budget():
        result = _compute(now, days)
    caches["queries"].set(key, (now, result), CACHE_SECONDS)
    return result


def _compute(now: datetime, days: int) -> list[Availability]:
    end = int(now.timestamp())
    start = end - days * 86_400
    newest, first = newest_own_sample(now + timedelta.resolution), _first_watched()
    if newest is None or first is None:
        return []
    down = _outages(start, end)
    if len(down) == MAX_OUTAGES:
        start = down[0][0]  # older ones are not read
    if now - newest > LONGEST_GAP:
        down.append((max(start, int(newest.timestamp())), end))  # it lasts
    monitor = Availability("", min(end, max(start, first)), end, tuple(down))
    return [monitor, *_of_hosts(now, start, end, monitor.down)]


def _outages(start: int, end: int) -> list[Span]:
    """Return the newest MAX_OUTAGES outages that ended after `start`, in their order."""
    query = MonitorOutage.objects.filter(end__gt=datetime.fromtimestamp(start, UTC)).order_by("-start")
    newest = query.values_list("start", "end")[:MAX_OUTAGES]
    spans = [(max(start, int(first.timestamp())), min(end, int(last.timestamp()))) for first, last in newest]
    return [span for span in reversed(spans) if span[0] < span[1]]


def _first_watched() -> int | None:
    """Return when the monitor was first watched, to the minute or, days ago, to the hour."""
    rows = GaugeRollup.objects.filter(metric=OWN_METRIC).order_by("bucket")
    firsts = [
        bucket
        for resolution in (MINUTE, HOUR)
        for bucket in rows.filter(resolution=resolution).values_list("bucket", flat=True)[:1]
    ]
    outage = MonitorOutage.objects.order_by("start").first()
    if outage is not None:  # the samples before it may have been deleted
        firsts.append(int(outage.start.timestamp()))
    return min(firsts, default=None)


def _of_hosts(now: datetime, start: int, end: int, unknown: Sequence[Span]) -> list[Availability]:
    own = (
        GaugeRollup.objects.filter(metric=OWN_METRIC).order_by("-bucket").values_list("labels__host", flat=True).first()
    )
    hosts = sorted(host_states(now), key=lambda host: (host["is_demo"], host["host"] != own, host["host"]))
    result: list[Availability] = []
    for first in range(0, len(hosts), MAX_HOSTS):
        result += _with_samples(hosts[first : first + MAX_HOSTS], start, end, unknown)
        if len(result) >= MAX_HOSTS:
            break
    return result[:MAX_HOSTS]


def _with_samples(
    hosts: Sequence[Mapping[str, Any]], start: int, end: int, unknown: Sequence[Span]
) -> Iterator[Availability]:
    """Yield that of the hosts that have samples of OF_HOSTS."""
    labels = dict(
        GaugeLabels.objects.filter(host__in=[host["host"] for host in hosts], gpu_id="").values_list("id", "host")
    )
    origin = start - start % MINUTE
    minutes = _minutes_with_samples(origin, end, sorted(labels))
    is_unknown = _minutes_of(unknown, origin, end)
    for host in hosts:
        own = [minutes[number] for number, name in labels.items() if name == host["host"] and number in minutes]
        if own:
            has_samples = np.any(own, axis=0)
            since = origin + int(np.argmax(has_samples)) * MINUTE
            down = _spans(_is_silent(has_samples) & ~is_unknown, origin)
            until = end
            if host["is_demo"] and host["state"] == "down":  # its data has ended, no machine has
                until = origin + (int(np.flatnonzero(has_samples)[-1]) + 1) * MINUTE
                down = [span for span in down if span[1] <= until]
            within = [
                (max(since, first), min(until, last)) for first, last in unknown if last > since and first < until
            ]
            yield Availability(host["host"], since, until, tuple(down), tuple(within), host["is_demo"])


def _minutes_with_samples(origin: int, end: int, ids: Sequence[int]) -> dict[int, NDArray[np.bool_]]:
    """Return for each label set whether each minute from `origin` to `end` has a sample."""
    metric, length = catalogue.get(OF_HOSTS), (end - origin) // MINUTE
    has_samples = {number: np.zeros(length + MINUTES_OF_HOUR, dtype=bool) for number in ids}
    # An hour is stored when its minutes are deleted, so it is read after them.
    for segment in (Segment(MINUTE, origin, end), Segment(HOUR, origin // HOUR * HOUR, end)) if ids else ():
        rows = read_rows([metric], segment, ids)[OF_HOSTS]
        for values, bits in zip(rows.values.tolist(), rows.minutes.tolist(), strict=True):
            first = (int(values[START]) - origin) // MINUTE
            of_labels = has_samples[int(values[INSTANCE])]
            if segment.resolution == MINUTE:
                of_labels[max(0, first)] = True
            else:
                for minute in range(max(0, -first), MINUTES_OF_HOUR):
                    of_labels[first + minute] |= bool(bits >> minute & 1)
    return {number: own[:length] for number, own in has_samples.items() if own[:length].any()}


def _is_silent(has_samples: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the minutes without a sample, after the first one, in spans longer than three intervals of the source.

    The interval is the distance of the two samples before the span.
    """
    sampled = np.append(np.flatnonzero(has_samples), len(has_samples))
    distances = np.diff(sampled)
    intervals = np.append(distances[:1], distances[:-1])  # the first is not known
    is_long = distances > np.maximum(LEAST_MINUTES, VALID_INTERVALS * intervals)
    silent = np.zeros(len(has_samples), dtype=bool)
    silent[sampled[0] :] = np.repeat(is_long, distances)
    return silent & ~has_samples


def _minutes_of(spans: Iterable[Span], origin: int, end: int) -> NDArray[np.bool_]:
    """Return for each minute from `origin` to `end` whether a part of it is in a span."""
    minutes = np.zeros((end - origin) // MINUTE, dtype=bool)
    for first, last in spans:
        minutes[max(0, first - origin) // MINUTE : max(0, -((origin - last) // MINUTE))] = True
    return minutes


def _spans(minutes: NDArray[np.bool_], origin: int) -> list[Span]:
    """Return the spans of the minutes that are True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], minutes, [False]))))
    return [(origin + int(first) * MINUTE, origin + int(last) * MINUTE) for first, last in edges.reshape(-1, 2)]


def _seconds(spans: Iterable[Span]) -> int:
    return sum(end - start for start, end in spans)


def _drawn(spans: Sequence[Span]) -> list[list[int]]:
    longest = sorted(spans, key=lambda span: span[0] - span[1])[:MAX_DRAWN]
    return [[start * 1000, end * 1000] for start, end in sorted(longest)]
