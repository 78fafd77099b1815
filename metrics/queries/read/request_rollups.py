"""The figures of requests from their rollups.

`rollup_cache.read_rows` reads the rollup rows of a query once, for all its figures. `GroupedRollups` adds them up by
group: by label set, by step, or by both. Sums are added and histograms merged with numpy, so the cost depends on the
number of rollup rows in the window, not on the number of requests.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from django.db.models import F, Sum

from metrics.aggregation import NANO, TOKEN_COLUMNS
from metrics.catalogue import Kind, Metric
from metrics.histogram import HistogramGroups, merge_decoded_groups
from metrics.models import InferenceRollup, Series
from metrics.queries.read.aliases import model_as_read
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import SERIES_COLUMN, TAG_PREFIX
from metrics.queries.read.rollup_rows import COUNTS, FAILED, HAS, RollupRows
from metrics.queries.read.sql import one_of
from metrics.queries.time.plan import Segment

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


def count_requests(segments: Iterable[Segment]) -> Counter[int]:
    """Return the number of completed requests of each series, which the database adds up."""
    counts = Counter[int]()
    number = Sum(F("ok") + FAILED)
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
        self._rows, self._group_of_row = rows, group_of_row
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
        parts = [part for column in columns for part in self._rows.histograms(column)]
        return merge_decoded_groups(parts, np.tile(self._group_of_row, len(columns)), self.count)

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
                known |= self._add_up(self._rows.integers(HAS + column)) > 0
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
        return {metric.field, *(HAS + column for column in _reported_in(metric))}
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
    """Return the values of these labels by the id of the series; of a model with an alias, its group."""
    columns = tuple(dict.fromkeys(SERIES_COLUMN.get(name, "tags") for name in group_by))
    read = [model_as_read() if column == "model_name" else column for column in columns]
    rows = Series.objects.filter(one_of("id", ids)).values_list("id", *read)
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
