"""One message instead of many, when more are due than the rate limit of a channel allows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from alerts.channels.message import MessageKind
from alerts.models import Channel, Delivery
from metrics.store.write_lock import write_lock

# A message of 1,000 alerts has about half a megabyte, which receivers accept.
MAX_CHANGES = 1_000


def summarize(deliveries: Sequence[Delivery], now: datetime) -> Delivery:
    """Store and return a message with the changes of these messages of a channel, which are then `merged`.

    With more than MAX_CHANGES, it has those of the first messages only; the others wait for the next one.
    """
    numbers = _first_ones([delivery.pk for delivery in deliveries])  # the oldest is the first
    if len(numbers) == 1:
        return deliveries[0]
    through = Delivery.changes.through
    with write_lock(), transaction.atomic():
        Channel.lock(deliveries[0].channel_id)
        summary = Delivery.objects.create(
            channel_id=deliveries[0].channel_id,
            kind=MessageKind.SUMMARY,
            created_at=deliveries[0].created_at,
            next_attempt_at=now,
        )
        changes = through.objects.filter(delivery__in=numbers).values_list("alertchange_id", flat=True)
        through.objects.bulk_create(
            through(delivery_id=summary.pk, alertchange_id=change) for change in sorted(set(changes))
        )
        Delivery.objects.filter(pk__in=numbers).update(state=Delivery.State.MERGED, ended_at=now)
    return summary


def _first_ones(numbers: Sequence[UUID]) -> Sequence[UUID]:
    """Return the first messages, at least one, that have MAX_CHANGES together."""
    through = Delivery.changes.through.objects.filter(delivery__in=numbers)
    counts = dict(through.values_list("delivery_id").annotate(Count("pk")))
    total = 0
    for taken, number in enumerate(numbers):
        total += counts.get(number, 0)
        if taken and total > MAX_CHANGES:
            return numbers[:taken]
    return numbers
