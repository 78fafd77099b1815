"""Reading the rollups of requests: once for all figures that are asked, into groups (a label set, a bucket, or both).

Sums are added and histograms merged with numpy, so the cost depends on the number of rollup rows in the window and
never on the number of requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metrics.aggregation import OUTCOME_COLUMNS, TOKEN_COLUMNS
from metrics.catalogue import Kind, Metric
from metrics.histogram import Histogram, merge_packed, merge_packed_groups
from metrics.models import InferenceRollup, Series
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import LABELS, SERIES_COLUMN, TAG_PREFIX

CHUNK_ROWS = 4_000
# More ids than this are compared here instead of in the statement (SQLite takes a limited number of parameters).
MAX_IDS_IN_SQL = 500
NANO = 1_000_000_000


@dataclass
class RollupRows:
    """Rollup rows as columns: bucket starts, series ids, and what was asked."""

    buckets: np.ndarray
    series: np.ndarray
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.buckets)


def read_rows(
    segments: Iterable[tuple[int, int, int]], columns: Iterable[str], series_ids: Sequence[int] | None
) -> RollupRows:
    """The rows of these runs of buckets [(resolution, start, end)], with these columns, of these series (None: all)."""
    names = list(dict.fromkeys(columns))
    wanted = set(series_ids) if series_ids is not None and len(series_ids) > MAX_IDS_IN_SQL else None
    found: list[tuple[Any, ...]] = []
    if series_ids is None or len(series_ids):
        for resolution, start, end in segments:
            rows = InferenceRollup.objects.filter(resolution=resolution, bucket__gte=start, bucket__lt=end)
            if series_ids is not None and wanted is None:
                rows = rows.filter(series_id__in=series_ids)
            for row in (
                rows.order_by("bucket", "series_id").values_list("bucket", "series_id", *names).iterator(CHUNK_ROWS)
            ):
                if wanted is None or row[1] in wanted:
                    found.append(row)
                if not len(found) % CHUNK_ROWS:
                    check_budget()
            check_budget()
    split = list(zip(*found, strict=True)) or [()] * (2 + len(names))
    return RollupRows(
        np.array(split[0], dtype=np.int64),
        np.array(split[1], dtype=np.int64),
        {name: list(values) for name, values in zip(names, split[2:], strict=True)},
    )


class GroupedRollups:
    """Rollup rows added up by group: sums as int64 arrays, histograms as lists. RollupRows of group -1 are left out."""

    def __init__(self, rows: RollupRows, group_of_row: np.ndarray, count: int) -> None:
        self._rows = rows
        self._kept = np.flatnonzero(group_of_row >= 0)
        self._group = group_of_row[self._kept]
        self.count = count
        self._sums: dict[str, np.ndarray] = {}
        self._histograms: dict[str, list[Histogram]] = {}

    def sums(self, column: str) -> np.ndarray:
        """The sums of an integer column."""
        if column not in self._sums:
            total = np.zeros(self.count, dtype=np.int64)
            np.add.at(total, self._group, np.array(self._rows.columns[column], dtype=np.int64)[self._kept])
            self._sums[column] = total
        return self._sums[column]

    def requests(self) -> np.ndarray:
        """Requests that ended, failed ones among them."""
        total = np.zeros(self.count, dtype=np.int64)
        for column in OUTCOME_COLUMNS:
            total += self.sums(column)
        return total

    def histograms(self, column: str) -> list[Histogram]:
        """The merged histograms of a column."""
        if column not in self._histograms:
            check_budget()
            blobs = self._rows.columns[column]
            if len(self._kept) != len(blobs):
                blobs = [blobs[row] for row in self._kept.tolist()]
            if self.count == 1:
                self._histograms[column] = [merge_packed(blobs)]
            else:
                self._histograms[column] = merge_packed_groups(blobs, self._group, self.count)  # type: ignore[arg-type]
        return self._histograms[column]

    def histogram_of(self, metric: Metric, outcome: str | None) -> list[Histogram]:
        """The histograms that a distribution metric reads, for this outcome."""
        columns = histogram_columns(metric, outcome)
        if not columns:
            return [Histogram()] * self.count
        if len(columns) == 1:
            return self.histograms(columns[0])
        return [_joined(parts) for parts in zip(*(self.histograms(one) for one in columns), strict=True)]

    def values(self, metric: Metric, stat: str, outcome: str | None, seconds: np.ndarray) -> list[float | int | None]:
        """One statistic by group; `seconds` is the time that each group covers, for rates. None where nothing was."""
        requests = self.requests()
        if metric.kind is Kind.HISTOGRAM and not _is_summed(metric, stat):
            return [
                of_histogram(one, stat, float(length))
                for one, length in zip(self.histogram_of(metric, outcome), seconds, strict=True)
            ]
        if metric.kind is Kind.RATIO:
            ok = self.sums("ok")
            part = requests - ok if metric.short == "error_rate_percent" else ok
            return [100 * int(p) / int(r) if r else None for p, r in zip(part, requests, strict=True)]
        if stat == "count" and metric.unit != "requests":
            return [int(r) if r else None for r in requests]
        amount, known = self._amounts(metric, requests)
        total: list[float | int | None] = [a if k else None for a, k in zip(amount, known, strict=True)]
        if stat == "rate":
            return [a / float(s) if a is not None and s else None for a, s in zip(total, seconds, strict=True)]
        return total

    def _amounts(self, metric: Metric, requests: np.ndarray) -> tuple[list[float | int], np.ndarray]:
        """The metric's total by group, and whether there is one."""
        if metric.short == "requests":
            return requests.tolist(), requests > 0
        if metric.short == "failed_requests":
            return (requests - self.sums("ok")).tolist(), requests > 0
        if metric.short == "cost_usd":
            cost = self.sums("cost_nanodollars")
            return [one / NANO for one in cost.tolist()], (requests > self.sums("unpriced_requests")) | (cost > 0)
        return self.sums(_sum_column(metric)).tolist(), requests > 0


