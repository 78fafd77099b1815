"""Acknowledging alerts: a person says that they know of a firing alert."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from django.db import transaction
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from alerts.models import Alert, AlertChange
from alerts.publishing import announce
from alerts.rules.spec import STORABLE, BadFields, described
from metrics.store.write_lock import write_lock

ACKNOWLEDGED = "acknowledged"
MAX_BY = 150


class Acknowledgement(BaseModel):
    """The body of an acknowledgement."""

    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=500), STORABLE] = ""
    by: Annotated[str, Field(max_length=MAX_BY), STORABLE] = ""


def check_acknowledgement(values: Any) -> Acknowledgement:
    """Return the acknowledgement with these fields. Raises BadFields."""
    try:
        return Acknowledgement.model_validate(values)
    except ValidationError as error:
        raise BadFields(
            [described(detail, of="acknowledgement") for detail in error.errors(include_url=False)]
        ) from None


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
        announce([change])
    return alert
