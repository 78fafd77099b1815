"""Reading the rollups of requests.

`read_rows` reads the rollup rows of a query once, for all its figures. `GroupedRollups` adds them up by group: by label
set, by step, or by both. Sums are added and histograms merged with numpy, so the cost depends on the number of rollup
rows in the window, not on the number of requests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from functools import cached_property, reduce
from itertools import islice
from operator import add
from typing import Any, TypeVar

import numpy as np
from django.db.models import ExpressionWrapper, F, Field, Sum

from metrics.aggregation import HISTOGRAM_COLUMNS, NANO, OUTCOME_COLUMNS, TOKEN_COLUMNS
from metrics.catalogue import Kind, Metric
from metrics.histogram import HistogramGroups, merge_packed_groups
from metrics.models import InferenceRollup, Series
from metrics.queries.read.budget import CHECK_ROWS, check_budget, count_rows
from metrics.queries.read.filters import SERIES_COLUMN, TAG_PREFIX
from metrics.queries.read.sql import MAX_IDS_IN_SQL, one_of
from metrics.queries.time.plan import Segment

CHUNK_ROWS = 4_000
BLOB_BYTES = 41  # of a bytes object beside its content, and of the reference to it
BUCKET, SERIES = "bucket", "series_id"
# The successful and the failed requests of a row. The database adds up the outcomes of the latter.
COUNTS = ("ok", "failed")
_FAILED = reduce(add, (F(column) for column in OUTCOME_COLUMNS if column != "ok"))
_FAILED_AS_READ = ExpressionWrapper(_FAILED, output_field=Field())  # without a type, whose conversion costs 1 µs a row
# The histograms of the response time by outcome. For other outcomes, it is the column of the metric.
_RESPONSE_TIME_COLUMNS = {
    "failed": ("failed_response_time_ms",),
    "success_or_timeout": ("response_time_ms", "timeout_response_time_ms"),
    "all": ("response_time_ms", "failed_response_time_ms"),
}
# Sums do not tell whether a number of tokens was sent, but these histograms do, because they count zeros. Cached tokens
# are input tokens and reasoning tokens are output tokens: where those were sent, 0 of these were used.
_REPORTED_IN = {
    "cached_tokens": ("prompt_tokens_histogram",),
    "reasoning_tokens": ("completion_tokens_histogram",),
    "total_tokens": ("prompt_tokens_histogram", "completion_tokens_histogram"),
}

Group = TypeVar("Group", bound=Hashable)


class RollupRows:
    """Rollup rows by column: `buckets` (their starts), `series` (ids of label sets), and the columns that were read.

    Integers are held in arrays, because a tuple of Python's numbers for each row would need three times the memory.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._integers: dict[str, list[np.ndarray]] = {BUCKET: [], SERIES: []}
        self._blobs: dict[str, list[bytes]] = {}
        self._has_values: dict[str, np.ndarray] = {}
        for name in names:
            if name in HISTOGRAM_COLUMNS:
                self._blobs[name] = []
            else:
                self._integers[name] = []
        self._names = (BUCKET, SERIES, *names)

    def add(self, rows: Sequence[tuple[Any, ...]]) -> int:
        """Add rows with the values of `buckets`, `series` and the columns. Return their size in bytes."""
        size = 0
        for name, values in zip(self._names, zip(*rows, strict=True), strict=False):
            if name in self._blobs:
                # PostgreSQL's adapter returns memoryviews.
                blobs = values if isinstance(values[0], bytes) else list(map(bytes, values))
                self._blobs[name] += blobs
                size += sum(map(len, blobs)) + BLOB_BYTES * len(blobs)
            else:
                self._integers[name].append(np.fromiter(values, dtype=np.int64, count=len(values)))
                size += self._integers[name][-1].nbytes
        return size

    def __len__(self) -> int:
        return len(self.buckets)

    @property
    def buckets(self) -> np.ndarray:
        """The start of the bucket of each row, in unix seconds."""
        return self.integers(BUCKET)

    @property
    def series(self) -> np.ndarray:
        """The id of the label set of each row."""
        return self.integers(SERIES)

    def blobs(self, column: str) -> Sequence[bytes]:
        """Return the packed histograms of a column."""
        return self._blobs[column]

    def integers(self, column: str) -> np.ndarray:
        """Return the values of an integer column."""
        parts = self._integers[column]
        if len(parts) != 1:
            parts[:] = [np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)]
        return parts[0]

    @cached_property
    def requests(self) -> np.ndarray:
        """The number of completed requests of each row, including failed ones."""
        ok, failed = COUNTS
        total: np.ndarray = self.integers(ok) + self.integers(failed)
        return total

    def has_values(self, column: str) -> np.ndarray:
        """Return for each row whether its packed histogram has a value. An empty one is stored as no bytes."""
        if column not in self._has_values:
            self._has_values[column] = np.fromiter(map(bool, self.blobs(column)), dtype=np.int64, count=len(self))
        return self._has_values[column]

    @cached_property
    def _distinct_series(self) -> tuple[list[int], np.ndarray]:
        """The ids of the series, and for each row the position of its series in them."""
        ids, positions = np.unique(self.series, return_inverse=True)
        return ids.tolist(), positions

    @property
    def series_ids(self) -> list[int]:
        """The ids of the series that have rows."""
        return self._distinct_series[0]

    def requests_by_series(self) -> dict[int, int]:
        """Return the number of completed requests of each series."""
        return self.requests_by({series_id: series_id for series_id in self.series_ids})

    def requests_by(self, group_of_series: Mapping[int, Group]) -> dict[Group, int]:
        """Return the number of completed requests of each group. Rows of other series are omitted."""
        return self._sums_by(group_of_series, self.requests)

    def failures_by(self, group_of_series: Mapping[int, Group]) -> dict[Group, int]:
        """Return the number of failed requests of each group. Rows of other series are omitted."""
        return self._sums_by(group_of_series, self.integers("failed"))

    def _sums_by(self, group_of_series: Mapping[int, Group], values: np.ndarray) -> dict[Group, int]:
        ids, positions = self._distinct_series
        counts = np.zeros(len(ids), dtype=np.int64)
        np.add.at(counts, positions, values)
        totals: dict[Group, int] = {}
        for series_id, count in zip(ids, counts.tolist(), strict=True):
            if series_id in group_of_series:
                group = group_of_series[series_id]
                totals[group] = totals.get(group, 0) + count
        return totals

    def group_numbers(self, number_of_series: Mapping[int, int], default: int) -> np.ndarray:
        """Return the number of each row's group; `default` for the rows of other series."""
        ids, positions = self._distinct_series
        numbers = np.array([number_of_series.get(series_id, default) for series_id in ids], dtype=np.int64)
        return np.take(numbers, positions)


