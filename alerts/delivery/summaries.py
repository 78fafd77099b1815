"""One message instead of many, when more are due than the rate limit of a channel allows."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from alerts.channels.message import MessageKind
from alerts.models import Delivery
from metrics.store.write_lock import write_lock


def summarize(deliveries: Sequence[Delivery], now: datetime) -> Delivery:
    """Store and return a message with all changes of these messages of a channel, which are then `merged`."""
    numbers = [delivery.pk for delivery in deliveries]
    through = Delivery.changes.through
    with write_lock(), transaction.atomic():
        summary = Delivery.objects.create(
            channel_id=deliveries[0].channel_id,
            kind=MessageKind.SUMMARY,
            created_at=min(delivery.created_at for delivery in deliveries),
            next_attempt_at=now,
        )
        changes = through.objects.filter(delivery__in=numbers).values_list("alertchange_id", flat=True)
        through.objects.bulk_create(
            through(delivery_id=summary.pk, alertchange_id=change) for change in sorted(set(changes))
        )
        Delivery.objects.filter(pk__in=numbers).update(state=Delivery.State.MERGED, ended_at=now)
    return summary
