"""Time series: any number of metrics and statistics over one window, each table read once.

The last step is open: its rates are over the part that has passed. Steps without data are None. With `group_by` there
is a series for each combination of the values of the labels that the metric has. At most 50 groups are returned, those
with the most requests or the largest values of the first gauge, and the result has the number of the omitted groups.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count

from metrics.catalogue import Metric
from metrics.levels import LEVELS
from metrics.models import ErrorGroupRollup, ErrorMetrics
from metrics.queries.answers.caching import cached
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.exceptions import BadQuery
from metrics.queries.read import gauges
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import GAUGE_LABELS, LABELS, TAG_PREFIX, Filters
from metrics.queries.read.gauge_values import Grouped
from metrics.queries.read.request_rollups import GroupedRollups, columns_for, series_labels
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.rollup_rows import RollupRows
from metrics.queries.read.sql import BucketOf
from metrics.queries.series_spec import OTHERS, SeriesSpec
from metrics.queries.time.plan import COARSEST, Plan, Retention, plan_steps
from metrics.queries.time.window import STEPS, Window, at_second, end_of_now
from metrics.readings import MINUTE

MAX_GROUPS = 50
MAX_TOTAL_POINTS = 200_000

Value = float | int | None


@dataclass(frozen=True)
class Line:
    """One series: the value of each step, oldest first."""

    metric: Metric
    stat: str
    labels: dict[str, str]
    values: Sequence[Value]

    def as_dict(self, plan: Plan) -> dict[str, Any]:
        """Return the series ready for JSON, with `points` as [[epoch milliseconds, value or None], …]."""
        return {
            "metric": self.metric.name,
            "stat": self.stat,
            "unit": unit_of(self.metric, self.stat),
            "labels": self.labels,
            "points": [
                [start * 1000, round_figure(value)] for start, value in zip(plan.starts, self.values, strict=True)
            ],
        }


Lines = dict[SeriesSpec, list[Line]]


@dataclass(frozen=True)
class SeriesResult:
    """The series of one query."""

    plan: Plan
    lines: list[Line]
    groups_omitted: int = 0
    age_seconds: float = 0.0

    def as_dict(self, *, with_series: bool = True) -> dict[str, Any]:
        """Return the result ready for JSON."""
        omitted = {"groups_omitted": self.groups_omitted} if self.groups_omitted else {}
        return {
            **self.plan.window.as_dict(),
            "step_seconds": self.plan.step_seconds,
            "resolution": self.plan.resolution,
            **({"series": [line.as_dict(self.plan) for line in self.lines]} if with_series else {}),
            **omitted,
            **notes(self.age_seconds, self.plan.retention_from),
        }


def unit_of(metric: Metric, stat: str) -> str:
    """Return the unit of a statistic."""
    if stat == "count":
        return metric.unit if metric.type == "error" else "requests"
    return f"{metric.unit}/s" if stat == "rate" else metric.unit


def series(
    specs: Sequence[SeriesSpec],
    window: Window,
    filters: Filters,
    *,
    step: int | None = None,
    models: Sequence[str] | None = None,
    busiest: int | None = None,
    now: datetime,
) -> SeriesResult:
    """Return the series of these specs, in their order. Raises BadQuery and QueryTooSlow.

    `models`: of the specs that are grouped by model alone, return the series of these models.
    `busiest`: of a gauge that is grouped by one label, return this number of groups, those with the largest values, the
    largest first, and the others together as OTHERS.
    """
    specs = tuple(dict.fromkeys(specs))
    if step is not None:
        check_step_of_levels(specs, step)
    plan = plan_steps(window, now, step, Retention.current(raw_samples=only_gauges(specs)))

    def compute() -> SeriesResult:
        limit = max(1, min(MAX_GROUPS, MAX_TOTAL_POINTS // max(1, plan.points * len(specs))))
        with query_budget():
            lines, omitted = read_lines(specs, plan, filters, now, limit, models, busiest)
        return SeriesResult(plan, [line for spec in specs for line in lines[spec]], omitted)

    key = tuple((spec.metric.name, spec.stat, spec.group_by, spec.groups) for spec in specs)
    return cached(("series", key, filters, plan, models, busiest), window, now, compute)


def check_step_of_levels(specs: Sequence[SeriesSpec], step: int) -> None:
    """Raise BadQuery if values are added over instances in steps of more than a minute that are not whole minutes.

    In such a step, instances that did not exist at the same time would be added.
    """
    level = next((spec.metric.name for spec in specs if spec.metric.name in LEVELS), None)
    if level and step > MINUTE and step % MINUTE:
        allowed = [str(other) for other in STEPS if other % MINUTE == 0]
        raise BadQuery("step", f"must be a multiple of 60 s, or less than a minute, for {level}.", allowed)


def only_gauges(specs: Sequence[SeriesSpec]) -> bool:
    """Return whether all are gauges. Their raw samples are kept longer than the one-second rollups of requests."""
    return bool(specs) and all(spec.metric.type in gauges.TABLES for spec in specs)


def read_lines(
    specs: Sequence[SeriesSpec],
    plan: Plan,
    filters: Filters,
    now: datetime,
    limit: int,
    models: Sequence[str] | None = None,
    busiest: int | None = None,
) -> tuple[Lines, int]:
    """Return at most `limit` lines of each spec, and the largest number of groups that were omitted from one."""
    lines: Lines = {}
    most_omitted = 0
    alike: dict[tuple[bool, tuple[str, ...]], list[SeriesSpec]] = defaultdict(list)
    for spec in specs:
        alike[spec.metric.type in gauges.TABLES, spec.group_by].append(spec)
    requests = _Requests([spec for spec in specs if spec.metric.type not in gauges.TABLES], plan, filters, now)
    for (is_gauge, group_by), group in alike.items():
        if is_gauge:
            group_lines, omitted = _read_gauge_lines(group, group_by, plan, filters, now, limit, busiest)
        else:
            chosen = {(name,) for name in models} if models is not None and group_by == ("model",) else None
            group_lines, omitted = requests.lines(group, group_by, limit, chosen)
        lines |= group_lines
        most_omitted = max(most_omitted, omitted)
    return lines, most_omitted


def label_names(metric: Metric, group_by: Sequence[str]) -> list[str]:
    """Return the names of the labels that the lines of a metric have, in their order."""
    if metric.type not in gauges.TABLES:
        return [name for name in group_by if name in LABELS or name.startswith(TAG_PREFIX)]
    if "gpu" in group_by and "gpu" in GAUGE_LABELS[metric.type]:
        return ["host", "gpu"]  # the number of a GPU means nothing without its host
    return [name for name in GAUGE_LABELS[metric.type] if name in group_by]


class _Requests:
    """The requests and errors of a window, read once for all these specs."""

    def __init__(self, specs: Sequence[SeriesSpec], plan: Plan, filters: Filters, now: datetime) -> None:
        self._plan, self._outcome = plan, filters.outcome
        self._passed_seconds = _passed_seconds(plan, now)
        ids = filters.series_ids() if specs else []
        columns = set().union(*(columns_for(spec.metric, spec.stat, filters.outcome) for spec in specs))
        self._rows = read_rows([plan.segment], sorted(columns), ids)
        self._errors = read_errors(plan, ids) if any(spec.metric.type == "error" for spec in specs) else []

    def lines(
        self,
        specs: Sequence[SeriesSpec],
        group_by: Sequence[str],
        limit: int,
        chosen: Collection[tuple[str, ...]] | None,
    ) -> tuple[Lines, int]:
        """Return the lines of some of the specs, which have the same labels, and the number of omitted groups.

        `chosen`: the groups to return.
        """
        plan, rows = self._plan, self._rows
        names = label_names(specs[0].metric, group_by)
        errors = self._errors if any(spec.metric.type == "error" for spec in specs) else []

        # Without labels, all series are in group 0.
        groups: list[tuple[str, ...]] = [()]
        number_of_series: Mapping[int, int] = {}
        omitted, default = 0, 0
        if names:
            groups, omitted, number_of_series = _busiest_groups(rows, errors, names, limit, chosen)
            default = -1
        numbers = rows.group_numbers(number_of_series, default)
        steps = (rows.buckets - plan.start) // plan.step_seconds
        cells = np.where(numbers < 0, -1, numbers * plan.points + steps)
        rollups = GroupedRollups(rows, cells, len(groups) * plan.points)
        error_counts = np.zeros(rollups.count, dtype=np.int64)
        for step, series_id, count in errors:
            number = number_of_series.get(series_id, default)
            if number >= 0:
                error_counts[number * plan.points + step] += count
        seconds = np.tile(self._passed_seconds, len(groups))
        lines: Lines = {}
        for spec in specs:
            if spec.metric.type == "error":
                values: Sequence[Value] = error_values(error_counts, spec.stat, rollups.requests, seconds)
            else:
                values = rollups.values(spec.metric, spec.stat, self._outcome, seconds)
            lines[spec] = [
                Line(
                    spec.metric,
                    spec.stat,
                    dict(zip(names, group, strict=True)),
                    values[number * plan.points : (number + 1) * plan.points],
                )
                for number, group in enumerate(groups)
            ]
        return lines, omitted


def _busiest_groups(
    rows: RollupRows,
    errors: Sequence[tuple[int, int, int]],
    names: Sequence[str],
    limit: int,
    chosen: Collection[tuple[str, ...]] | None,
) -> tuple[list[tuple[str, ...]], int, Mapping[int, int]]:
    """Return the groups with the most requests, the number of omitted groups, and the number of each series' group."""
    labels_of = series_labels({*rows.series_ids, *(series_id for _, series_id, _ in errors)}, names)
    if chosen is not None:
        labels_of = {series_id: labels for series_id, labels in labels_of.items() if labels in chosen}
    requests = dict.fromkeys(labels_of.values(), 0) | rows.requests_by(labels_of)
    ranked = sorted(requests, key=lambda labels: (-requests[labels], labels))
    number_of = {labels: number for number, labels in enumerate(ranked[:limit])}
    numbers = {series_id: number_of.get(labels, -1) for series_id, labels in labels_of.items()}
    return ranked[:limit], max(0, len(ranked) - limit), numbers


