"""The rows of alerts and their changes, as a judgement decides them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

import orjson

from alerts.evaluation.judging import FALLING, RISING, GroupState, Labels, Status
from alerts.models import Alert, AlertChange
from alerts.rules.spec import RuleSpec, filters_of
from alerts.rules.words import unit_of
from metrics import queries


def state_of(alert: Alert) -> GroupState:
    """Return the state of a stored alert."""
    return GroupState(Status(alert.state), alert.since, alert.fired_at, alert.value, alert.peak)


def new_alert(rule: RuleSpec, labels: Labels, *, is_demo: bool) -> Alert:
    """Return the alert of a group, without a state."""
    return Alert(
        rule_id=rule.id,
        rule_name=rule.name,
        severity=rule.severity,
        metric=rule.metric.name,
        stat=rule.stat,
        labels=dict(labels),
        labels_hash=sha256(orjson.dumps(labels)).hexdigest(),
        threshold=rule.threshold,
        kind=rule.kind,
        comparison=rule.comparison,
        unit=unit_of(rule),
        is_demo=is_demo,
    )


def foreign(rule: RuleSpec, alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts of the rule as it was before a change, for which it would read no value, or another one."""
    names = queries.label_names(rule.metric, rule.group_by or ())
    filters = filters_of(rule.filters).as_dict()
    unit = unit_of(rule)
    return [
        alert
        for alert in alerts
        if (alert.metric, alert.stat, alert.unit or unit) != (rule.metric.name, rule.stat, unit)
        or alert.kind not in ("", rule.kind)
        or _direction(alert.comparison or rule.comparison) != _direction(rule.comparison)
        or list(alert.labels) != names
        or any(value not in filters.get(name, (value,)) for name, value in alert.labels.items())
    ]


def _direction(comparison: str) -> object:
    return next((side for side in (RISING, FALLING) if comparison in side), comparison)


def follow(rule: RuleSpec, alert: Alert) -> bool:
    """Set what the rule says of an alert. Return whether it has changed."""
    said = {
        "rule_name": rule.name,
        "severity": rule.severity,
        "threshold": rule.threshold,
        "kind": rule.kind,
        "comparison": rule.comparison,
        "unit": unit_of(rule),
    }
    changed = {name: value for name, value in said.items() if getattr(alert, name) != value}
    for name, value in changed.items():
        setattr(alert, name, value)
    return bool(changed)


def set_state(alert: Alert, state: GroupState, at: datetime) -> None:
    """Set what a judgement at `at` has decided."""
    alert.state, alert.since, alert.fired_at = state.status, state.since, state.fired_at
    alert.value, alert.peak, alert.updated_at = state.value, state.peak, at


def change_to(alert: Alert, to: Status, at: datetime, value: float | None) -> AlertChange:
    """Return a change of an alert; one to an end ends the alert, not before it began if the clock was set back."""
    if to in (Status.RESOLVED, Status.INACTIVE):
        alert.state, alert.updated_at, alert.value = to, at, value
        alert.ended_at = max(at, alert.fired_at or alert.since)
    return AlertChange(alert=alert, at=at, to=to, value=value)


def end(alert: Alert, at: datetime, note: str) -> AlertChange:
    """End an alert that is no longer judged, and return the change."""
    change = change_to(alert, Status.RESOLVED if alert.state == Status.FIRING else Status.INACTIVE, at, None)
    change.note = note
    return change
