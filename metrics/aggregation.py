"""The arithmetic of rollups: events and samples are summed up in buckets of a second, a minute and an hour.

Pure functions: events in, buckets out. Counts and sums are integers and histograms merge exactly, so the figures do not
depend on the order of the events or on how they are split into batches. `metrics.store.writing.rollup_rows` writes the
buckets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from metrics import catalogue
from metrics.catalogue import Kind, Population
from metrics.events.derive import FinishReason, Outcome
from metrics.histogram import Histogram
from metrics.histogram.bulk import copy_of, histograms_of

if TYPE_CHECKING:
    from metrics.events import InferenceEvent

RESOLUTIONS = (1, 60, 3600)  # seconds
GAUGE_RESOLUTIONS = (60, 3600)  # below a minute, queries read the raw samples

# The columns of `InferenceRollup`, derived from the catalogue.
HISTOGRAMS = tuple(metric for metric in catalogue.of_type("inference") if metric.kind is Kind.HISTOGRAM)
HISTOGRAM_COLUMNS = tuple(metric.column for metric in HISTOGRAMS)
OUTCOME_COLUMNS = tuple(outcome.value for outcome in Outcome)
FINISH_COLUMNS = tuple(f"finish_{reason}" for reason in FinishReason)
TOKEN_METRICS = tuple(metric for metric in catalogue.of_type("inference") if metric.unit == "tokens")
TOKEN_COLUMNS = tuple(metric.field for metric in TOKEN_METRICS)
SUM_COLUMNS = ("streamed", *TOKEN_COLUMNS, "cost_nanodollars", "unpriced_requests")
INTEGER_COLUMNS = OUTCOME_COLUMNS + FINISH_COLUMNS + SUM_COLUMNS


def _populations(outcome: Outcome) -> set[Population]:
    """Return the populations that a request with this outcome belongs to."""
    if outcome is Outcome.OK:
        return {Population.ALL, Population.SUCCESSFUL}
    return {Population.ALL, Population.FAILED} | ({Population.TIMED_OUT} if outcome is Outcome.TIMEOUT else set())


# (event field, column) of the histograms that a request adds a value to, by its outcome.
_RECORDED = {
    outcome: tuple((metric.field, metric.column) for metric in HISTOGRAMS if metric.population in _populations(outcome))
    for outcome in Outcome
}

MAX_SUM = 2**63 - 1  # of a BIGINT; a larger sum is stored as this, so that it does not fail the commit of other events
NANO = 1_000_000_000

ResolutionsFor = Callable[[datetime], Sequence[int]]
BucketKey = tuple[int, int, int]  # resolution, bucket, series


def bucket_start(epoch_seconds: float, resolution: int) -> int:
    """Return the start (unix seconds) of the bucket of this resolution that contains the time."""
    seconds = int(epoch_seconds // 1)
    return seconds - seconds % resolution


class InferenceBucket:
    """The requests of one series in one bucket, in the columns of `InferenceRollup`.

    `integers` has every integer column, `histograms` only the histogram columns that have values.
    """

    __slots__ = ("histograms", "integers")

    integers: dict[str, int]
    histograms: dict[str, Histogram]

    def __init__(self) -> None:
        self.integers = dict.fromkeys(INTEGER_COLUMNS, 0)
        self.histograms = {}

    @classmethod
    def of_integers(cls, integers: dict[str, int]) -> Self:
        """Return a bucket without histograms. It keeps a reference to `integers`."""
        bucket = cls.__new__(cls)
        bucket.integers, bucket.histograms = integers, {}
        return bucket

    @property
    def requests(self) -> int:
        """The number of completed requests, including failed ones."""
        return sum(self.integers[column] for column in OUTCOME_COLUMNS)

    def count_failure(self, outcome: str, n: int = 1) -> None:
        """Add `n` failed requests of which only the error is known. A negative `n` subtracts them."""
        self.integers[outcome] += n

    def merge(self, other: Self) -> None:
        """Add the contents of `other`. Sums are limited to 0…MAX_SUM."""
        integers = self.integers
        for column, value in other.integers.items():
            if value:
                integers[column] = max(0, min(integers[column] + value, MAX_SUM))
        for column, histogram in other.histograms.items():
            known = self.histograms.get(column)
            if known is None:
                self.histograms[column] = copy_of(histogram)
            else:
                known.merge(histogram)


def rollup_events(
    events: Iterable[tuple[InferenceEvent, int]], resolutions_for: ResolutionsFor
) -> dict[BucketKey, InferenceBucket]:
    """Sum up requests, given with the ids of their series, at every resolution whose retention includes them.

    Each request is counted once, at the finest of its resolutions. The coarser buckets are merged from the finest.
    """
    tallies: dict[tuple[int, int, tuple[int, ...]], _Tally] = {}
    for event, series_id in events:
        resolutions = tuple(resolutions_for(event.timestamp))
        if not resolutions:
            continue
        seconds = int(event.timestamp.timestamp())
        key = (seconds - seconds % min(resolutions), series_id, resolutions)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally()
        tally.add(event)
    buckets: dict[BucketKey, InferenceBucket] = {}
    for (start, series_id, resolutions), bucket in zip(tallies, _buckets(list(tallies.values())), strict=True):
        for resolution in resolutions:
            bucket_at(buckets, resolution, start, series_id).merge(bucket)
    return buckets


class _Tally:
    """The requests of one series in one bucket; values are collected in lists and put into histograms later."""

    __slots__ = ("integers", "values")

    def __init__(self) -> None:
        self.integers = dict.fromkeys(INTEGER_COLUMNS, 0)
        self.values: dict[str, list[float]] = {}

    def add(self, event: InferenceEvent) -> None:
        """Add one request."""
        integers, fields = self.integers, event.__dict__
        integers[fields["outcome"]] += 1
        if fields["finish_class"] is not None:
            integers["finish_" + fields["finish_class"]] += 1
        if fields["stream"]:
            integers["streamed"] += 1
        for column in TOKEN_COLUMNS:
            integers[column] += fields[column] or 0
        cost = fields["cost_usd"]
        if cost is None:
            integers["unpriced_requests"] += 1
        else:
            integers["cost_nanodollars"] += round(cost * NANO)
        for name, column in _RECORDED[fields["outcome"]]:
            value = fields[name]
            if value is not None:
                self._record(column, value)

    def _record(self, column: str, value: float) -> None:
        values = self.values.get(column)
        if values is None:
            self.values[column] = [value]
        else:
            values.append(value)


def _buckets(tallies: Sequence[_Tally]) -> list[InferenceBucket]:
    """Return the bucket of each tally. All histograms are filled in one pass."""
    histograms = iter(histograms_of([values for tally in tallies for values in tally.values.values()]))
    buckets = []
    for tally in tallies:
        bucket = InferenceBucket.of_integers(tally.integers)
        bucket.histograms = {column: next(histograms) for column in tally.values}
        buckets.append(bucket)
    return buckets


def bucket_at(
    buckets: dict[BucketKey, InferenceBucket], resolution: int, epoch_seconds: int, series_id: int
) -> InferenceBucket:
    """Return the bucket that contains this second; create it if it does not exist."""
    key = (resolution, epoch_seconds - epoch_seconds % resolution, series_id)
    bucket = buckets.get(key)
    if bucket is None:
        bucket = buckets[key] = InferenceBucket()
    return bucket


@dataclass(slots=True)
class GaugeBucket:
    """The samples of one gauge in one bucket. `last` is the sample with the latest timestamp."""

    count: int
    sum: float
    min: float
    max: float
    last: float
    last_at: int  # unix microseconds

    @classmethod
    def of(cls, value: float, at_microseconds: int) -> Self:
        """Return the bucket of one sample."""
        return cls(1, value, value, value, value, at_microseconds)

    def merge(self, other: Self) -> None:
        """Add the samples of `other`. Of two samples of the same microsecond, the larger is the last."""
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        if (other.last_at, other.last) > (self.last_at, self.last):
            self.last, self.last_at = other.last, other.last_at