def read_rows(segments: Iterable[Segment], columns: Iterable[str], series_ids: Sequence[int] | None) -> RollupRows:
    """Return these columns of the rollup rows of some segments and series (None: all series)."""
    names = list(dict.fromkeys(columns))
    # A long list of ids is compared here, because a statement has a limited number of parameters.
    compared = set(series_ids) if series_ids is not None and len(series_ids) > MAX_IDS_IN_SQL else None
    rows = RollupRows(names)
    if series_ids is not None and not len(series_ids):
        return rows
    for resolution, start, end in segments:
        queryset = InferenceRollup.objects.filter(resolution=resolution, bucket__gte=start, bucket__lt=end)
        if series_ids is not None and compared is None:
            queryset = queryset.filter(series_id__in=series_ids)
        queryset = queryset.order_by("bucket", "series_id").annotate(failed=_FAILED_AS_READ)
        read = queryset.values_list("bucket", "series_id", *names).iterator(CHUNK_ROWS)
        while chunk := list(islice(read, CHECK_ROWS)):
            selected = chunk if compared is None else [row for row in chunk if row[1] in compared]
            count_rows(len(chunk), rows.add(selected))
        check_budget()
    return rows


def count_requests(segments: Iterable[Segment]) -> Counter[int]:
    """Return the number of completed requests of each series, which the database adds up."""
    counts = Counter[int]()
    number = Sum(F("ok") + _FAILED)
    for resolution, start, end in segments:
        rows = InferenceRollup.objects.filter(resolution=resolution, bucket__gte=start, bucket__lt=end)
        for series_id, count in rows.values("series_id").annotate(n=number).order_by().values_list("series_id", "n"):
            counts[series_id] += int(count)
    return counts


