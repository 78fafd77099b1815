"""The content of an e-mail, for its two templates, `templates/alerts/email/message.html` and `message.txt`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from alerts.channels.email.last_hour import BUDGET_SECONDS, LastHour, last_hour
from alerts.channels.message import Message, MessageAlert, MessageKind
from alerts.channels.words import MAX_LINES, condition_of, duration_of, line_of, title_of, value_of
from alerts.rules.spec import AlertLevel
from metrics.queries import QueryStopped
from metrics.queries.read.budget import query_budget

MAX_TABLES = 5
# They can be read on a white and on a black background.
COLORS = {AlertLevel.CRITICAL: "#e5484d", AlertLevel.WARNING: "#d97706", AlertLevel.INFO: "#3b82f6"}
RESOLVED_COLOR = "#2f9e60"
TEXTS = {
    MessageKind.TEST: "This channel works: a message about an alert would arrive here.",
    MessageKind.HEARTBEAT: "The rules are judged, and messages can be sent.",
}


@dataclass(frozen=True, slots=True)
class Part:
    """An alert in an e-mail. figures: names and values."""

    line: str
    color: str
    figures: Sequence[tuple[str, str]]
    alert: MessageAlert
    table: LastHour | None


def content_of(message: Message, now: datetime) -> dict[str, Any]:
    """Return the variables of the templates. It reads the figures of the last hour."""
    parts = list(_parts(message, now))
    return {
        "title": title_of(message),
        "text": TEXTS.get(message.kind, ""),
        "parts": parts,
        "more": len(message.alerts) - len(parts),
        "url": message.url,
    }


def _parts(message: Message, now: datetime) -> Iterator[Part]:
    tables: list[LastHour | None] = []
    with suppress(QueryStopped), query_budget(BUDGET_SECONDS):
        for alert in message.alerts[:MAX_TABLES]:
            tables.append(last_hour(alert, max(alert.at, message.created_at), now))  # noqa: PERF401 (kept if the next is stopped)
    tables += [None] * len(message.alerts)
    for alert, table in zip(message.alerts[:MAX_LINES], tables, strict=False):
        color = COLORS[AlertLevel(alert.severity)] if alert.state == "firing" else RESOLVED_COLOR
        yield Part(line_of(alert), color, list(_figures(alert)), alert, table)


def _figures(alert: MessageAlert) -> Iterator[tuple[str, str]]:
    """Yield the figures of an alert that are known."""
    is_firing = alert.state == "firing"
    named = {
        "Value": value_of(alert),
        "Condition": condition_of(alert),
        **{name.capitalize(): value or "(none)" for name, value in alert.labels.items()},
        "Severity": alert.severity,
        "Fires since" if is_firing else "Fired at": _time(alert.started_at),
        "Resolved at": "" if is_firing else _time(alert.ended_at),
        "Duration": "" if is_firing else duration_of(alert),
        "Note": alert.note,
    }
    yield from ((name, value) for name, value in named.items() if value)


def _time(time: datetime | None) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if time else ""
