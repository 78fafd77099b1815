"""How long ended alerts, silences and messages are kept."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from alerts.models import Alert, Delivery, Silence
from metrics.store.write_lock import write_lock

KEPT = timedelta(days=400)
KEPT_SENT, KEPT_DEAD = timedelta(days=30), timedelta(days=90)  # messages
BATCH = 500


def delete_expired(now: datetime, deadline: float) -> int:
    """Delete alerts that ended before the retention, with their changes, until a time of the monotonic clock.

    Return the number of alerts, silences and messages.
    """
    with write_lock():
        deleted = Silence.objects.filter(ends_at__lt=now - KEPT, alerts=None).delete()[0]
    expired = Alert.objects.filter(ended_at__lt=now - KEPT)
    return deleted + _delete_in_batches(expired, deadline) + _delete_in_batches(_expired_messages(now), deadline)


def _expired_messages(now: datetime) -> QuerySet[Delivery]:
    """Return the messages to delete. Those about open alerts stay: their channels get the end of the alert."""
    through = Delivery.changes.through.objects
    about_open = through.filter(delivery=OuterRef("pk"), alertchange__alert__ended_at=None)
    finished = Q(state__in=(Delivery.State.SENT, Delivery.State.MERGED), ended_at__lt=now - KEPT_SENT)
    given_up = Q(state=Delivery.State.DEAD, ended_at__lt=now - KEPT_DEAD)
    return Delivery.objects.filter(finished | given_up).exclude(Exists(about_open))


def _delete_in_batches(expired: QuerySet[Any], deadline: float) -> int:
    """Delete rows, the earliest ended first, until a time of the monotonic clock. Return how many."""
    deleted = 0
    while time.monotonic() < deadline:
        ids = list(expired.order_by("ended_at").values_list("pk", flat=True)[:BATCH])
        if not ids:
            break
        with write_lock():
            expired.model._default_manager.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
