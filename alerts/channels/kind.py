"""What a kind of channel is. `kinds.py` has all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from alerts.channels.message import Message

STORED = {"is_stored": True}
SEND_SECONDS = 10.0  # within which a message is accepted, or has failed


@dataclass(frozen=True, slots=True)
class ChannelKind:
    """A kind of channel.

    about: what a person chooses it for, in a sentence.
    settings: the pydantic model of its settings; a field of the type `SecretStr` is stored encrypted and never shown.
    `alerts.channel_admin.settings_fields` has the types for which there are form fields. Stored settings are validated
    in the context STORED, in which a check that takes long is omitted.
    send: sends a message, or raises SendFailed, within SEND_SECONDS. shown: what of the settings a person recognizes
    the channel by, without secrets, such as the host of an address.
    """

    name: str
    title: str
    about: str
    settings: type[BaseModel]
    send: Callable[[Any, Message], None]
    shown: Callable[[Any], str]
