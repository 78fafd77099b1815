"""What the API and the pages read of alerts, ready for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any

import orjson
from django.db.models import (
    BooleanField,
    Case,
    Count,
    ExpressionWrapper,
    F,
    Max,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast

from alerts.cutting import MOST_IMPORTANT_FIRST, Cut, first_of, in_window
from alerts.evaluation import newest_values
from alerts.models import Alert, AlertChange, AlertRule, Channel, Evaluation
from alerts.rules.words import unit_of_fields
from metrics import catalogue
from metrics.queries import Window
from metrics.queries.read.budget import query_budget
from metrics.queries.time.window import iso

MAX_ACTIVE = 1_000
PAGE, MAX_PAGE = 50, 500
MAX_COMPARED = 50  # values of a label, in a statement
BIN = timedelta(hours=20)


def active_alerts(
    states: Sequence[str] = (), severities: Sequence[str] = (), selects: Callable[[Alert], bool] | None = None
) -> Cut:
    """Return the pending and firing alerts, the most important first, at most MAX_ACTIVE. Raises QueryTooSlow."""
    rows = Alert.objects.filter(ended_at=None)
    if states:
        rows = rows.filter(state__in=states)
    if severities:
        rows = rows.filter(severity__in=severities)
    first, omitted = first_of(rows.order_by(*MOST_IMPORTANT_FIRST, "since", "id"), MAX_ACTIVE, selects)
    return Cut([as_dict(alert) for alert in first], omitted)


def states_of_active() -> list[dict[str, Any]]:
    """Return what the states and severities of all active alerts are counted by."""
    rows = Alert.objects.filter(ended_at=None).order_by()
    return [dict(row) for row in rows.values("state", "severity", "acknowledged_at", "silence")]


def has_labels(alert: Alert, labels: Mapping[str, Sequence[str]]) -> bool:
    """Return whether an alert has one of the values of each label for which there are any."""
    return all(alert.labels.get(name) in values for name, values in labels.items() if values)


def preselect(rows: QuerySet[Any], labels: Mapping[str, Sequence[str]], field: str = "labels") -> QuerySet[Any]:
    """Return fewer of the rows for `has_labels` to choose among: the database compares the values with a stored text.

    field: where the rows have the labels of an alert. A label with more than MAX_COMPARED values is not compared.
    """
    rows = rows.alias(stored_labels=Cast(field, TextField()))
    for name, values in labels.items():
        if 0 < len(values) <= MAX_COMPARED:
            parts = (orjson.dumps({name: value}).decode()[1:-1] for value in values)
            rows = rows.filter(reduce(or_, (Q(stored_labels__contains=part) for part in parts)))
    return rows


def history(
    before_id: int | None = None,
    limit: int = PAGE,
    rule_id: str | None = None,
    *,
    alert_id: int | None = None,
    states: Sequence[str] = (),
    severities: Sequence[str] = (),
    labels: Mapping[str, Sequence[str]] | None = None,
    window: Window | None = None,
) -> list[dict[str, Any]]:
    """Return changes of alerts, newest first: those with all of these properties. Raises QueryTooSlow.

    `before_id`: only those before this change. `states`: what the alerts changed to.
    """
    rows = AlertChange.objects.select_related("alert").order_by("-id")
    chosen = {
        "alert__rule_id": rule_id,
        "alert_id": alert_id,
        "id__lt": before_id,
        "to__in": states or None,
        "alert__severity__in": severities or None,
        "at__gte": window and window.start,
        "at__lt": window and window.end,
    }
    rows = rows.filter(**{lookup: value for lookup, value in chosen.items() if value is not None})
    if not any((labels or {}).values()):
        return [change_as_dict(change) for change in rows[:limit]]
    with query_budget():
        changes = preselect(rows, labels or {}, "alert__labels").iterator(chunk_size=1_000)
        matching = (change for change in changes if has_labels(change.alert, labels or {}))
        return [change_as_dict(change) for change in islice(matching, limit)]


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


def alerts_between(start: datetime, end: datetime, selects: Callable[[Alert], bool] | None = None) -> Cut:
    """Return the alerts that were pending or firing in a part of the window, newest first. Raises QueryTooSlow.

    Of more than MAX_ACTIVE, they are the most important ones, then those that ended last.
    """
    first, omitted = first_of(in_window(start, end), MAX_ACTIVE, selects)
    newest = sorted(first, key=lambda alert: (alert.since, alert.pk), reverse=True)
    return Cut([as_dict(alert) for alert in newest], omitted)


def firings(since: datetime, until: datetime) -> dict[str, list[dict[str, Any]]]:
    """Return times that touch the days between `since` and `until` on which alerts fired, by rule.

    Each is `{"from", "to", "silenced"}`: from the first to the last of the alerts that fired within BIN, which is
    shorter than a day, so that no day without an alert is touched, in any time zone.
    """
    edges = [since + number * BIN for number in range(1, (until - since) // BIN + 1)]
    fired = Alert.objects.filter(Q(ended_at=None) | Q(ended_at__gt=since), fired_at__isnull=False).order_by()
    rows = fired.annotate(
        bin=Case(*(When(fired_at__lt=edge, then=Value(n)) for n, edge in enumerate(edges)), default=Value(len(edges))),
        silenced=ExpressionWrapper(Q(silence__isnull=False), BooleanField()),
    ).values("rule_id", "bin", "silenced")
    result: dict[str, list[dict[str, Any]]] = {}
    for row in rows.annotate(first=Min("fired_at"), last=Max("ended_at"), lasting=Count("id", Q(ended_at=None))):
        end = None if row["lasting"] else _iso(row["last"])
        span = {"from": iso(row["first"]), "to": end, "silenced": row["silenced"]}
        result.setdefault(row["rule_id"], []).append(span)
    return result


def last_fired() -> dict[str, dict[str, Any]]:
    """Return when each stored rule fired last, by rule: `{"from", "to", "silenced"}`."""
    fired = Alert.objects.filter(rule_id=OuterRef("pk"), fired_at__isnull=False)  # by an index of each rule
    last = fired.order_by("-fired_at", F("ended_at").desc(nulls_first=True))  # of several groups, one that fires still
    newest = AlertRule.objects.order_by().values(newest=Subquery(last.values("pk")[:1]))
    rows = Alert.objects.filter(pk__in=newest).values_list("rule_id", "fired_at", "ended_at", "silence")
    return {
        rule: {"from": _iso(start), "to": _iso(end), "silenced": silence is not None}
        for rule, start, end, silence in rows
    }


def number_of_channels() -> int:
    """Return how many channels get messages of alerts."""
    return Channel.objects.filter(enabled=True, heartbeat_seconds=None).count()


def newest_evaluation() -> dict[str, Any]:
    """Return when the rules were judged last (None: never), and how long that took."""
    evaluation = Evaluation.objects.first()
    return {
        "at": _iso(evaluation.at) if evaluation else None,
        "duration_ms": evaluation.duration_ms if evaluation else None,
    }


def rules(rule_id: str | None = None) -> list[dict[str, Any]]:
    """Return all rules by name, or the one with this id.

    Each has why it was not judged in the newest evaluation, and its newest value: that of the group which is nearest
    to firing, None where it is not known.
    """
    evaluation = Evaluation.objects.first()
    problems = evaluation.problems if evaluation else {}
    newest = newest_values.read()
    unknown: dict[str, Any] = {"value": None, "group": {}, "count": 0, "share_of_threshold": None, "groups": 0}
    return [
        rule.fields() | {"unit": _unit_of(rule), "not_judged": problems.get(rule.pk)} | newest.get(rule.pk, unknown)
        for rule in (AlertRule.objects.all() if rule_id is None else AlertRule.objects.filter(pk=rule_id))
    ]


def _unit_of(rule: AlertRule) -> str:
    metric = catalogue.BY_NAME.get(f"{rule.metric_type}.{rule.metric_name}")
    return unit_of_fields(rule.kind, metric, rule.stat)


def _iso(time: datetime | None) -> str | None:
    return None if time is None else iso(time)
