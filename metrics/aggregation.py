"""The arithmetic of rollups: what requests and samples become in buckets of a second, a minute and an hour.

Pure: events in, accumulators out. Counts and sums are integers and histograms add exactly, so batches may come in any
order and be cut in any way, and the figures are the same. `metrics.store.writing.rollup_rows` loads, merges and writes
these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Self

from metrics.histogram import Histogram
from metrics.histogram.bulk import copy_of, histograms_of

if TYPE_CHECKING:
    from metrics.events import InferenceEvent

RESOLUTIONS = (1, 60, 3600)  # seconds
GAUGE_RESOLUTIONS = (60, 3600)  # below a minute the raw samples are the resolution

# Percentiles of time and speed are over successful requests: a fast refusal must not flatter, a timeout must not hide.
SUCCESS_COLUMNS = (
    "response_time_ms",
    "processing_time_ms",
    "queue_time_ms",
    "ttft_ms",
    "time_per_output_token_ms",
    "tokens_per_second",
)
HISTOGRAM_COLUMNS = (
    "response_time_ms",
    "processing_time_ms",
    "queue_time_ms",
    "ttft_ms",
    "time_per_output_token_ms",
    "prompt_tokens_histogram",
    "completion_tokens_histogram",
    "tokens_per_second",
    "failed_response_time_ms",
)
OUTCOME_COLUMNS = ("ok", "client_error", "rate_limited", "server_error", "timeout", "cancelled")
FINISH_COLUMNS = (
    "finish_stop",
    "finish_length",
    "finish_tool",
    "finish_content_filter",
    "finish_error",
    "finish_other",
)
SUM_COLUMNS = (
    "streamed",
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cached_tokens",
    "reasoning_tokens",
    "cost_nanodollars",
    "unpriced_requests",
)
# Tokens are summed; of those that make up a request the distribution is kept, too.
TOKEN_COLUMNS: tuple[tuple[str, str | None], ...] = (
    ("prompt_tokens", "prompt_tokens_histogram"),
    ("completion_tokens", "completion_tokens_histogram"),
    ("total_tokens", None),
    ("cached_tokens", None),
    ("reasoning_tokens", None),
)
INTEGER_COLUMNS = OUTCOME_COLUMNS + FINISH_COLUMNS + SUM_COLUMNS

MAX_SUM = 2**63 - 1  # of a BIGINT; a sum beyond it stays there instead of failing the commit that holds others' events
NANO = 1_000_000_000

ResolutionsFor = Callable[[datetime], Sequence[int]]
BucketKey = tuple[int, int, int]  # resolution, bucket, series


def bucket_start(epoch_seconds: float, resolution: int) -> int:
    """The start, in unix seconds, of the bucket of this resolution that holds the time."""
    seconds = int(epoch_seconds // 1)
    return seconds - seconds % resolution


class InferenceBucket:
    """The requests of one series in one bucket, in the columns of `InferenceRollup`.

    `integers` holds every integer column, `histograms` those histogram columns that have values.
    """

    __slots__ = ("histograms", "integers")

    integers: dict[str, int]
    histograms: dict[str, Histogram]

    def __init__(self) -> None:
        self.integers = dict.fromkeys(INTEGER_COLUMNS, 0)
        self.histograms = {}

    @classmethod
    def of_integers(cls, integers: dict[str, int]) -> Self:
        """A bucket of counts and sums alone; it shares `integers`."""
        bucket = cls.__new__(cls)
        bucket.integers, bucket.histograms = integers, {}
        return bucket

    @property
    def requests(self) -> int:
        """Requests that ended, failed ones among them."""
        return sum(self.integers[column] for column in OUTCOME_COLUMNS)

    def count_failure(self, outcome: str, n: int = 1) -> None:
        """Count a failed request of which nothing but its error is known; a negative n takes such counts back."""
        self.integers[outcome] += n

    def merge(self, other: Self) -> None:
        """Add all that `other` counted. Sums stay within 0…MAX_SUM."""
        own = self.integers
        for column, value in other.integers.items():
            if value:
                own[column] = max(0, min(own[column] + value, MAX_SUM))
        for column, histogram in other.histograms.items():
            mine = self.histograms.get(column)
            if mine is None:
                self.histograms[column] = copy_of(histogram)
            else:
                mine.merge(histogram)


def rollup_events(
    events: Iterable[tuple[InferenceEvent, int]], resolutions_for: ResolutionsFor
) -> dict[BucketKey, InferenceBucket]:
    """The buckets of these requests, each with its series' id, at the resolutions that still hold them.

    Requests are counted once, at the finest of their resolutions; the coarser buckets are merged from those.
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
    """The requests of one series in one bucket, with the values of their histograms still one by one."""

    __slots__ = ("integers", "values")

    def __init__(self) -> None:
        self.integers = dict.fromkeys(INTEGER_COLUMNS, 0)
        self.values: dict[str, list[float]] = {}

    def add(self, event: InferenceEvent) -> None:
        """Count one request."""
        own, sent = self.integers, event.__dict__
        own[sent["outcome"]] += 1
        if sent["finish_class"] is not None:
            own["finish_" + sent["finish_class"]] += 1
        if sent["stream"]:
            own["streamed"] += 1
        for column, histogram in TOKEN_COLUMNS:
            value = sent[column]
            if value is not None:
                own[column] += value
                if histogram is not None:
                    self._record(histogram, value)
        cost = sent["cost_usd"]
        if cost is None:
            own["unpriced_requests"] += 1
        else:
            own["cost_nanodollars"] += round(cost * NANO)
        if sent["success"]:
            for column in SUCCESS_COLUMNS:
                value = sent[column]
                if value is not None:
                    self._record(column, value)
        elif sent["response_time_ms"] is not None:
            self._record("failed_response_time_ms", sent["response_time_ms"])

    def _record(self, column: str, value: float) -> None:
        values = self.values.get(column)
        if values is None:
            self.values[column] = [value]
        else:
            values.append(value)


def _buckets(tallies: Sequence[_Tally]) -> list[InferenceBucket]:
    """The bucket of each tally. All their histograms are filled in one pass."""
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
    """The bucket that holds this second, made where it is missing."""
    key = (resolution, epoch_seconds - epoch_seconds % resolution, series_id)
    found = buckets.get(key)
    if found is None:
        found = buckets[key] = InferenceBucket()
    return found


@dataclass(slots=True)
class GaugeBucket:
    """The samples of one gauge in one bucket. `last` is the latest by its own time, whatever order they came in."""

    count: int
    sum: float
    min: float
    max: float
    last: float
    last_at: int  # unix microseconds

    @classmethod
    def of(cls, value: float, at_microseconds: int) -> Self:
        """The bucket of one sample."""
        return cls(1, value, value, value, value, at_microseconds)

    def merge(self, other: Self) -> None:
        """Add the samples of `other`. Of two at the same microsecond the larger is the last."""
        self.count += other.count
        self.sum += other.sum
        self.min = min(self.min, other.min)
        self.max = max(self.max, other.max)
        if (other.last_at, other.last) > (self.last_at, self.last):
            self.last, self.last_at = other.last, other.last_at