class GroupedRollups:
    """Rollup rows added up by group, as arrays or lists with an item for each group.

    `group_of_row` has the group of each row, from 0 to `count` - 1. Rows with a negative number are omitted.
    """

    def __init__(self, rows: RollupRows, group_of_row: np.ndarray, count: int) -> None:
        self._rows = rows
        self._included = np.flatnonzero(group_of_row >= 0)
        self._group = group_of_row[self._included]
        self.count = count
        self._sums: dict[str, np.ndarray] = {}
        self._histograms: dict[tuple[str, ...], HistogramGroups] = {}
        self._parts: GroupedRollups | None = None

    @classmethod
    def as_one(cls, rows: RollupRows) -> GroupedRollups:
        """Return the sums of all rows, as one group."""
        return cls(rows, np.zeros(len(rows), dtype=np.int64), 1)

    def total(self) -> GroupedRollups:
        """Return the sums of all groups, as one group. Histograms are merged from those of the groups."""
        groups = np.full(len(self._rows), -1)
        groups[self._included] = 0
        total = GroupedRollups(self._rows, groups, 1)
        total._parts = self
        return total

    def sums(self, column: str) -> np.ndarray:
        """Return the sums of an integer column."""
        if column not in self._sums:
            self._sums[column] = self._add_up(self._rows.integers(column))
        return self._sums[column]

    @cached_property
    def requests(self) -> np.ndarray:
        """The numbers of completed requests, including failed ones."""
        return self._add_up(self._rows.requests)

    def _add_up(self, values: np.ndarray) -> np.ndarray:
        totals = np.zeros(self.count, dtype=np.int64)
        np.add.at(totals, self._group, values[self._included])
        return totals

    def histograms(self, metric: Metric, outcome: str | None) -> HistogramGroups:
        """Return the distributions of a metric over the requests with this outcome; empty if it has none."""
        columns = histogram_columns(metric, outcome)
        if columns not in self._histograms:
            if self._parts is not None:
                self._histograms[columns] = self._parts.histograms(metric, outcome).total()
            else:
                self._histograms[columns] = self._merged(columns)
        return self._histograms[columns]

    def _merged(self, columns: Sequence[str]) -> HistogramGroups:
        """Return the histograms of the columns together."""
        check_budget()
        blobs: list[bytes] = []
        included = self._included.tolist()
        for column in columns:
            of_column = self._rows.blobs(column)
            blobs += of_column if len(self._included) == len(of_column) else map(of_column.__getitem__, included)
        return merge_packed_groups(blobs, np.tile(self._group, len(columns)), self.count)

    def values(
        self, metric: Metric, stat: str, outcome: str | None, seconds: np.ndarray
    ) -> Sequence[float | int | None]:
        """Return a statistic of each group; None for a group without requests.

        `seconds` is the time that each group covers, for rates.
        """
        requests = self.requests
        if metric.kind is Kind.HISTOGRAM and not _is_summed(metric, stat):
            return _statistics(self.histograms(metric, outcome), stat, seconds)
        if metric.kind is Kind.RATIO:
            part = self.sums("failed" if metric.short == "error_rate_percent" else "ok")
            return [100 * p / r if r else None for p, r in zip(part.tolist(), requests.tolist(), strict=True)]
        if stat == "count" and metric.unit != "requests":
            return [r or None for r in requests.tolist()]
        totals = self.totals(metric)
        if stat == "rate":
            return _per_second(totals, seconds)
        return totals

    def totals(self, metric: Metric) -> list[float | int | None]:
        """Return the sum of a count, or of tokens, in each group; None if no request of the group has reported it."""
        requests = self.requests
        if metric.short == "requests":
            amounts, known = requests.tolist(), requests > 0
        elif metric.short == "failed_requests":
            amounts, known = self.sums("failed").tolist(), requests > 0
        elif metric.short == "cost_usd":
            cost = self.sums("cost_nanodollars")
            amounts = [nanodollars / NANO for nanodollars in cost.tolist()]
            known = (cost > 0) | (requests > self.sums("unpriced_requests"))
        elif metric.field in TOKEN_COLUMNS:
            sums = self.sums(metric.field)
            amounts, known = sums.tolist(), sums > 0
            for column in _reported_in(metric):
                known |= self._add_up(self._rows.has_values(column)) > 0
        else:
            amounts, known = self.sums(metric.column).tolist(), requests > 0
        return [amount if is_known else None for amount, is_known in zip(amounts, known, strict=True)]


