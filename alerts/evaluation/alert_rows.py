"""The rows of alerts and their changes, as a judgement decides them."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256

import orjson

from alerts.evaluation.judging import GroupState, Labels, Status
from alerts.models import Alert, AlertChange
from alerts.rules.spec import AlertRule
from alerts.rules.words import unit_of


def state_of(alert: Alert) -> GroupState:
    """Return the state of a stored alert."""
    return GroupState(Status(alert.state), alert.since, alert.fired_at, alert.value, alert.peak)


def new_alert(rule: AlertRule, labels: Labels, *, is_demo: bool) -> Alert:
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
        unit=unit_of(rule),
        is_demo=is_demo,
    )


def set_state(alert: Alert, state: GroupState, at: datetime) -> None:
    """Set what a judgement at `at` has decided."""
    alert.state, alert.since, alert.fired_at = state.status, state.since, state.fired_at
    alert.value, alert.peak, alert.updated_at = state.value, state.peak, at


def change_to(alert: Alert, to: Status, at: datetime, value: float | None) -> AlertChange:
    """Return a change of an alert; one to an end ends the alert."""
    if to in (Status.RESOLVED, Status.INACTIVE):
        alert.state, alert.ended_at, alert.updated_at, alert.value = to, at, at, value
    return AlertChange(alert=alert, at=at, to=to, value=value)
