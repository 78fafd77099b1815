"""Errors that are the same, counted together: same type, same message but for numbers and ids, same top frames.

Whole hours of a long window come from counts by hour; the rest, and short windows, from the single errors by their
time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Sum

from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, Series
from metrics.queries.answers.ranking import Ranking
from metrics.queries.read.budget import check_budget, query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import MAX_IDS_IN_SQL
from metrics.queries.read.sql import BucketOf, IntegerDivision
from metrics.queries.time.window import COARSEST, Plan, Window, at_second, iso, plan

MAX_GROUPS = 200
MAX_TREND = 60
MODELS_NAMED = 10


@dataclass
class _Group:
    count: int = 0
    trend: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    series: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def error_groups(window: Window, filters: Filters, now: datetime) -> Ranking:
    """The groups with errors in the window, the most frequent first. Raises QueryTooSlow.

    Each: `id`, `error_type`, `message` (its numbers and ids replaced), `count` in the window, `first_seen` and
    `last_seen` (ever), `models` (the most affected first) and `trend` ([[epoch ms, errors], …] over the window).
    """
    with query_budget():
        chosen = plan(window, now, max_points=MAX_TREND)
        ids = filters.series_ids()
        wanted = None if ids is None else set(ids)
        found: dict[int, _Group] = defaultdict(_Group)
        for bucket, group, series, count in _counts(window, chosen):
            if wanted is None or series in wanted:
                own = found[group]
                own.count += count
                own.trend[bucket] += count
                own.series[series] += count
        shown = sorted(found, key=lambda group: (-found[group].count, group))[:MAX_GROUPS]
        known = ErrorGroup.objects.in_bulk(shown)
        named = _models({series for group in shown for series in found[group].series})
    starts = range(chosen.start, chosen.end, chosen.step_seconds)
    rows = []
    for number in shown:
        if number not in known:
            continue
        kept, own = known[number], found[number]
        by_model: dict[str, int] = defaultdict(int)
        for one, count in own.series.items():
            by_model[named.get(one, "")] += count
        rows.append(
            {
                "id": number,
                "error_type": kept.error_type,
                "message": kept.message,
                "count": own.count,
                "first_seen": iso(kept.first_seen),
                "last_seen": iso(kept.last_seen),
                "models": sorted(by_model, key=lambda name: (-by_model[name], name))[:MODELS_NAMED],
                "trend": [[start * 1000, own.trend.get(start // chosen.step_seconds, 0)] for start in starts],
            }
        )
    return Ranking(rows, len(found) - len(shown))


def _counts(window: Window, chosen: Plan) -> Iterator[tuple[int, int, int, int]]:
    """(bucket number, group, series, errors)."""
    step = chosen.step_seconds
    first, last = -(-window.start_s // COARSEST) * COARSEST, window.end_s // COARSEST * COARSEST
    if chosen.resolution != COARSEST or first >= last:
        yield from _single(window.start, window.end, step)
        return
    yield from _single(window.start, at_second(first), step)
    hours = ErrorGroupRollup.objects.filter(bucket__gte=first, bucket__lt=last).annotate(
        b=IntegerDivision("bucket", step)
    )
    yield from (
        (bucket, group, series, int(count))
        for bucket, group, series, count in hours.values("b", "group_id", "series_id")
        .annotate(n=Sum("count"))
        .order_by()
        .values_list("b", "group_id", "series_id", "n")
    )
    yield from _single(at_second(last), window.end, step)


def _single(start: datetime, end: datetime, step: int) -> Iterator[tuple[int, int, int, int]]:
    if start >= end:
        return
    rows = ErrorMetrics.objects.filter(timestamp__gte=start, timestamp__lt=end).annotate(b=BucketOf("timestamp", step))
    counted = rows.values("b", "group_id", "series_id").annotate(n=Count("id")).order_by()
    yield from counted.values_list("b", "group_id", "series_id", "n")
    check_budget()


def _models(numbers: set[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    wanted = sorted(numbers)
    for start in range(0, len(wanted), MAX_IDS_IN_SQL):
        part = Series.objects.filter(id__in=wanted[start : start + MAX_IDS_IN_SQL])
        found.update(part.values_list("id", "model_name"))
    return found
