"""The log of changes: one line of JSON for each, by the logger `alerts.changes`."""

from __future__ import annotations

import logging
from typing import Any

import orjson

from alerts.evaluation.judging import Status
from alerts.models import AlertChange
from alerts.rules.spec import AlertLevel

LOG_LEVELS = {AlertLevel.INFO: logging.INFO, AlertLevel.WARNING: logging.WARNING, AlertLevel.CRITICAL: logging.CRITICAL}

log = logging.getLogger("alerts.changes")


def log_change(change: AlertChange) -> None:
    """Log a change. The level of a firing alert is that of its severity, of other changes it is INFO."""
    alert = change.alert
    line: dict[str, Any] = {
        "alert": alert.pk,
        "rule": alert.rule_id,
        "name": alert.rule_name,
        "state": change.to,
        "severity": alert.severity,
        "metric": alert.metric,
        "stat": alert.stat,
        "value": change.value,
        "threshold": alert.threshold,
        "labels": alert.labels,
        "at": change.at.isoformat(),
    }
    line |= {name: text for name, text in (("by", change.by), ("note", change.note)) if text}
    level = LOG_LEVELS[AlertLevel(alert.severity)] if change.to == Status.FIRING else logging.INFO
    log.log(level, orjson.dumps(line).decode())
