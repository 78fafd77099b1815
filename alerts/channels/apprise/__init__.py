"""Messages to the services that Apprise supports, each by one address such as `slack://…`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from django.conf import settings as django_settings
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from alerts.channels.failure import SendFailed
from alerts.channels.kind import SEND_SECONDS, STORED, ChannelKind
from alerts.channels.message import Message
from alerts.channels.words import summary_of, title_of
from alerts.rules.spec import AlertLevel

SENDER = Path(__file__).with_name("sender.py")
# They show the message on the machine of the server, or run a program there.
LOCAL = frozenset(("blink1", "dbus", "gio", "glib", "gnome", "kde", "macosx", "qt", "syslog", "windows"))
MAX_REASON = 300
SHORTEST_SECRET = 4


class AppriseSettings(BaseModel):
    """url: one address, as Apprise's documentation has it. allow_private: it may lead into the server's network."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    url: SecretStr = Field(title="Address", description="One address of Apprise, such as slack://…")
    allow_private: bool = Field(
        False, title="Allow private addresses", description="Those of this machine and of private networks."
    )

    @field_validator("url")
    @classmethod
    def _recognized(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = value.get_secret_value().strip()
        if _schema(url) in LOCAL:
            raise ValueError(f"must not be {_schema(url)}://, which shows messages on the machine of the server.")
        if info.context != STORED and (why := _why_unknown(url)):
            raise ValueError(f"is not recognized by Apprise: {why.rstrip('.')}.")
        return SecretStr(url)


def send(settings: AppriseSettings, message: Message) -> None:
    """Send the title and the text. Raises SendFailed."""
    url = settings.url.get_secret_value()
    content = {"title": title_of(message), "text": text_of(message), "type": type_of(message)}
    result = _run({"url": url, "allow_private": settings.allow_private, **content})
    if result["sent"]:
        return
    if result["refused"]:
        raise SendFailed(f"the address leads to {result['refused']}", is_final=True)
    reason = _first_line(result["log"], url) or "no reason given"
    raise SendFailed(f"{shown(settings)} has not accepted the message: {reason}")


def shown(settings: AppriseSettings) -> str:
    """Return the service: `slack://…`. The other parts of the address may be secret."""
    return f"{_schema(settings.url.get_secret_value())}://…"


def text_of(message: Message) -> str:
    """Return the text: of one alert what the title does not have, of several a line for each; then the link."""
    if len(message.alerts) == 1:
        [alert] = message.alerts
        parts = [alert.note, alert.description, alert.runbook_url, alert.url or message.url]
    else:
        parts = [summary_of(message), message.url]
    return "\n".join(part for part in parts if part) or title_of(message)


def type_of(message: Message) -> str:
    """Return Apprise's type of the message, which many services show as a colour."""
    levels = {alert.severity for alert in message.firing}
    if AlertLevel.CRITICAL in levels:
        return "failure"
    if AlertLevel.WARNING in levels:
        return "warning"
    return "success" if message.resolved and not levels else "info"


def without_secrets(text: str, url: str) -> str:
    """Return a text without the parts of the URL, of which any may be secret."""
    parts = re.split(r"[/:@?&=,+]", url.partition("://")[2] or url)
    for part in sorted({*parts, *map(unquote, parts)}, key=len, reverse=True):
        if len(part) >= SHORTEST_SECRET:
            text = text.replace(part, "…")
    return text


def _schema(url: str) -> str:
    return url.partition("://")[0].lower()


@lru_cache(maxsize=100)
def _why_unknown(url: str) -> str:
    """Return why Apprise cannot use the URL; empty if it can. Raises ValueError if the check fails."""
    try:
        result = _run({"url": url})
    except SendFailed as error:
        raise ValueError(f"could not be checked: {error}.") from None
    return "" if result["recognized"] else _first_line(result["log"], url) or "expected one such as slack://…"


def _first_line(text: str, url: str) -> str:
    """Return the first line of a log without secrets; empty without one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return without_secrets(lines[0], url)[:MAX_REASON] if lines else ""


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Return the result of the program. Raises SendFailed."""
    try:
        ended = subprocess.run(
            [sys.executable, str(SENDER)],
            input=json.dumps(request),
            env={**os.environ, "PYTHONPATH": str(django_settings.BASE_DIR)},
            capture_output=True,
            text=True,
            timeout=SEND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SendFailed(f"the service has not responded within {SEND_SECONDS:g} s") from None
    if ended.returncode:
        last = ended.stderr.strip().rpartition("\n")[2]
        raise SendFailed(f"Apprise failed: {_first_line(last, request['url'])}")
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


ABOUT = "Slack, Telegram, ntfy and more than a hundred other services, each by one address."
KIND = ChannelKind("apprise", "Apprise", ABOUT, AppriseSettings, send, shown)
