"""Which alerts of many are read: the most important ones, after all of them were matched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Case, F, Q, QuerySet, Value, When

from alerts.models import Alert
from alerts.rules.words import SEVERITIES
from metrics.queries.read.budget import check_budget, query_budget

# Those that fire, then silenced ones of them, then pending ones, each the most severe first; then ended ones,
# and last those that ended without having fired.
MOST_IMPORTANT_FIRST = (
    Case(
        When(Q(fired_at=None) & ~Q(ended_at=None), then=Value(4)),
        When(~Q(ended_at=None), then=Value(3)),
        When(state=Alert.State.FIRING, silence=None, then=Value(0)),
        When(state=Alert.State.FIRING, then=Value(1)),
        default=Value(2),
    ),
    Case(
        When(~Q(ended_at=None), then=Value(0)),
        *(When(severity=level, then=Value(rank)) for rank, level in enumerate(SEVERITIES)),
        default=Value(len(SEVERITIES)),
    ),
)
SELECTED_BY = ("labels", "severity", "state", "acknowledged_at", "silence")


class Cut(NamedTuple):
    """The first alerts, ready for JSON, and how many further ones there are."""

    results: list[dict[str, Any]]
    omitted: int


def in_window(start: datetime, end: datetime) -> QuerySet[Alert]:
    """Return the alerts that were pending or firing in a part of the window, the most important first."""
    rows = Alert.objects.filter(Q(ended_at=None) | Q(ended_at__gt=start), since__lt=end)
    return rows.order_by(*MOST_IMPORTANT_FIRST, F("ended_at").desc(nulls_first=True), "-since", "-id")


def first_of(
    rows: QuerySet[Alert], limit: int, selects: Callable[[Alert], bool] | None = None
) -> tuple[list[Alert], int]:
    """Return the first of the alerts that are selected, and how many further ones are. Raises QueryTooSlow.

    `selects` reads the fields of SELECTED_BY only.
    """
    with query_budget():
        if selects is None:
            first = list(rows[:limit])
            return first, rows.count() - limit if len(first) == limit else 0
        selected = []
        for alert in rows.only(*SELECTED_BY).iterator(chunk_size=1_000):
            check_budget()
            if selects(alert):
                selected.append(alert.pk)
        found = Alert.objects.in_bulk(selected[:limit])
        first = [found[pk] for pk in selected[:limit] if pk in found]
        return first, len(selected) - len(first)