def _passed_seconds(plan: Plan, now: datetime) -> np.ndarray:
    """Return how many seconds of each step have passed."""
    starts = np.array(plan.starts, dtype=np.int64)
    passed = np.minimum(starts + plan.step_seconds, end_of_now(now)) - starts
    return np.where(passed > 0, passed, plan.step_seconds)


def read_errors(plan: Plan, ids: Sequence[int] | None) -> list[tuple[int, int, int]]:
    """Return [(number of the step, series, errors), …], from the counts by hour or from single errors."""
    step, start = plan.step_seconds, plan.start  # the windows of rules do not start at a multiple of their length
    if plan.resolution == COARSEST:
        hours = ErrorGroupRollup.objects.filter(bucket__gte=plan.start, bucket__lt=plan.end)
        counts = hours.values_list("bucket", "series_id", "count")
        rows = [((bucket - start) // step, series_id, count) for bucket, series_id, count in counts]
    else:
        single = ErrorMetrics.objects.filter(timestamp__gte=at_second(plan.start), timestamp__lt=at_second(plan.end))
        by_step = (
            single.annotate(step=BucketOf("timestamp", step, start)).values("step", "series_id").annotate(n=Count("id"))
        )
        sums = by_step.order_by().values_list("step", "series_id", "n")
        rows = list(sums)
    check_budget()
    if ids is None:
        return rows
    selected = set(ids)
    return [row for row in rows if row[1] in selected]


def error_values(counts: np.ndarray, stat: str, requests: np.ndarray, seconds: np.ndarray) -> list[Value]:
    """Return the errors of each step: 0 if there are only requests, None if there is neither an error nor a request."""
    known = (counts > 0) | (requests > 0)
    if stat == "rate":
        return [int(c) / float(s) if k else None for c, k, s in zip(counts, known, seconds, strict=True)]
    return [int(c) if k else None for c, k in zip(counts, known, strict=True)]


def _read_gauge_lines(
    specs: Sequence[SeriesSpec],
    group_by: Sequence[str],
    plan: Plan,
    filters: Filters,
    now: datetime,
    limit: int,
    busiest: int | None,
) -> tuple[Lines, int]:
    """Return the lines of gauges, and the largest number of groups that were omitted from a spec."""
    read = gauges.read_spans([(spec.metric, spec.stat) for spec in specs], plan, filters, end_of_now(now))
    labels = gauges.read_labels(set().union(*(of_metric.instances for of_metric in read.values())))
    lines: Lines = {}
    omitted = 0
    rank: dict[tuple[str, ...], int] = {}  # of all metrics, so that a host has the lines of all of them
    for spec in specs:
        metric, stat = spec.metric, spec.stat
        names = label_names(metric, group_by)
        grouped = Grouped(metric, stat, read[metric.name], labels, names, plan)
        groups, others = grouped.groups, None
        if len(names) == 1 and spec.groups:
            groups = [group for group in groups if group[0] in spec.groups]
            others = (OTHERS,)
        elif len(names) == 1 and busiest is not None:
            groups = grouped.ranked()[:busiest]
            others = (OTHERS,)
        elif len(groups) > limit:
            rank = rank or {group: number for number, group in enumerate(grouped.ranked())}
            groups = sorted(sorted(groups, key=lambda group: rank.get(group, len(rank)))[:limit])
            omitted = max(omitted, len(grouped.groups) - limit)
        values = grouped.lines(groups, others if len(groups) < len(grouped.groups) else None)
        lines[spec] = [
            Line(metric, stat, dict(zip(names, group, strict=True)), list(of_group))
            for group, of_group in values.items()
        ]
    return lines, omitted