def _is_summed(metric: Metric, stat: str) -> bool:
    """Return whether the statistic is read from a column of sums: token sums have one beside their histogram."""
    return stat in ("sum", "rate") and metric.field in TOKEN_COLUMNS


def _reported_in(metric: Metric) -> tuple[str, ...]:
    """Return the histograms that have a value if a number of tokens was sent."""
    return (metric.column,) if metric.kind is Kind.HISTOGRAM else _REPORTED_IN.get(metric.field, ())


def columns_for(metric: Metric, stat: str, outcome: str | None) -> set[str]:
    """Return the rollup columns that a statistic is computed from."""
    columns = set(COUNTS)
    if metric.kind is Kind.HISTOGRAM and not _is_summed(metric, stat):
        return columns | set(histogram_columns(metric, outcome))
    return columns | columns_of_total(metric)


def columns_of_total(metric: Metric) -> set[str]:
    """Return the rollup columns that `GroupedRollups.totals` reads beside COUNTS."""
    if metric.short == "cost_usd":
        return {"cost_nanodollars", "unpriced_requests"}
    if metric.field in TOKEN_COLUMNS:
        return {metric.field, *_reported_in(metric)}
    if metric.kind is Kind.COUNT and metric.type == "inference" and metric.short not in ("requests", "failed_requests"):
        return {metric.column}
    return set()


def histogram_columns(metric: Metric, outcome: str | None) -> tuple[str, ...]:
    """Return the histogram columns of a metric. Failed requests have a histogram only of the response time."""
    if metric.name == "inference.response_time_ms" and outcome in _RESPONSE_TIME_COLUMNS:
        return _RESPONSE_TIME_COLUMNS[outcome]
    return (metric.column,) if metric.kind is Kind.HISTOGRAM else ()


def averages_and_percentiles(histograms: HistogramGroups, stats: Sequence[str]) -> list[dict[str, float | None]]:
    """Return these statistics (`avg`, `p50`, `p99.9`, …) of each group; None if it is empty."""
    columns = [histograms.means() if stat == "avg" else histograms.quantiles(_quantile(stat)) for stat in stats]
    return [dict(zip(stats, values, strict=True)) for values in zip(*columns, strict=True)]


def _statistics(histograms: HistogramGroups, stat: str, seconds: np.ndarray) -> Sequence[float | int | None]:
    """Return a statistic of each group; `rate` is the sum per second. None if the histogram is empty."""
    match stat:
        case "avg":
            return histograms.means()
        case "min":
            return histograms.minima()
        case "max":
            return histograms.maxima()
        case "sum":
            return histograms.sums()
        case "count":
            return [count or None for count in histograms.counts]
        case "rate":
            return _per_second(histograms.sums(), seconds)
    return histograms.quantiles(_quantile(stat))


def _per_second(totals: Sequence[float | int | None], seconds: np.ndarray) -> list[float | None]:
    return [t / s if t is not None and s else None for t, s in zip(totals, seconds.tolist(), strict=True)]


def _quantile(percentile: str) -> float:
    return float(percentile[1:]) / 100


def series_labels(ids: Iterable[int], group_by: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Return the values of these labels by the id of the series."""
    columns = tuple(dict.fromkeys(SERIES_COLUMN.get(name, "tags") for name in group_by))
    rows = Series.objects.filter(one_of("id", ids)).values_list("id", *columns)
    if len(columns) == len(group_by) and "tags" not in columns:
        return {series_id: tuple(values) for series_id, *values in rows}
    labels: dict[int, tuple[str, ...]] = {}
    for series_id, *values in rows:
        of_series = dict(zip(columns, values, strict=True))
        tags = json.loads(of_series.pop("tags", "") or "{}")
        of_series |= {TAG_PREFIX + key: str(value) for key, value in tags.items()}
        labels[series_id] = tuple(of_series.get(SERIES_COLUMN.get(name, name), "") for name in group_by)
    return labels


def model_names(ids: Iterable[int]) -> dict[int, str]:
    """Return the name of the model by the id of the series."""
    return {series_id: labels[0] for series_id, labels in series_labels(ids, ("model",)).items()}
