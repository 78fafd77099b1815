"""Marks open alerts with the silence that is in force for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q

from alerts.models import Alert, AlertChange, Silence
from alerts.silencing.recurrence import window_at
from alerts.silencing.spec import ALERT, RULE

SILENCED, UNSILENCED = "silenced", "unsilenced"
NEVER = datetime.max.replace(tzinfo=UTC)

InForce = tuple[Silence, datetime | None]


def mark(alerts: Sequence[Alert], at: datetime, ended_by: str = "") -> list[AlertChange]:
    """Set the silence of each open alert, and write it. Return the changes, which are not written.

    `alerts` are all open ones: a silence of single alerts ends with the last of them. `ended_by`: who has ended one.
    """
    silences = _in_force(at)
    marked, changes = [], []
    for alert in alerts:
        silence, until = silence_of(alert, silences)
        number = silence.pk if silence else None
        if (alert.silence_id, alert.silenced_until) == (number, until):
            continue
        if silence is not None and alert.silence_id is None:
            changes.append(_change(alert, SILENCED, at, silence.by, silence.reason))
        elif silence is None:
            changes.append(_change(alert, UNSILENCED, at, ended_by, ""))
        alert.silence, alert.silenced_until = silence, until
        marked.append(alert)
    Alert.objects.bulk_update(marked, ["silence", "silenced_until"], batch_size=500)
    _end_those_of_ended_alerts(silences, {str(alert.pk) for alert in alerts}, at)
    return changes


def silence_of(alert: Alert, silences: Sequence[InForce]) -> tuple[Silence | None, datetime | None]:
    """Return the silence that matches and is in force for longest, and its end; None, None without one."""
    matching = [entry for entry in silences if is_matched(entry[0].matchers, alert.rule_id, alert.pk, alert.labels)]
    return max(matching, key=lambda entry: (entry[1] or NEVER, -entry[0].pk), default=(None, None))


def is_matched(matchers: Mapping[str, Sequence[str]], rule: str, alert: int, labels: Mapping[str, Any]) -> bool:
    """Return whether an alert has one of the values of each name."""
    named = {**labels, RULE: rule, ALERT: alert}
    return all(name in named and str(named[name]) in values for name, values in matchers.items())


def window_of(silence: Silence, at: datetime) -> tuple[datetime, datetime | None] | None:
    """Return from when and until when the silence is in force at `at`; None if it is not."""
    if at < silence.starts_at or (silence.ends_at is not None and silence.ends_at <= at):
        return None
    if silence.recurrence is None:
        return silence.starts_at, silence.ends_at
    window = window_at(silence.recurrence, at)
    if window is None:
        return None
    return max(window[0], silence.starts_at), min(window[1], silence.ends_at or NEVER)


def _in_force(at: datetime) -> list[InForce]:
    rows = Silence.objects.filter(Q(ends_at=None) | Q(ends_at__gt=at), starts_at__lte=at)
    return [(silence, window[1]) for silence in rows if (window := window_of(silence, at)) is not None]


def _end_those_of_ended_alerts(silences: Sequence[InForce], numbers: set[str], at: datetime) -> None:
    ended = [s.pk for s, _ in silences if ALERT in s.matchers and numbers.isdisjoint(s.matchers[ALERT])]
    if ended:
        Silence.objects.filter(pk__in=ended).update(ends_at=at)


def _change(alert: Alert, to: str, at: datetime, by: str, note: str) -> AlertChange:
    return AlertChange(alert=alert, at=at, to=to, value=alert.value, by=by, note=note)
