"""A message about alerts, as every kind of channel gets it. Pure data; `words.py` has it in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MessageKind(StrEnum):
    """Why a message is sent."""

    CHANGE = "change"  # alerts have begun to fire, or are resolved
    REPEAT = "repeat"  # alerts still fire
    SUMMARY = "summary"  # several messages in one, because of the rate limit of the channel
    TEST = "test"  # a person tries the channel
    HEARTBEAT = "heartbeat"  # all is well


@dataclass(frozen=True, slots=True)
class MessageAlert:
    """An alert at one of its changes.

    change: the id of the change, which stays the same however often it is sent (None: in a test). state: `firing` or
    `resolved`. value: the one at the change, in `unit`; None without data. url: the page with the chart of that moment.
    """

    change: int | None
    alert: int | None
    rule: str
    name: str
    state: str
    severity: str
    labels: Mapping[str, str]
    metric: str
    stat: str
    comparison: str
    threshold: float | None
    value: float | None
    unit: str
    at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    note: str = ""
    description: str = ""
    runbook_url: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message. `id` stays the same when it is sent again; a receiver drops the repeats.

    alerts: those that fire first, the most severe first; none in a heartbeat. url: the Alerts page.
    """

    id: str
    kind: MessageKind
    created_at: datetime
    alerts: tuple[MessageAlert, ...] = ()
    url: str = ""

    @property
    def firing(self) -> tuple[MessageAlert, ...]:
        """The alerts that fire, without those whose end is in the message, too."""
        ended = {alert.alert for alert in self.resolved}
        return tuple(alert for alert in self.alerts if alert.state == "firing" and alert.alert not in ended)

    @property
    def resolved(self) -> tuple[MessageAlert, ...]:
        """The alerts that are resolved."""
        return tuple(alert for alert in self.alerts if alert.state == "resolved")
