"""A kind of channel with secrets, and what was sent by it."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from alerts.channels.failure import SendFailed
from alerts.channels.kind import ChannelKind
from alerts.channels.kinds import KINDS
from alerts.channels.message import Message

URL = "https://hooks.example.com/T0/secret-path"
TOKEN = "token-that-signs"


class HookSettings(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: SecretStr
    method: str = "POST"
    token: SecretStr = Field(SecretStr(""), title="Signing token", description="It signs each message.")
    rooms: list[Annotated[str, Field(max_length=20)]] = []
    body: str = ""

    @field_validator("url")
    @classmethod
    def _is_url(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith("https://"):
            raise ValueError("must begin with https://.")
        return value


class Hook:
    """What was sent, with which settings, and the failure of the next messages."""

    def __init__(self) -> None:
        self.sent: list[tuple[HookSettings, Message]] = []
        self.failure: Exception | None = None

    def send(self, settings: HookSettings, message: Message) -> None:
        if self.failure:
            raise self.failure
        self.sent.append((settings, message))

    @property
    def secrets(self) -> tuple[str, str]:
        """The secrets that the newest message was sent with."""
        settings = self.sent[-1][0]
        return settings.url.get_secret_value(), settings.token.get_secret_value()


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    """A kind `hook`, which is known by the host of its address."""
    made = Hook()

    def shown(settings: HookSettings) -> str:
        return settings.url.get_secret_value().split("/")[2]

    monkeypatch.setitem(KINDS, "hook", ChannelKind("hook", "Web hook", "For tests.", HookSettings, made.send, shown))
    return made


REFUSED = SendFailed("answered 403", is_final=True)
