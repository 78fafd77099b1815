"""The numbers of alerts, for the tick of each second: kept in the cache, and read from the store after a flush.

Whoever changes alerts calls `refresh`. Of two processes that do so at once, the later write may be the older one, so
the numbers expire soon, and every evaluation writes them again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Max, Q

from alerts.models import Alert, AlertChange
from alerts.rules.spec import AlertLevel

KEY = "alerts.numbers"
EXPIRE_SECONDS = 15  # three evaluations


def numbers_of_alerts(at: datetime) -> dict[str, Any]:
    """Return the numbers of firing and pending alerts, of those that need attention, and the newest change."""
    return cache.get(KEY) or refresh()


def refresh() -> dict[str, Any]:
    """Read the numbers from the store, and write them to the cache."""
    numbers = _read()
    cache.set(KEY, numbers, EXPIRE_SECONDS)
    return numbers


def _read() -> dict[str, Any]:
    states = dict.fromkeys((Alert.State.FIRING, Alert.State.PENDING), 0)
    unacknowledged = dict.fromkeys((str(level) for level in AlertLevel), 0)
    waiting = Count("id", filter=Q(acknowledged_at=None, silence=None))
    groups = Alert.objects.filter(ended_at=None).order_by().values_list("state", "severity")
    for state, severity, number, needing_attention in groups.annotate(Count("id"), waiting=waiting):
        states[state] += number
        if state == Alert.State.FIRING:
            unacknowledged[severity] += needing_attention
    return {
        "firing": states[Alert.State.FIRING],
        "pending": states[Alert.State.PENDING],
        "unacknowledged": unacknowledged,
        "last_change": AlertChange.objects.aggregate(newest=Max("id"))["newest"] or 0,
    }
