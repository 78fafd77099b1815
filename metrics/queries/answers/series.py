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
from metrics.queries.exceptions import BadQuery
from metrics.queries.numbers import exact
from metrics.queries.read import gauges
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import LABELS, TAG_PREFIX, Filters, promoted_tags
from metrics.queries.read.request_rollups import GroupedRollups, columns_for, read_rows, series_labels
from metrics.queries.read.sql import BucketOf
from metrics.queries.time.window import Plan, Retention, Window, at_second, end_of_now, iso, partial_note, plan

MAX_GROUPS = 50
MAX_GROUP_LABELS = 3
MAX_POINTS_IN_ALL = 200_000

Pair = tuple[Metric, str]
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
    """The series of one question."""

    plan: Plan
    lines: list[Line]
    groups_omitted: int = 0
    group_by: tuple[str, ...] = ()
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
    pairs: Sequence[Pair],
    window: Window,
    filters: Filters,
    *,
    step: int | None = None,
    group_by: str | Sequence[str] | None = None,
    now: datetime,
) -> SeriesAnswer:
    """The series of these metrics and statistics. Raises BadQuery and QueryTooSlow."""
    names = parse_group_by(group_by)
    chosen = plan(window, now, step, held_for(pairs))

    def compute() -> SeriesAnswer:
        with query_budget():
            lines, omitted = read_lines(pairs, chosen, filters, names, now)
        return SeriesAnswer(chosen, lines, omitted, names)

    asked = tuple((metric.name, stat) for metric, stat in pairs)
    return cached(("series", asked, filters, chosen, names), window, now, compute)


def held_for(pairs: Sequence[Pair]) -> Retention:
    """What is kept of these metrics: gauges alone have raw samples for longer than there are one-second figures."""
    return Retention.from_settings(raw_samples=bool(pairs) and all(metric.type in gauges.TABLES for metric, _ in pairs))


def parse_group_by(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """The labels to group by, from `a,b` or a list. Raises BadQuery."""
    if not given:
        return ()
    names = tuple(dict.fromkeys(one.strip() for one in (given.split(",") if isinstance(given, str) else given)))
    allowed = (*LABELS, "host", "gpu", "source", *(TAG_PREFIX + key for key in promoted_tags()))
    for name in names:
        if name not in allowed:
            raise BadQuery("group_by", f"{name[:40]!r} is not a label.", allowed)
    if len(names) > MAX_GROUP_LABELS:
        raise BadQuery("group_by", f"at most {MAX_GROUP_LABELS} labels at once.")
    return names


def read_lines(
    pairs: Sequence[Pair], chosen: Plan, filters: Filters, names: Sequence[str], now: datetime
) -> tuple[list[Line], int]:
    """The series in the order of the pairs, and the largest number of groups that were left out of any."""
    limit = max(1, min(MAX_GROUPS, MAX_POINTS_IN_ALL // max(1, chosen.points * len(pairs))))
    counted = [pair for pair in pairs if pair[0].type in ("inference", "error")]
    sampled = [pair for pair in pairs if pair[0].type in gauges.TABLES]
    found: dict[tuple[str, str], list[Line]] = {}
    omitted = 0
    if counted:
        omitted = max(omitted, _request_lines(counted, chosen, filters, names, now, limit, found))
    if sampled:
        omitted = max(omitted, _gauge_lines(sampled, chosen, filters, names, limit, found))
    return [line for metric, stat in dict.fromkeys(pairs) for line in found[(metric.name, stat)]], omitted


def _seconds(chosen: Plan, now: datetime) -> np.ndarray:
    """How much of each bucket has passed."""
    starts = np.arange(chosen.points, dtype=np.int64) * chosen.step_seconds + chosen.start
    passed = np.minimum(starts + chosen.step_seconds, end_of_now(now)) - starts
    return np.where(passed > 0, passed, chosen.step_seconds)


def _request_lines(
    pairs: Sequence[Pair],
    chosen: Plan,
    filters: Filters,
    names: Sequence[str],
    now: datetime,
    limit: int,
    found: dict[tuple[str, str], list[Line]],
) -> int:
    own = [name for name in names if name in LABELS or name.startswith(TAG_PREFIX)]
    ids = filters.series_ids()
    columns = set().union(*(columns_for(metric, stat, filters.outcome) for metric, stat in pairs))
    rows = read_rows([(chosen.resolution, chosen.start, chosen.end)], sorted(columns), ids)
    errors = _read_errors(chosen, ids) if any(metric.type == "error" for metric, _ in pairs) else []
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
    for metric, stat in pairs:
        if metric.type == "error":
            values = _error_values(errors, stat, number_of if own else None, points, groups, seconds)
        else:
            values = groups.values(metric, stat, filters.outcome, seconds)
        found[(metric.name, stat)] = [
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
    pairs: Sequence[Pair],
    chosen: Plan,
    filters: Filters,
    names: Sequence[str],
    limit: int,
    found: dict[tuple[str, str], list[Line]],
) -> int:
    grid = gauges.Grid(chosen.resolution, chosen.start, chosen.end, chosen.step_seconds)
    cells = gauges.read_cells(pairs, grid, filters)
    labels = gauges.read_labels({instance for one in cells.values() for instance, _ in one})
    omitted = 0
    for metric, stat in pairs:
        # The number of a GPU means nothing without its host.
        wanted = {*names, "host"} if "gpu" in names else set(names)
        own = [name for name in gauges.LABELS_OF[metric.type] if name in wanted]
        if metric.type != "gpu" and "host" not in names:
            own = [name for name in own if name != "host"]
        by_group = gauges.by_group(metric, cells[metric.name], labels, own)
        if not own:
            by_group.setdefault((), {})
        ranked = sorted(by_group)
        omitted = max(omitted, len(ranked) - limit)
        found[(metric.name, stat)] = [
            Line(
                metric,
                stat,
                dict(zip(own, group, strict=True)),
                [gauges.combine(metric, stat, by_group[group].get(index, ())) for index in range(chosen.points)],
            )
            for group in ranked[:limit]
        ]
    return omitted
