"""Whether a message about an alert is due. Pure functions."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from alerts.channels.message import MessageKind
from alerts.evaluation.judging import Status


class NotifiedAlert(Protocol):
    """What of an alert decides. notified_at: when the newest message about it was stored; None without one."""

    state: str
    is_demo: bool
    silence_id: int | None
    acknowledged_at: datetime | None
    ended_at: datetime | None
    notified_at: datetime | None


def due_of(alert: NotifiedAlert, repeat_seconds: int, at: datetime) -> MessageKind | None:
    """Return which message about an open alert is due; None if none is.

    A firing alert is notified of once, also if it fired before its silence ended or before there was a channel, and
    again after `repeat_seconds` until it is acknowledged.
    """
    if alert.state != Status.FIRING or alert.ended_at is not None or alert.is_demo:
        return None
    if alert.silence_id is not None or alert.acknowledged_at is not None:
        return None
    if alert.notified_at is None:
        return MessageKind.CHANGE
    return MessageKind.REPEAT if at - alert.notified_at >= timedelta(seconds=repeat_seconds) else None
