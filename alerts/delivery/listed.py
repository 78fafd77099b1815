"""The stored messages, as the API lists them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db.models import Prefetch, Q

from alerts.models import AlertChange, Delivery
from metrics.queries.time.window import iso

PAGE, MAX_PAGE = 50, 500


def deliveries(limit: int, before: Delivery | None = None, **filters: Any) -> list[dict[str, Any]]:
    """Return messages, newest first. before: only those after this one in the list. filters: lookups of the model."""
    rows = Delivery.objects.filter(**filters).prefetch_related(Prefetch("changes", AlertChange.objects.only("pk")))
    if before is not None:
        rows = rows.filter(Q(created_at__lt=before.created_at) | Q(created_at=before.created_at, pk__lt=before.pk))
    return [as_dict(delivery) for delivery in rows[:limit]]


def find(delivery_id: UUID) -> Delivery | None:
    """Return a message; None if there is no such message."""
    return Delivery.objects.filter(pk=delivery_id).first()


def as_dict(delivery: Delivery) -> dict[str, Any]:
    """Return a message. `next_attempt_at`: None unless it waits. `changes`: ids of the changes of alerts in it."""
    is_waiting = delivery.state == Delivery.State.WAITING
    return {
        "id": str(delivery.pk),
        "kind": delivery.kind,
        "channel": delivery.channel_id,
        "rule": delivery.rule_id or None,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": iso(delivery.next_attempt_at) if is_waiting else None,
        "last_error": delivery.last_error or None,
        "created_at": iso(delivery.created_at),
        "ended_at": iso(delivery.ended_at) if delivery.ended_at else None,
        "changes": sorted(change.pk for change in delivery.changes.all()),
    }
