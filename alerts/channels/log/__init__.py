"""Messages as lines of JSON in the server's log, by the logger `alerts.messages`."""

from __future__ import annotations

import logging

from pydantic import BaseModel, ConfigDict

from alerts.channels.kind import ChannelKind
from alerts.channels.message import Message
from alerts.channels.payload import payload_of

log = logging.getLogger("alerts.messages")


class LogSettings(BaseModel):
    """No settings."""

    model_config = ConfigDict(extra="forbid")


def send(settings: LogSettings, message: Message) -> None:
    """Log the message: as a warning if an alert in it fires."""
    log.log(logging.WARNING if message.firing else logging.INFO, payload_of(message).decode())


ABOUT = "A line of JSON for each message."
KIND = ChannelKind("log", "Log of the server", ABOUT, LogSettings, send, lambda settings: "")
