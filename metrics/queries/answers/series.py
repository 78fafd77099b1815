"""Time series: any number of (metric, stat) pairs over one window, from one reading of each table.

The last point is the open bucket: its rates are taken over the part of it that has passed. Gaps are None. With
`group_by` there is one series for each value of the labels that a metric has; the 50 busiest are answered, and how
many were left out is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count

from metrics.aggregation import OUTCOME_COLUMNS
from metrics.catalogue import Metric
from metrics.models import ErrorGroupRollup, ErrorMetrics
from metrics.queries.answers.caching import cached
from metrics.queries.numbers import exact
from metrics.queries.read import gauges
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import LABELS, TAG_PREFIX, Filters
from metrics.queries.read.request_rollups import GroupedRollups, columns_for, read_rows, series_labels
from metrics.queries.read.sql import BucketOf
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.window import Plan, Retention, Window, at_second, end_of_now, iso, partial_note, plan

MAX_GROUPS = 50
MAX_POINTS_IN_ALL = 200_000

Value = float | int | None


@dataclass(frozen=True)
class Line:
    """One series: values by bucket, oldest first."""

    metric: Metric
    stat: str
    labels: dict[str, str]
    values: list[Value]

    def points(self, start_s: int, step: int) -> list[list[Any]]:
        """[[epoch milliseconds, value or None], …]."""
        return [[(start_s + index * step) * 1000, exact(value)] for index, value in enumerate(self.values)]

    def as_dict(self, start_s: int, step: int) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "metric": self.metric.name,
            "stat": self.stat,
            "unit": unit_of(self.metric, self.stat),
            "labels": self.labels,
            "points": self.points(start_s, step),
        }


@dataclass(frozen=True)
class SeriesAnswer:
    """The series of one query."""

    plan: Plan
    lines: list[Line]
    groups_omitted: int = 0
    age_seconds: float = field(default=0.0)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        own = self.plan
        answer: dict[str, Any] = {
            "from": iso(at_second(own.start)),
            "to": iso(at_second(own.end)),
            "step_seconds": own.step_seconds,
            "resolution": own.resolution,
            "series": [line.as_dict(own.start, own.step_seconds) for line in self.lines],
        }
        if self.groups_omitted:
            answer["groups_omitted"] = self.groups_omitted
        if self.age_seconds:
            answer["age_seconds"] = self.age_seconds
        return answer | partial_note(own.retention_from)


def unit_of(metric: Metric, stat: str) -> str:
    """The unit of a statistic."""
    if stat == "count":
        return metric.unit if metric.type == "error" else "requests"
    return f"{metric.unit}/s" if stat == "rate" else metric.unit


def series(
    specs: Sequence[SeriesSpec], window: Window, filters: Filters, *, step: int | None = None, now: datetime
) -> SeriesAnswer:
    """Return the series of these specs, in their order. Raises BadQuery and QueryTooSlow."""
    specs = tuple(dict.fromkeys(specs))
    chosen = plan(window, now, step, retention_of(specs))

    def compute() -> SeriesAnswer:
        with query_budget():
            lines, omitted = _read_lines(specs, chosen, filters, now)
        return SeriesAnswer(chosen, lines, omitted)

    key = tuple((spec.metric.name, spec.stat, spec.group_by) for spec in specs)
    return cached(("series", key, filters, chosen), window, now, compute)


def retention_of(specs: Sequence[SeriesSpec]) -> Retention:
    """Return how long these metrics are kept. Raw samples of gauges are kept longer than one-second rollups."""
    only_gauges = bool(specs) and all(spec.metric.type in gauges.TABLES for spec in specs)
    return Retention.from_settings(raw_samples=only_gauges)


def _read_lines(specs: Sequence[SeriesSpec], chosen: Plan, filters: Filters, now: datetime) -> tuple[list[Line], int]:
    """Return the lines of the specs and the largest number of groups that were omitted from one of them."""
    limit = max(1, min(MAX_GROUPS, MAX_POINTS_IN_ALL // max(1, chosen.points * len(specs))))
    lines: dict[SeriesSpec, list[Line]] = {}
    omitted = 0
    for group_by in dict.fromkeys(spec.group_by for spec in specs):
        alike = [spec for spec in specs if spec.group_by == group_by]
        of_requests = [spec for spec in alike if spec.metric.type in ("inference", "error")]
        of_gauges = [spec for spec in alike if spec.metric.type in gauges.TABLES]
        if of_requests:
            omitted = max(omitted, _request_lines(of_requests, group_by, chosen, filters, now, limit, lines))
        if of_gauges:
            omitted = max(omitted, _gauge_lines(of_gauges, group_by, chosen, filters, limit, lines))
    return [line for spec in specs for line in lines[spec]], omitted


def _seconds(chosen: Plan, now: datetime) -> np.ndarray:
    """How much of each bucket has passed."""
    starts = np.arange(chosen.points, dtype=np.int64) * chosen.step_seconds + chosen.start
    passed = np.minimum(starts + chosen.step_seconds, end_of_now(now)) - starts
    return np.where(passed > 0, passed, chosen.step_seconds)


def _request_lines(
    specs: Sequence[SeriesSpec],
    group_by: Sequence[str],
    chosen: Plan,
    filters: Filters,
    now: datetime,
    limit: int,
    lines: dict[SeriesSpec, list[Line]],
) -> int:
    own = [name for name in group_by if name in LABELS or name.startswith(TAG_PREFIX)]
    ids = filters.series_ids()
    columns = set().union(*(columns_for(spec.metric, spec.stat, filters.outcome) for spec in specs))
    rows = read_rows([(chosen.resolution, chosen.start, chosen.end)], sorted(columns), ids)
    errors = _read_errors(chosen, ids) if any(spec.metric.type == "error" for spec in specs) else []
    points = chosen.points

    keep: list[tuple[str, ...]] = [()]
    omitted = 0
    number_of: dict[int, int] = {}
    if own:
        of_series = series_labels({*rows.series.tolist(), *(one for _, one, _ in errors)}, own)
        volume = dict.fromkeys(of_series.values(), 0)
        each = np.zeros(len(rows), dtype=np.int64)
        for column in OUTCOME_COLUMNS:
            each += np.array(rows.columns[column], dtype=np.int64)
        present, place_of_row = np.unique(rows.series, return_inverse=True)
        of_each = np.zeros(len(present), dtype=np.int64)
        np.add.at(of_each, place_of_row, each)
        for one, requests in zip(present.tolist(), of_each.tolist(), strict=True):
            if one in of_series:
                volume[of_series[one]] += requests
        ranked = sorted(volume, key=lambda labels: (-volume[labels], labels))
        keep, omitted = ranked[:limit], max(0, len(ranked) - limit)
        place = {labels: number for number, labels in enumerate(keep)}
        number_of = {one: place.get(labels, -1) for one, labels in of_series.items()}
    offsets = (rows.buckets - chosen.start) // chosen.step_seconds
    if own:
        numbers = np.array([number_of.get(one, -1) for one in rows.series.tolist()], dtype=np.int64)
        group = np.where(numbers < 0, -1, numbers * points + offsets)
    else:
        group = offsets
    groups = GroupedRollups(rows, group, len(keep) * points)
    seconds = np.tile(_seconds(chosen, now), len(keep))
    for spec in specs:
        metric, stat = spec.metric, spec.stat
        if metric.type == "error":
            values = _error_values(errors, stat, number_of if own else None, points, groups, seconds)
        else:
            values = groups.values(metric, stat, filters.outcome, seconds)
        lines[spec] = [
            Line(metric, stat, dict(zip(own, labels, strict=True)), values[number * points : (number + 1) * points])
            for number, labels in enumerate(keep)
        ]
    return omitted


def _read_errors(chosen: Plan, ids: Sequence[int] | None) -> list[tuple[int, int, int]]:
    """[(bucket number, series, errors)]: from single errors, or from the counts by hour."""
    step, first = chosen.step_seconds, chosen.start // chosen.step_seconds
    if chosen.resolution == 3600:
        hours = ErrorGroupRollup.objects.filter(bucket__gte=chosen.start, bucket__lt=chosen.end)
        found = [(b // step - first, one, n) for b, one, n in hours.values_list("bucket", "series_id", "count")]
    else:
        rows = ErrorMetrics.objects.filter(
            timestamp__gte=at_second(chosen.start), timestamp__lt=at_second(chosen.end)
        ).annotate(b=BucketOf("timestamp", step))
        counts = rows.values("b", "series_id").annotate(n=Count("id")).order_by().values_list("b", "series_id", "n")
        found = [(b - first, one, n) for b, one, n in counts]
    check_budget()
    if ids is None:
        return found
    wanted = set(ids)
    return [row for row in found if row[1] in wanted]


def _error_values(
    errors: Sequence[tuple[int, int, int]],
    stat: str,
    number_of: dict[int, int] | None,
    points: int,
    groups: GroupedRollups,
    seconds: np.ndarray,
) -> list[Value]:
    """Errors by group. Where requests ended without one, none happened; where nothing happened, nothing is known."""
    counts = np.zeros(groups.count, dtype=np.int64)
    for index, one, number in errors:
        group = 0 if number_of is None else number_of.get(one, -1)
        if group >= 0:
            counts[group * points + index] += number
    known = (counts > 0) | (groups.requests() > 0)
    if stat == "rate":
        return [int(c) / float(s) if k else None for c, k, s in zip(counts, known, seconds, strict=True)]
    return [int(c) if k else None for c, k in zip(counts, known, strict=True)]


def _gauge_lines(
    specs: Sequence[SeriesSpec],
    group_by: Sequence[str],
    chosen: Plan,
    filters: Filters,
    limit: int,
    lines: dict[SeriesSpec, list[Line]],
) -> int:
    grid = gauges.Grid(chosen.resolution, chosen.start, chosen.end, chosen.step_seconds)
    cells = gauges.read_cells(specs, grid, filters)
    labels = gauges.read_labels({instance for one in cells.values() for instance, _ in one})
    omitted = 0
    for spec in specs:
        metric, stat = spec.metric, spec.stat
        # The number of a GPU means nothing without its host.
        wanted = {*group_by, "host"} if "gpu" in group_by else set(group_by)
        own = [name for name in gauges.LABELS_OF[metric.type] if name in wanted]
        if metric.type != "gpu" and "host" not in group_by:
            own = [name for name in own if name != "host"]
        by_group = gauges.by_group(metric, cells[metric.name], labels, own)
        if not own:
            by_group.setdefault((), {})
        ranked = sorted(by_group)
        omitted = max(omitted, len(ranked) - limit)
        lines[spec] = [
            Line(
                metric,
                stat,
                dict(zip(own, group, strict=True)),
                [gauges.combine(metric, stat, by_group[group].get(index, ())) for index in range(chosen.points)],
            )
            for group in ranked[:limit]
        ]
    return omitted
