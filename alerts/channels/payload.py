"""A message as JSON, for webhooks and the log. The schema is documented in docs/alerts.md; SCHEMA is its version."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson

from alerts.channels.message import Message, MessageAlert
from alerts.channels.words import summary_of, title_of
from metrics.queries.time.window import iso

SCHEMA = 1


def payload_of(message: Message) -> bytes:
    """Return the JSON object of a message, in UTF-8."""
    return orjson.dumps(as_dict(message))


def as_dict(message: Message) -> dict[str, Any]:
    """Return a message, ready for JSON."""
    return {
        "schema": SCHEMA,
        "id": message.id,
        "kind": message.kind.value,
        "created_at": iso(message.created_at),
        "title": title_of(message),
        "text": summary_of(message),
        "status": "firing" if message.firing else "resolved" if message.resolved else "ok",
        "url": message.url,
        "alerts": [_alert(alert) for alert in message.alerts],
    }


def _alert(alert: MessageAlert) -> dict[str, Any]:
    return {
        "change": alert.change,
        "alert": alert.alert,
        "rule": alert.rule,
        "name": alert.name,
        "state": alert.state,
        "severity": alert.severity,
        "labels": dict(alert.labels),
        "metric_name": alert.metric,
        "stat": alert.stat,
        "comparison": alert.comparison,
        "threshold": alert.threshold,
        "value": alert.value,
        "unit": alert.unit,
        "at": iso(alert.at),
        "started_at": _iso(alert.started_at),
        "ended_at": _iso(alert.ended_at),
        "note": alert.note,
        "description": alert.description,
        "runbook_url": alert.runbook_url,
        "url": alert.url,
    }


def _iso(time: datetime | None) -> str | None:
    return None if time is None else iso(time)
