"""A kind of channel that keeps its messages, or fails as a test sets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from alerts.channels.failure import SendFailed
from alerts.channels.kind import ChannelKind
from alerts.channels.kinds import KINDS
from alerts.channels.message import Message
from alerts.models import Channel


class _NoSettings(BaseModel):
    pass


@dataclass
class Receiver:
    """The messages that were accepted, all that were sent, and the failure of the next ones."""

    messages: list[Message] = field(default_factory=list)
    sent: list[Message] = field(default_factory=list)
    failure: Exception | None = None

    def send(self, settings: Any, message: Message) -> None:
        self.sent.append(message)
        if self.failure:
            raise self.failure
        self.messages.append(message)

    def alerts(self) -> list[tuple[str, str, str]]:
        """Kind of message, rule and state of each alert that was received."""
        return [(message.kind, alert.rule, alert.state) for message in self.messages for alert in message.alerts]


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """A receiver of the kind `kept`."""
    made = Receiver()
    monkeypatch.setitem(KINDS, "kept", ChannelKind("kept", "Kept", "", _NoSettings, made.send, lambda settings: ""))
    return made


def add_channel(name: str = "ops", **fields: Any) -> Channel:
    return Channel.objects.create(id=name, name=name, **({"kind": "kept"} | fields))


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **duration: float) -> None:
        self.now += timedelta(**duration)


UNAVAILABLE = SendFailed("answered 503")
