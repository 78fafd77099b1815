"""The arithmetic of rollups: events and samples are summed up in buckets of a second, a minute and an hour.

Pure functions: events in, rows out. Counts and sums are integers and histograms merge exactly, so the figures do not
depend on the order of the events or on how they are split into batches. A bucket may have several rows: readers add
them up, and `metrics.store.compaction` merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from metrics import catalogue
from metrics.catalogue import Kind, Metric, Population
from metrics.events.derive import FinishReason, Outcome
from metrics.histogram.bulk import Values, merge_blobs

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
# What the rows of a request are computed from, beside its series. `finish_class` follows from the finish reason.
_COUNTED_FIELDS = ("timestamp", "success", "outcome", "finish_class", "stream", "cost_usd", *TOKEN_COLUMNS)
REQUEST_FIELDS = tuple(dict.fromkeys([*_COUNTED_FIELDS, *(metric.field for metric in HISTOGRAMS)]))

# Between two samples of a counter that are further apart, in seconds, the host or the engine was down. Sources that
# send every five minutes, such as cron jobs, may be half a minute late.
MAX_COUNTER_GAP = 330
MAX_OWN_GAP = 10  # of the monitor, which samples itself each second; less is a busy machine
MAX_SUM = 2**63 - 1  # of a BIGINT; a larger sum is stored as this, so that it does not fail the commit of other events
NANO = 1_000_000_000

ResolutionsFor = Callable[[datetime], Sequence[int]]
Floors = Mapping[int, int]  # resolution -> start, in unix seconds, of the oldest bucket that events are added to
# (resolution, bucket, series, the INTEGER_COLUMNS, the HISTOGRAM_COLUMNS as packed histograms)
Row = tuple[Any, ...]
Integers = NDArray[np.int64]

KEY_LENGTH = 3
_INTEGERS_END = KEY_LENGTH + len(INTEGER_COLUMNS)
_POSITION = {column: position for position, column in enumerate(INTEGER_COLUMNS)}
_BUCKET_BITS = 36  # of unix seconds, in an integer that also has the series


def max_counter_gap(metric: Metric) -> int:
    """Return how far apart two samples of a counter are at most, in seconds, if its growth between them is known."""
    return MAX_OWN_GAP if metric.type == "monitor" else MAX_COUNTER_GAP


def bucket_start(epoch_seconds: float, resolution: int) -> int:
    """Return the start (unix seconds) of the bucket of this resolution that contains the time."""
    seconds = int(epoch_seconds // 1)
    return seconds - seconds % resolution


class FailureCount(NamedTuple):
    """A number of failed requests of which only the error is known. A negative number takes back an earlier count.

    Their costs are unknown, as those of failed requests that were sent without a cost.
    """

    series: int
    epoch_seconds: int
    outcome: str
    number: int


def rollup_rows(
    requests: Sequence[tuple[InferenceEvent, int]], failures: Iterable[FailureCount], floors: Floors
) -> list[Row]:
    """Sum up requests, given with the ids of their series, and counts of failures in rows for buckets and series.

    Each is added at every resolution whose floor is not later than its bucket.
    """
    fields = [event.__dict__ for event, _ in requests]
    return rollup_rows_of_fields(fields, [series_id for _, series_id in requests], failures, floors)


def rollup_rows_of_fields(
    fields: Sequence[Mapping[str, Any]], series_ids: Sequence[int], failures: Iterable[FailureCount], floors: Floors
) -> list[Row]:
    """Do the same with requests that are given as the values of REQUEST_FIELDS by name."""
    rows = _request_rows(fields, series_ids, floors) if fields else []
    counts: dict[tuple[int, int, int], dict[str, int]] = {}
    for series, epoch_seconds, outcome, number in failures:
        for resolution in RESOLUTIONS:
            start = bucket_start(epoch_seconds, resolution)
            if start >= floors[resolution]:
                by_outcome = counts.setdefault((resolution, start, series), {})
                for column in (outcome, "unpriced_requests"):
                    by_outcome[column] = by_outcome.get(column, 0) + number
    failed = [
        (*key, *(by_outcome.get(column, 0) for column in INTEGER_COLUMNS), *_NO_HISTOGRAMS)
        for key, by_outcome in counts.items()
    ]
    return merge_rows([*rows, *failed]) if failed else rows


def merge_rows(rows: Sequence[Row]) -> list[Row]:
    """Return one row for each bucket and series: the sum of its rows. Rows in which nothing is left are omitted."""
    if not rows:
        return []
    rows = sorted(rows, key=_key_of)
    first = [
        position
        for position in range(len(rows))
        if not position or _key_of(rows[position - 1]) != _key_of(rows[position])
    ]
    groups = np.repeat(np.arange(len(first)), np.diff([*first, len(rows)]))
    integers = np.array([row[KEY_LENGTH:_INTEGERS_END] for row in rows], dtype=np.int64)
    sums = _add_up(integers, groups, len(first)).tolist()
    n_columns = len(HISTOGRAM_COLUMNS)
    blobs = merge_blobs(
        list(chain.from_iterable(row[_INTEGERS_END:] for row in rows)),
        (groups[:, None] * n_columns + np.arange(n_columns)).ravel(),
        len(first) * n_columns,
    )
    merged = []
    for number, position in enumerate(first):
        histograms = blobs[number * n_columns : (number + 1) * n_columns]
        if any(sums[number]) or any(histograms):
            merged.append((*_key_of(rows[position]), *sums[number], *histograms))
    return merged


_NO_HISTOGRAMS = (b"",) * len(HISTOGRAM_COLUMNS)


def _key_of(row: Row) -> Row:
    return row[:KEY_LENGTH]


def _request_rows(fields: Sequence[Mapping[str, Any]], series_ids: Sequence[int], floors: Floors) -> list[Row]:
    seconds = np.array([int(own["timestamp"].timestamp()) for own in fields], dtype=np.int64)
    series = np.array(series_ids, dtype=np.int64)
    integers = _integers_of(fields)
    values, event_of_value, column_of_value = _values_of(fields)
    n_columns = len(HISTOGRAM_COLUMNS)
    rows: list[Row] = []
    last_groups: Integers | None = None
    for resolution in RESOLUTIONS:
        starts = seconds - seconds % resolution
        included = np.flatnonzero(starts >= floors[resolution])
        keys, numbers = np.unique((series[included] << _BUCKET_BITS) + starts[included], return_inverse=True)
        groups = np.full(len(fields), -1)
        groups[included] = numbers
        # Often the requests of each series are in one bucket, also of a coarser resolution. Its contents are the same.
        if last_groups is None or not np.array_equal(groups, last_groups):
            sums = _add_up(integers[included], numbers, len(keys)).tolist()
            of_value = groups[event_of_value]
            of_value = np.where(of_value < 0, -1, of_value * n_columns + column_of_value)
            blobs = values.pack(of_value, len(keys) * n_columns)
            last_groups = groups
        for number, key in enumerate(keys.tolist()):
            histograms = blobs[number * n_columns : (number + 1) * n_columns]
            bucket, series_id = key & ((1 << _BUCKET_BITS) - 1), key >> _BUCKET_BITS
            rows.append((resolution, bucket, series_id, *sums[number], *histograms))
    return rows


def _add_up(integers: Integers, groups: Integers, n_groups: int) -> Integers:
    """Return the sums of the rows of `integers` by group, each limited to MAX_SUM."""
    sums = np.zeros((n_groups, integers.shape[1]), dtype=np.int64)
    np.add.at(sums, groups, integers)
    large = np.zeros(sums.shape)
    np.add.at(large, groups, integers.astype(np.float64))
    sums[large >= MAX_SUM] = MAX_SUM
    return sums


def _integers_of(fields: Sequence[Mapping[str, Any]]) -> Integers:
    """Return what each request adds to INTEGER_COLUMNS."""
    integers = np.zeros((len(fields), len(INTEGER_COLUMNS)), dtype=np.int64)
    every = np.arange(len(fields))
    integers[every, [_POSITION[own["outcome"]] for own in fields]] = 1
    finished = [number for number, own in enumerate(fields) if own["finish_class"] is not None]
    integers[finished, [_POSITION["finish_" + fields[number]["finish_class"]] for number in finished]] = 1
    integers[:, _POSITION["streamed"]] = [bool(own["stream"]) for own in fields]
    for column in TOKEN_COLUMNS:
        integers[:, _POSITION[column]] = [own[column] or 0 for own in fields]
    costs = np.array([own["cost_usd"] for own in fields], dtype=np.float64)  # None becomes NaN
    integers[:, _POSITION["unpriced_requests"]] = np.isnan(costs)
    integers[:, _POSITION["cost_nanodollars"]] = np.rint(np.nan_to_num(costs) * NANO)
    return integers


def _values_of(fields: Sequence[Mapping[str, Any]]) -> tuple[Values, Integers, Integers]:
    """Return the values that the requests add to histograms, with their requests and their HISTOGRAM_COLUMNS."""
    successful = np.array([own["success"] for own in fields], dtype=bool)
    population = {
        Population.ALL: np.ones(len(fields), dtype=bool),
        Population.SUCCESSFUL: successful,
        Population.FAILED: ~successful,
        Population.TIMED_OUT: np.array([own["outcome"] == Outcome.TIMEOUT for own in fields], dtype=bool),
    }
    values, events, columns = [], [], []
    for number, metric in enumerate(HISTOGRAMS):
        column = np.array([own[metric.field] for own in fields], dtype=np.float64)  # None becomes NaN
        chosen = np.flatnonzero(population[metric.population] & ~np.isnan(column))
        values.append(column[chosen])
        events.append(chosen)
        columns.append(np.full(len(chosen), number))
    return Values(np.concatenate(values)), np.concatenate(events), np.concatenate(columns)


@dataclass(slots=True)
class GaugeBucket:
    """The samples of one gauge in one bucket. `last` is the sample with the latest timestamp."""

    count: int
    sum: float
    min: float
    max: float
    last: float
    last_at: int  # unix microseconds
    growth: float | None = None  # of a counter, over `covered_seconds`
    covered_seconds: float | None = None

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
        if other.growth is not None and other.covered_seconds is not None:
            self.growth = (self.growth or 0.0) + other.growth
            self.covered_seconds = (self.covered_seconds or 0.0) + other.covered_seconds
