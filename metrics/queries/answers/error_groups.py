"""Errors grouped by their type, their message without numbers and ids, and their top stack frames.

The whole hours of a long window are read from the counts by hour. The rest, and short windows, are read from single
errors by their time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Count, Sum

from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics
from metrics.queries.answers.lists import MAX_ID
from metrics.queries.answers.results import Ranking
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import model_names
from metrics.queries.read.sql import BucketOf, IntegerDivision, one_of
from metrics.queries.time.plan import COARSEST, Plan, plan_steps
from metrics.queries.time.window import Window, at_second, iso

GROUPS = 100  # those with the most errors, unless the caller asks for another number
MAX_GROUPS = 200
MAX_TREND = 60
MAX_MODELS = 10
NEWEST = 10  # errors of one group

# (step since 1970, group, series, errors)
ErrorCount = tuple[int, int, int, int]


def error_groups(
    window: Window,
    filters: Filters,
    now: datetime,
    *,
    limit: int = GROUPS,
    search: str = "",
    severities: Sequence[str] = (),
) -> Ranking:
    """Return the groups with errors in the window, the most frequent first. Raises QueryTooSlow.

    With `search`, only the groups whose type or message contains it in any case; with `severities`, only errors of
    these, which are counted as long as single errors are kept.

    Each has `id`, `error_type`, `message` (without numbers and ids), `count` in the window, `first_seen` and
    `last_seen` (of all its errors), `models` (those with the most errors first), and `trend`: [[epoch ms, errors], …].
    """
    with query_budget():
        plan = plan_steps(window, now, max_points=MAX_TREND)
        ids = filters.series_ids()
        selected = None if ids is None else set(ids)
        by_step: dict[int, Counter[int]] = defaultdict(Counter)
        by_series: dict[int, Counter[int]] = defaultdict(Counter)
        for step, group_id, series_id, errors in _read_counts(window, plan, severities):
            if selected is None or series_id in selected:
                by_step[group_id][step] += errors
                by_series[group_id][series_id] += errors
        totals = {group_id: counts.total() for group_id, counts in by_step.items()}
        if search:
            totals = {group_id: totals[group_id] for group_id in _search(search) if group_id in totals}
        shown = sorted(totals, key=lambda group_id: (-totals[group_id], group_id))[:limit]
        groups = ErrorGroup.objects.in_bulk(shown)
        model_of = model_names({series_id for group_id in shown for series_id in by_series[group_id]})
    results = []
    for group_id in shown:
        group = groups.get(group_id)
        if group is None:
            continue
        by_model: Counter[str] = Counter()
        for series_id, errors in by_series[group_id].items():
            by_model[model_of.get(series_id, "")] += errors
        results.append(
            {
                "id": group_id,
                "error_type": group.error_type,
                "message": group.message,
                "count": totals[group_id],
                "first_seen": iso(group.first_seen),
                "last_seen": iso(group.last_seen),
                "models": sorted(by_model, key=lambda name: (-by_model[name], name))[:MAX_MODELS],
                "trend": [
                    [start * 1000, by_step[group_id].get(start // plan.step_seconds, 0)] for start in plan.starts
                ],
            }
        )
    return Ranking(results, len(totals) - len(shown))


def error_group(group_id: int, window: Window, filters: Filters) -> dict[str, Any] | None:
    """Return a group with its newest errors in the window; None if there is no such group. Raises QueryTooSlow.

    It has `id`, `error_type`, `message` (without numbers and ids), `first_seen`, `last_seen`, `errors` (`timestamp`,
    `request_id`, `model_name`, `severity`, `error_message`) and `stack_trace`: that of the newest error with one.
    """
    if not 0 < group_id <= MAX_ID:
        return None
    with query_budget():
        group = ErrorGroup.objects.filter(pk=group_id).first()
        if group is None:
            return None
        rows = ErrorMetrics.objects.filter(group=group, timestamp__gte=window.start, timestamp__lt=window.end)
        ids = filters.series_ids()
        if ids is not None:
            rows = rows.filter(one_of("series_id", ids))
        newest = list(rows.order_by("-timestamp", "-id").select_related("series")[:NEWEST])
    traces = [row.stack_trace for row in newest if row.stack_trace]
    return {
        "id": group.pk,
        "error_type": group.error_type,
        "message": group.message,
        "first_seen": iso(group.first_seen),
        "last_seen": iso(group.last_seen),
        "stack_trace": traces[0] if traces else None,
        "errors": [
            {
                "timestamp": iso(row.timestamp),
                "request_id": row.request_id,
                "model_name": (row.labels or {}).get("model_name", row.series.model_name),
                "severity": row.severity,
                "error_message": row.error_message,
            }
            for row in newest
        ],
    }


def _search(text: str) -> list[int]:
    """Return the ids of the groups whose type or message contains a text in any case."""
    text = text.casefold()
    groups = ErrorGroup.objects.values_list("id", "error_type", "message").iterator(chunk_size=2000)
    return [group_id for group_id, *words in groups if any(text in word.casefold() for word in words)]


def _read_counts(window: Window, plan: Plan, severities: Sequence[str]) -> Iterator[ErrorCount]:
    step = plan.step_seconds
    if severities:
        yield from _count_errors(window.start, window.end, step, severities)
        return
    # The first and the last full hour.
    first, last = -(-window.start_s // COARSEST) * COARSEST, window.end_s // COARSEST * COARSEST
    if plan.resolution != COARSEST or first >= last:
        yield from _count_errors(window.start, window.end, step)
        return
    yield from _count_errors(window.start, at_second(first), step)
    hours = ErrorGroupRollup.objects.filter(bucket__gte=first, bucket__lt=last)
    rows = hours.annotate(step=IntegerDivision("bucket", step)).values("step", "group_id", "series_id")
    # An error whose series has changed has left counts of 1 and -1.
    counts = rows.annotate(n=Sum("count")).filter(n__gt=0).order_by().values_list("step", "group_id", "series_id", "n")
    yield from ((number, group_id, series_id, int(count)) for number, group_id, series_id, count in counts)
    yield from _count_errors(at_second(last), window.end, step)


def _count_errors(start: datetime, end: datetime, step: int, severities: Sequence[str] = ()) -> Iterator[ErrorCount]:
    if start >= end:
        return
    errors = ErrorMetrics.objects.filter(timestamp__gte=start, timestamp__lt=end)
    if severities:
        errors = errors.filter(severity__in=severities)
    rows = errors.annotate(step=BucketOf("timestamp", step)).values("step", "group_id", "series_id")
    yield from rows.annotate(n=Count("id")).order_by().values_list("step", "group_id", "series_id", "n")
    check_budget()
