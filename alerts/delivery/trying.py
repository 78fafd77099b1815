"""A test message, which is sent at once and only once."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from alerts.channels.kinds import KINDS
from alerts.channels.message import Message, MessageAlert, MessageKind
from alerts.channels.stored import settings_of
from alerts.delivery.composing import PAGE, url_of
from alerts.delivery.sending import failure_of
from alerts.models import Channel


def send_test(channel: Channel, now: datetime) -> str | None:
    """Send a message with an example of an alert. Return why it was not accepted; None if it was."""
    try:
        settings = settings_of(channel)
        KINDS[channel.kind].send(settings, test_message(now))
    except Exception as error:  # noqa: BLE001 (whatever it is, the person is told)
        return str(failure_of(error, channel))
    return None


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