def _is_summed(metric: Metric, stat: str) -> bool:
    """Return whether the statistic is read from a column of sums: token sums have one beside their histogram."""
    return stat in ("sum", "rate") and metric.field in TOKEN_COLUMNS


def _sum_column(metric: Metric) -> str:
    return metric.field if metric.field in TOKEN_COLUMNS else metric.column


def columns_for(metric: Metric, stat: str, outcome: str | None) -> set[str]:
    """The rollup columns that this statistic reads."""
    found = set(OUTCOME_COLUMNS)
    if metric.kind is Kind.HISTOGRAM:
        if _is_summed(metric, stat):
            return found | {_sum_column(metric)}
        return found | set(histogram_columns(metric, outcome))
    if metric.short == "cost_usd":
        return found | {"cost_nanodollars", "unpriced_requests"}
    if metric.kind is Kind.COUNT and metric.type == "inference" and metric.short not in ("requests", "failed_requests"):
        return found | {metric.column}
    return found


def histogram_columns(metric: Metric, outcome: str | None) -> tuple[str, ...]:
    """The histograms behind a metric. Of failed requests only the response time has one."""
    if metric.name == "inference.response_time_ms" and outcome == "failed":
        return ("failed_response_time_ms",)
    if metric.name == "inference.response_time_ms" and outcome == "all":
        return ("response_time_ms", "failed_response_time_ms")
    return (metric.column,) if metric.kind is Kind.HISTOGRAM else ()


def of_histogram(found: Histogram, stat: str, seconds: float) -> float | int | None:
    """One statistic of a merged histogram; `rate` is its sum per second. None when it is empty."""
    if not found.count:
        return None
    match stat:
        case "avg":
            return found.mean
        case "min":
            return found.minimum
        case "max":
            return found.maximum
        case "sum":
            return found.sum
        case "count":
            return found.count
        case "rate":
            return found.sum / seconds if seconds else None
    return found.quantile(float(stat[1:]) / 100)


def _joined(parts: Sequence[Histogram]) -> Histogram:
    joined = Histogram()
    for one in parts:
        joined.merge(one)
    return joined


def series_labels(ids: Iterable[int], group_by: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """The values of these labels for each series."""
    columns = [SERIES_COLUMN.get(one, "tags") for one in group_by]
    wanted = list(ids)
    found: dict[int, tuple[str, ...]] = {}
    for start in range(0, len(wanted), MAX_IDS_IN_SQL):
        part = Series.objects.filter(id__in=wanted[start : start + MAX_IDS_IN_SQL])
        for one, *values in part.values_list("id", *dict.fromkeys(columns)):
            by_column = dict(zip(dict.fromkeys(columns), values, strict=True))
            found[one] = tuple(_label(name, by_column[SERIES_COLUMN.get(name, "tags")]) for name in group_by)
    return found


def _label(name: str, value: str) -> str:
    if name in LABELS:
        return value
    tags = json.loads(value) if value else {}
    return str(tags.get(name.removeprefix(TAG_PREFIX), ""))
