"""What the status of a response means. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urljoin

from alerts.channels.failure import SendFailed
from alerts.channels.webhook.target import target_of

RETRIED = (408, 425, 429)  # and all from 500


def failure_of(status: int, headers: Mapping[str, str], url: str, now: datetime) -> SendFailed | None:
    """Return the failure that a status means; None if the message is accepted.

    headers: of the response, in a mapping that ignores the case of names. url: where the message was sent.
    """
    if 200 <= status < 300:
        return None
    responded = f"responded with {_in_words(status)}"
    if 300 <= status < 400:
        to = _shown(url, headers.get("Location"))
        return SendFailed(f"{responded}: redirects{to} are not followed, enter the final address", is_final=True)
    if status in RETRIED or status >= 500:
        return SendFailed(responded, retry_after_seconds=_seconds(headers.get("Retry-After"), now))
    return SendFailed(responded, is_final=True)


def _in_words(status: int) -> str:
    """Return a status with its standard phrase; that of the response could be any text."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


def _shown(url: str, location: str | None) -> str:
    """Return where a redirect leads, without what may be secret."""
    with suppress(ValueError):
        return f" to {target_of(urljoin(url, location)).shown}" if location else ""
    return ""


def _seconds(text: str | None, now: datetime) -> float | None:
    """Return how long the receiver asks to wait, as seconds or as a date; None if it does not."""
    if text is None:
        return None
    if text.strip().isascii() and text.strip().isdigit():
        return float(text.strip()[:9])  # the delivery has a limit
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = ((until if until.tzinfo else until.replace(tzinfo=UTC)) - now).total_seconds()
    return seconds if seconds > 0 else None
