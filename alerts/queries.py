"""What the API and the pages read of alerts, ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from alerts.models import Alert, AlertChange, AlertRule, Evaluation
from alerts.spans import read_spans, spans
from metrics.queries.time.window import iso

__all__ = [
    "active_alerts", "as_dict", "change_as_dict", "history", "read_spans", "rules", "spans",
]  # fmt: skip

MAX_ACTIVE = 1_000
PAGE, MAX_PAGE = 50, 500


def active_alerts(
    states: Sequence[str] = (), severities: Sequence[str] = (), labels: Mapping[str, Sequence[str]] | None = None
) -> list[dict[str, Any]]:
    """Return the pending and firing alerts, those that fire first. `labels`: label -> the values to return."""
    rows = Alert.objects.filter(ended_at=None)
    if states:
        rows = rows.filter(state__in=states)
    if severities:
        rows = rows.filter(severity__in=severities)
    listed = sorted(rows[:MAX_ACTIVE], key=lambda alert: (alert.state != Alert.State.FIRING, alert.since))
    wanted = {name: values for name, values in (labels or {}).items() if values}
    return [
        as_dict(alert) for alert in listed if all(alert.labels.get(name) in values for name, values in wanted.items())
    ]


def history(before_id: int | None = None, limit: int = PAGE, rule_id: str | None = None) -> list[dict[str, Any]]:
    """Return changes of alerts, newest first, of one rule or of all. `before_id`: only those before this change."""
    rows = AlertChange.objects.select_related("alert").order_by("-id")
    if rule_id is not None:
        rows = rows.filter(alert__rule_id=rule_id)
    if before_id is not None:
        rows = rows.filter(id__lt=before_id)
    return [change_as_dict(change) for change in rows[:limit]]


def as_dict(alert: Alert) -> dict[str, Any]:
    """Return an alert."""
    return {
        "id": alert.pk,
        "rule": alert.rule_id,
        "name": alert.rule_name,
        "state": alert.state,
        "severity": alert.severity,
        "metric_name": alert.metric,
        "stat": alert.stat,
        "value": alert.value,
        "peak": alert.peak,
        "threshold": alert.threshold,
        "unit": alert.unit,
        "labels": alert.labels,
        "since": iso(alert.since),
        "started_at": _iso(alert.fired_at),
        "ended_at": _iso(alert.ended_at),
        "updated_at": iso(alert.updated_at),
        "acknowledged_at": _iso(alert.acknowledged_at),
        "acknowledged_by": alert.acknowledged_by or None,
        "note": alert.note or None,
        "silence": alert.silence_id,
        "silenced_until": _iso(alert.silenced_until),
        "is_demo": alert.is_demo,
    }


def change_as_dict(change: AlertChange) -> dict[str, Any]:
    """Return a change of an alert."""
    alert = change.alert
    return {
        "id": change.pk,
        "at": iso(change.at),
        "to": change.to,
        "value": change.value,
        "by": change.by or None,
        "note": change.note or None,
        "alert": alert.pk,
        "rule": alert.rule_id,
        "name": alert.rule_name,
        "severity": alert.severity,
        "metric_name": alert.metric,
        "threshold": alert.threshold,
        "labels": alert.labels,
    }


def rules() -> list[dict[str, Any]]:
    """Return all rules by name, each with why it was not judged in the newest evaluation."""
    evaluation = Evaluation.objects.first()
    problems = evaluation.problems if evaluation else {}
    return [rule.fields() | {"not_judged": problems.get(rule.pk)} for rule in AlertRule.objects.all()]


def _iso(time: datetime | None) -> str | None:
    return None if time is None else iso(time)
