"""The message of a delivery, from the stored alerts and their changes."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings

from alerts.channels.message import Message, MessageAlert, MessageKind
from alerts.evaluation.judging import Status
from alerts.models import Alert, AlertChange, AlertRule, Delivery
from alerts.registers import chart_urls
from alerts.rules.words import SEVERITIES

PAGE = "/dashboard/alerts/"


def message_of(delivery: Delivery) -> Message:
    """Return the message. Of an alert that fires, the value is that of its newest judgement."""
    changes = list(delivery.changes.select_related("alert").order_by("pk"))
    rules = AlertRule.objects.in_bulk({change.alert.rule_id for change in changes})
    alerts = [_alert(change, rules.get(change.alert.rule_id), delivery) for change in changes]
    alerts.sort(key=lambda alert: (alert.state != Status.FIRING, SEVERITIES.index(alert.severity)))
    return Message(str(delivery.pk), MessageKind(delivery.kind), delivery.created_at, tuple(alerts), url_of(PAGE))


def url_of(path: str) -> str:
    """Return the address of a page for people who read a message."""
    # A task has no script prefix, a request has one.
    return settings.LLMMONITOR.base_url + path.removeprefix(settings.LLMMONITOR.path_prefix)


def _alert(change: AlertChange, rule: AlertRule | None, delivery: Delivery) -> MessageAlert:
    alert = change.alert
    return MessageAlert(
        change=change.pk,
        alert=alert.pk,
        rule=alert.rule_id,
        name=alert.rule_name,
        state="resolved" if change.to == Status.RESOLVED else "firing",
        severity=alert.severity,
        labels=alert.labels,
        metric=alert.metric,
        stat=alert.stat,
        comparison=alert.comparison,
        threshold=alert.threshold,
        value=alert.value if delivery.kind == MessageKind.REPEAT else change.value,
        unit=alert.unit,
        at=change.at,
        started_at=alert.fired_at,
        ended_at=alert.ended_at,
        note=change.note,
        description=rule.description if rule else "",
        runbook_url=rule.runbook_url if rule else "",
        url=_chart_url(alert, delivery.created_at),
    )


def _chart_url(alert: Alert, at: datetime) -> str:
    # Not the live chart of an alert that fires: a message may be read hours later.
    chart = chart_urls.get("overview")
    address = chart(alert.metric, alert.labels, alert.since, alert.ended_at or at, at) if chart else ""
    return url_of(address) if address else ""
