"""Errors grouped by their type, their message without numbers and ids, and their top stack frames.

The whole hours of a long window are read from the counts by hour. The rest, and short windows, are read from single
errors by their time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Sum

from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics
from metrics.queries.answers.results import Ranking
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import model_names
from metrics.queries.read.sql import BucketOf, IntegerDivision
from metrics.queries.time.plan import COARSEST, Plan, plan_steps
from metrics.queries.time.window import Window, at_second, iso

MAX_GROUPS = 200
MAX_TREND = 60
MAX_MODELS = 10

# (step since 1970, group, series, errors)
ErrorCount = tuple[int, int, int, int]


@dataclass
class _Counts:
    """The errors of a group: in total, by step, and by series."""

    total: int = 0
    by_step: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    by_series: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def error_groups(window: Window, filters: Filters, now: datetime) -> Ranking:
    """Return the groups with errors in the window, the most frequent first. Raises QueryTooSlow.

    Each has `id`, `error_type`, `message` (without numbers and ids), `count` in the window, `first_seen` and
    `last_seen` (of all its errors), `models` (those with the most errors first), and `trend`: [[epoch ms, errors], …].
    """
    with query_budget():
        plan = plan_steps(window, now, max_points=MAX_TREND)
        ids = filters.series_ids()
        selected = None if ids is None else set(ids)
        counts: dict[int, _Counts] = defaultdict(_Counts)
        for step, group_id, series_id, errors in _read_counts(window, plan):
            if selected is None or series_id in selected:
                counts[group_id].total += errors
                counts[group_id].by_step[step] += errors
                counts[group_id].by_series[series_id] += errors
        shown = sorted(counts, key=lambda group_id: (-counts[group_id].total, group_id))[:MAX_GROUPS]
        groups = ErrorGroup.objects.in_bulk(shown)
        model_of = model_names({series_id for group_id in shown for series_id in counts[group_id].by_series})
    starts = range(plan.start, plan.end, plan.step_seconds)
    results = []
    for group_id in shown:
        if group_id not in groups:
            continue
        group, of_group = groups[group_id], counts[group_id]
        by_model: dict[str, int] = defaultdict(int)
        for series_id, errors in of_group.by_series.items():
            by_model[model_of.get(series_id, "")] += errors
        results.append(
            {
                "id": group_id,
                "error_type": group.error_type,
                "message": group.message,
                "count": of_group.total,
                "first_seen": iso(group.first_seen),
                "last_seen": iso(group.last_seen),
                "models": sorted(by_model, key=lambda name: (-by_model[name], name))[:MAX_MODELS],
                "trend": [[start * 1000, of_group.by_step.get(start // plan.step_seconds, 0)] for start in starts],
            }
        )
    return Ranking(results, len(counts) - len(shown))


def _read_counts(window: Window, plan: Plan) -> Iterator[ErrorCount]:
    step = plan.step_seconds
    # The first and the last full hour.
    first, last = -(-window.start_s // COARSEST) * COARSEST, window.end_s // COARSEST * COARSEST
    if plan.resolution != COARSEST or first >= last:
        yield from _count_errors(window.start, window.end, step)
        return
    yield from _count_errors(window.start, at_second(first), step)
    hours = ErrorGroupRollup.objects.filter(bucket__gte=first, bucket__lt=last)
    rows = hours.annotate(step=IntegerDivision("bucket", step)).values("step", "group_id", "series_id")
    counts = rows.annotate(n=Sum("count")).order_by().values_list("step", "group_id", "series_id", "n")
    yield from ((number, group_id, series_id, int(count)) for number, group_id, series_id, count in counts)
    yield from _count_errors(at_second(last), window.end, step)


def _count_errors(start: datetime, end: datetime, step: int) -> Iterator[ErrorCount]:
    if start >= end:
        return
    rows = ErrorMetrics.objects.filter(timestamp__gte=start, timestamp__lt=end).annotate(
        step=BucketOf("timestamp", step)
    )
    counts = rows.values("step", "group_id", "series_id").annotate(n=Count("id")).order_by()
    yield from counts.values_list("step", "group_id", "series_id", "n")
    check_budget()
