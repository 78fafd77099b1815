"""Messages for the tests of channels."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alerts.channels.message import Message, MessageAlert, MessageKind

AT = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
PAGE = "http://monitor.test/dashboard/alerts/"


def make_alert(number: int = 1, **fields: Any) -> MessageAlert:
    """An alert on the CPUs of a host, which fires at AT."""
    known: dict[str, Any] = {
        "change": number, "alert": number, "rule": "high-cpu-usage", "name": "High CPU Usage", "state": "firing",
        "severity": "warning", "labels": {"host": "gpu-1"}, "metric": "system.cpu_percent", "stat": "avg",
        "comparison": "gt", "threshold": 80.0, "value": 93.4, "unit": "%", "at": AT, "started_at": AT,
        "ended_at": None, "url": f"http://monitor.test/dashboard/?alert={number}",
    }  # fmt: skip
    return MessageAlert(**known | fields)


def make_message(*alerts: MessageAlert, kind: str = "change") -> Message:
    return Message("8c2f-1", MessageKind(kind), AT, alerts, PAGE)
