"""A test message, which is sent at once and only once."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from uuid import uuid4

from alerts.channels.message import Message, MessageAlert, MessageKind
from alerts.delivery.attempt import attempt
from alerts.delivery.composing import PAGE, url_of
from alerts.models import Channel


def send_test(channel: Channel, now: datetime) -> str | None:
    """Send a message with an example of an alert. Return why it was not accepted; None if it was."""
    failure = attempt(channel, partial(test_message, now))
    return None if failure is None else str(failure)


def test_message(now: datetime) -> Message:
    """Return a message with an example of an alert, which has no ids."""
    example = MessageAlert(
        change=None,
        alert=None,
        rule="test",
        name="Example",
        state="firing",
        severity="info",
        labels={"host": "example"},
        metric="system.cpu_percent",
        stat="avg",
        comparison="gt",
        threshold=80.0,
        value=93.0,
        unit="%",
        at=now,
        started_at=now,
        ended_at=None,
        note="This is a test. No alert fires.",
        url=url_of(PAGE),
    )
    return Message(str(uuid4()), MessageKind.TEST, now, (example,), url_of(PAGE))
