"""Acknowledging alerts: a person says that they know of a firing alert."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from alerts.change_log import log_change
from alerts.models import Alert, AlertChange
from alerts.publishing import publish
from metrics.store.write_lock import write_lock

ACKNOWLEDGED = "acknowledged"


class AlertEnded(Exception):
    """The alert has ended, so that there is nothing to look after."""


def acknowledge(number: int, by: str, note: str, at: datetime) -> Alert | None:
    """Note who has acknowledged an alert, and return it; None if there is no such alert. A repeat changes the note.

    Raises AlertEnded.
    """
    with write_lock(), transaction.atomic():
        alert = Alert.objects.select_for_update().filter(pk=number).first()
        if alert is None:
            return None
        if alert.ended_at is not None:
            raise AlertEnded
        alert.acknowledged_at, alert.acknowledged_by, alert.note = at, by, note
        alert.save(update_fields=["acknowledged_at", "acknowledged_by", "note"])
        change = AlertChange.objects.create(alert=alert, at=at, to=ACKNOWLEDGED, value=alert.value, by=by, note=note)
    log_change(change)
    publish([change])
    return alert
