"""The spans of a window in which alerts were pending or firing, for charts and timelines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from alerts.cutting import Cut, first_of, in_window
from alerts.models import Alert
from metrics.queries.time.window import iso

MAX_SPANS = 500


def read_spans(
    start: datetime, end: datetime, labels: Mapping[str, Sequence[str]] | None = None, limit: int = MAX_SPANS
) -> Cut:
    """Return the spans that a window from `start` to before `end` has a part of, whole, at most `limit`.

    `labels`: label -> values; an alert with another value of such a label is not returned, one without the label is. A
    span is of one state: an alert that was pending and then fired has two. `to` is None while the state lasts.
    """
    selects = (lambda alert: matches(alert.labels, labels)) if any((labels or {}).values()) else None
    alerts, omitted = first_of(in_window(start, end), limit, selects)
    results: list[dict[str, Any]] = []
    shown = 0
    for alert in alerts:
        of_alert = [span for span in _spans_of(alert) if _overlaps(span, start, end)]
        if len(results) + len(of_alert) > limit:
            break
        results += of_alert
        shown += 1
    omitted += len(alerts) - shown
    return Cut([_as_json(span) for span in sorted(results, key=itemgetter("from"), reverse=True)], omitted)


def matches(of_alert: Mapping[str, Any], labels: Mapping[str, Sequence[str]] | None) -> bool:
    """Return whether the labels of an alert fit those chosen: it has one of the values of each label that it has."""
    chosen = {name: values for name, values in (labels or {}).items() if values}
    return all(of_alert[name] in values for name, values in chosen.items() if name in of_alert)


def _spans_of(alert: Alert) -> Iterator[dict[str, Any]]:
    """Return firing, then pending: newest first."""
    common = {
        "alert": alert.pk,
        "rule": alert.rule_id,
        "name": alert.rule_name,
        "severity": alert.severity,
        "metric_name": alert.metric,
        "stat": alert.stat,
        "labels": alert.labels,
        "since": iso(alert.since),
        "value": alert.value,
        "peak": alert.peak,
        "threshold": alert.threshold,
        "unit": alert.unit,
        "acknowledged": alert.acknowledged_at is not None,
        "silenced": alert.silence_id is not None,
        "is_demo": alert.is_demo,
    }
    if alert.fired_at is not None:
        yield common | {"state": Alert.State.FIRING.value, "from": alert.fired_at, "to": alert.ended_at}
    pending_to = alert.fired_at or alert.ended_at
    if pending_to is None or pending_to > alert.since:
        yield common | {"state": Alert.State.PENDING.value, "from": alert.since, "to": pending_to}


def _overlaps(span: Mapping[str, Any], start: datetime, end: datetime) -> bool:
    return bool(span["from"] < end and (span["to"] is None or span["to"] > start))


def _as_json(span: dict[str, Any]) -> dict[str, Any]:
    return span | {"from": iso(span["from"]), "to": None if span["to"] is None else iso(span["to"])}
