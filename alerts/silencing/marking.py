"""Marks open alerts with the silence that is in force for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q

from alerts.models import Alert, AlertChange, Evaluation, Silence
from alerts.silencing.recurrence import window_at
from alerts.silencing.spec import ALERT, RULE

SILENCED, UNSILENCED = "silenced", "unsilenced"
NEVER = datetime.max.replace(tzinfo=UTC)
LONGEST_WAIT = timedelta(minutes=1)  # for the lock; a difference that is longer is a change of the clock
MAX_IDS = 10_000  # of a statement

InForce = tuple[Silence, datetime | None]


class Ended(NamedTuple):
    """A silence that a person ends."""

    number: int
    by: str


def mark(
    alerts: Sequence[Alert], at: datetime, evaluation: Evaluation, ended: Ended | None = None
) -> list[AlertChange]:
    """Set the silence of each open alert, and write it. Return the changes, which are not written.

    `alerts` are all open ones: a silence of single alerts ends with the last of them. `evaluation` is locked; its
    `marked_at` is set, and not written. It is not earlier than the last one: whoever waits for the lock, as an
    evaluation that reads, has an `at` from before silences that others have made or ended since.
    """
    before = evaluation.marked_at
    if before is not None and timedelta(0) < before - at < LONGEST_WAIT:
        at = before
    evaluation.marked_at = at
    in_force = _in_force(at)
    silences = Silences(in_force)
    marked: dict[tuple[Silence | None, datetime | None], list[int]] = defaultdict(list)
    changes = []
    for alert in alerts:
        silence, until = silences.of(alert.rule_id, alert.pk, alert.labels)
        number = silence.pk if silence else None
        if (alert.silence_id, alert.silenced_until) == (number, until):
            continue
        if silence is not None and alert.silence_id is None:
            changes.append(_change(alert, SILENCED, at, silence.by, silence.reason))
        elif silence is None:
            by = ended.by if ended and ended.number == alert.silence_id else ""
            changes.append(_change(alert, UNSILENCED, at, by, ""))
        alert.silence, alert.silenced_until = silence, until
        marked[silence, until].append(alert.pk)
    for (silence, until), ids in marked.items():
        for first in range(0, len(ids), MAX_IDS):
            rows = Alert.objects.filter(pk__in=ids[first : first + MAX_IDS])
            rows.update(silence=silence, silenced_until=until)
    _end_those_of_ended_alerts(in_force, {str(alert.pk) for alert in alerts}, at)
    return changes


class Silences:
    """Silences in force, by one name and value that each matches: of its names the one that the fewest share."""

    def __init__(self, in_force: Sequence[InForce]) -> None:
        self._every: list[InForce] = []  # without matchers
        self._by_value: dict[tuple[str, str], list[InForce]] = defaultdict(list)
        shared = Counter(pair for silence, _ in in_force for pair in _pairs(silence.matchers))
        for silence, until in in_force:
            if not silence.matchers:
                self._every.append((silence, until))
                continue
            pairs = [_pairs({name: values}) for name, values in silence.matchers.items()]
            for pair in min(pairs, key=lambda pairs: sum(shared[pair] for pair in pairs)):
                self._by_value[pair].append((silence, until))

    def of(self, rule: str, alert: int, labels: Mapping[str, Any]) -> tuple[Silence | None, datetime | None]:
        """Return the silence that matches an alert and is in force for longest, and its end; None, None without one."""
        names = {**{name: str(value) for name, value in labels.items()}, RULE: rule, ALERT: str(alert)}
        nearby = (entry for pair in names.items() for entry in self._by_value.get(pair, ()))
        matching = [
            entry
            for entry in nearby
            if all(name in names and names[name] in values for name, values in entry[0].matchers.items())
        ]
        longest = max([*self._every, *matching], key=lambda entry: (entry[1] or NEVER, -entry[0].pk), default=None)
        return longest or (None, None)


def _pairs(matchers: Mapping[str, Sequence[str]]) -> set[tuple[str, str]]:
    return {(name, value) for name, values in matchers.items() for value in values}


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
