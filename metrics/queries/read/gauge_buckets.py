"""Buckets of gauge samples, and their combination into one value. Pure functions.

An instance is a host, a GPU, or the queue or engine of a model at a source. Samples are averaged for each instance and
bucket, and only then combined over the instances as the catalogue says. A host that sends twice as many samples
therefore does not count twice. `min` and `max` are the smallest and the largest of the instances' values, or the sums
of these where the catalogue adds levels.

The queue of a model may be reported by an engine, a `track` call and an SDK. In each bucket, the first of these kinds
that has samples is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from metrics.aggregation import MAX_COUNTER_GAP, CounterReading, parts
from metrics.catalogue import Combine, Metric
from metrics.levels import DEFAULT_INTERVAL, MAX_VALID_SECONDS, rank_of_kind, valid_seconds
from metrics.queries.time.plan import Plan


class InstanceLabels(NamedTuple):
    """The labels of an instance. Those that it does not have are empty."""

    host: str
    gpu: str
    model: str
    kind: str
    source: str


@dataclass(slots=True)
class InstanceBucket:
    """The samples of one instance in one bucket.

    `growth` is that of a counter in `covered_seconds`.
    """

    count: int = 0
    sum: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")
    last: float | None = None
    growth: float = 0.0
    covered_seconds: float = 0.0

    def add(self, count: int, total: float, least: float, most: float) -> None:
        """Add the count, the sum, the minimum and the maximum of some samples."""
        self.count += count
        self.sum += total
        self.min = min(self.min, least)
        self.max = max(self.max, most)


# By the id of the instance's label set and the number of the step.
InstanceBuckets = dict[tuple[int, int], InstanceBucket]


def validity(newest: datetime, oldest: datetime, count: int) -> timedelta:
    """Return how long the newest of `count` samples is valid, from the mean interval between them."""
    interval = (newest - oldest).total_seconds() / (count - 1) if count > 1 else DEFAULT_INTERVAL
    return timedelta(seconds=valid_seconds(interval))


class _Reading(NamedTuple):
    """The newest reading of an instance: its unix time, its value, and the end of its validity."""

    buckets: InstanceBuckets
    at: float
    value: float
    valid_until: float


class HeldReadings:
    """Adds readings to the empty steps that start while they are valid, up to the next reading of the instance."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._newest: dict[tuple[int, int], _Reading] = {}

    def add(self, buckets: InstanceBuckets, instance: int, at: float, value: float, count: int) -> None:
        """Note the newest of `count` samples of a step or a minute, and fill the steps before it.

        The readings of an instance must come in the order of time. Their own steps are not filled.
        """
        key = id(buckets), instance
        previous = self._newest.get(key)
        interval = DEFAULT_INTERVAL
        if previous:
            self._fill(previous, instance, at)
            if at - previous.at <= MAX_VALID_SECONDS:  # as in `metrics.levels`
                interval = (at - previous.at) / count
        # In minutes, a reading is valid from the start of its minute on, as that of a level is.
        begin = at - at % self._plan.resolution if self._plan.resolution > 1 else at
        self._newest[key] = _Reading(buckets, at, value, begin + valid_seconds(interval))

    def fill_the_rest(self) -> None:
        """Fill the steps after the last readings."""
        for (_, instance), reading in self._newest.items():
            self._fill(reading, instance, float(self._plan.end))

    def _fill(self, reading: _Reading, instance: int, until: float) -> None:
        plan = self._plan
        end = min(reading.valid_until, until, plan.end)
        step_of_next = plan.step_of(until) if until < plan.end else None
        step = max(plan.step_of(reading.at) + 1, 0)
        while plan.start + step * plan.step_seconds < end and step != step_of_next:
            bucket = InstanceBucket(last=reading.value)
            bucket.add(1, reading.value, reading.value, reading.value)
            reading.buckets[instance, step] = bucket
            step += 1


def add_growth(
    buckets: InstanceBuckets, instance: int, plan: Plan, earlier: CounterReading, later: CounterReading
) -> None:
    """Spread the growth of a counter between two samples over the steps between them."""
    whole = later.at - earlier.at
    if not 0 < whole <= MAX_COUNTER_GAP * 1_000_000:
        return
    growth = later.growth_since(earlier)
    for step, part in parts(earlier.at, later.at, plan.start * 1_000_000, plan.step_seconds * 1_000_000):
        if 0 <= step < plan.points:
            bucket = buckets.setdefault((instance, step), InstanceBucket())
            bucket.growth += growth * part / whole
            bucket.covered_seconds += part / 1e6


def of_preferred_kind(buckets: InstanceBuckets, labels: Mapping[int, InstanceLabels]) -> InstanceBuckets:
    """Return the buckets of the preferred kind of queue for each model and step."""
    ranks = {instance: rank_of_kind(of.kind) for instance, of in labels.items()}
    best: dict[tuple[str, int], int] = {}
    for instance, step in buckets:
        if instance in labels:
            key = labels[instance].model, step
            best[key] = min(best.get(key, ranks[instance]), ranks[instance])
    return {
        (instance, step): bucket
        for (instance, step), bucket in buckets.items()
        if instance in labels and ranks[instance] == best[labels[instance].model, step]
    }


def by_label_values(
    metric: Metric, buckets: InstanceBuckets, labels: Mapping[int, InstanceLabels], names: Sequence[str]
) -> dict[tuple[str, ...], dict[int, list[InstanceBucket]]]:
    """Return the buckets by the values of these labels and by the number of the step."""
    if metric.type == "queue":
        buckets = of_preferred_kind(buckets, labels)
    values = {instance: tuple(getattr(of, name) for name in names) for instance, of in labels.items()}
    groups: dict[tuple[str, ...], dict[int, list[InstanceBucket]]] = defaultdict(lambda: defaultdict(list))
    for (instance, step), bucket in buckets.items():
        if instance in values:
            groups[values[instance]][step].append(bucket)
    return groups


def combine(metric: Metric, stat: str, buckets: Iterable[InstanceBucket]) -> float | None:
    """Return a statistic over the buckets of several instances; None if there is no value."""
    match stat:
        case "avg":
            values = [bucket.sum / bucket.count for bucket in buckets if bucket.count]
        case "min":
            values = [bucket.min for bucket in buckets if bucket.count]
        case "max":
            values = [bucket.max for bucket in buckets if bucket.count]
        case "last":
            values = [bucket.last for bucket in buckets if bucket.last is not None]
        case _:
            values = [bucket.growth / bucket.covered_seconds for bucket in buckets if bucket.covered_seconds]
    if not values:
        return None
    if metric.combine is Combine.SUM:
        return sum(values)
    if stat in ("min", "max"):
        return min(values) if stat == "min" else max(values)
    return max(values) if metric.combine is Combine.MAX else sum(values) / len(values)
