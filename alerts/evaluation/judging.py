"""The judgement of a rule: from its values and the states before to the states and what has changed.

Each group of a rule (a model, a host, a GPU) has a state of its own: inactive, pending while the condition has not held
for long enough, firing. Pure functions.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from alerts.rules.spec import Comparison, NoData, RuleKind, RuleSpec

# After a longer pause between two judgements, it is not known whether the condition held all the time.
LONGEST_PAUSE = timedelta(seconds=60)

HOLDS: dict[Comparison, Callable[[float, float], bool]] = {
    Comparison.GT: operator.gt,
    Comparison.GE: operator.ge,
    Comparison.LT: operator.lt,
    Comparison.LE: operator.le,
    Comparison.EQ: operator.eq,
    Comparison.NE: operator.ne,
}

RISING = (Comparison.GT, Comparison.GE)
FALLING = (Comparison.LT, Comparison.LE)

Labels = tuple[tuple[str, str], ...]


class Status(StrEnum):
    """The state of a group. An inactive group has no `GroupState`."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"  # only as the end of a change: the group was firing and is inactive


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a group, None if there is none, the number of requests that it is over, and why there is none."""

    value: float | None
    count: int = 1
    why_none: str = "no data"


@dataclass(frozen=True, slots=True)
class GroupState:
    """The state of a pending or firing group.

    since: when the condition began to hold. fired_at: when the group began to fire. value: the newest; peak: the worst
    since then.
    """

    status: Status
    since: datetime
    fired_at: datetime | None = None
    value: float | None = None
    peak: float | None = None


class Change(NamedTuple):
    """A change of a group's state. `state` is the one after it, of a resolved group the last one."""

    labels: Labels
    to: Status
    at: datetime
    state: GroupState


class Judgement(NamedTuple):
    """The states of all pending and firing groups, the changes, and why groups were not judged."""

    states: dict[Labels, GroupState]
    changes: list[Change]
    not_judged: dict[Labels, str]


def judge(
    rule: RuleSpec,
    readings: Mapping[Labels, Reading],
    states: Mapping[Labels, GroupState],
    now: datetime,
    judged_at: datetime | None,
) -> Judgement:
    """Judge a rule at `now`.

    states: those of the judgement before, which was at `judged_at` (None: there was none). A group in `states` that
    has no reading is gone, and its state ends.
    """
    result = Judgement({}, [], {})
    is_continuous = judged_at is not None and timedelta(0) <= now - judged_at <= LONGEST_PAUSE
    for labels in {**states, **readings}:
        reading = readings.get(labels, Reading(None, 0))
        before = states.get(labels)
        if reason := _reason_not_to_judge(rule, reading):
            result.not_judged[labels] = reason
        is_firing = before is not None and before.status is Status.FIRING
        holds = _holds(rule, reading, is_firing) if labels in readings else False
        after = before if holds is None else _next(rule, reading, before, now, is_continuous) if holds else None
        if after is not None:
            result.states[labels] = after
        status = Status.INACTIVE if after is None else after.status
        if before is not None and after is None:
            to = Status.RESOLVED if before.status is Status.FIRING else Status.INACTIVE
            result.changes.append(Change(labels, to, now, replace(before, value=reading.value)))
        elif after is not None and (before is None or before.status is not status):
            result.changes.append(Change(labels, status, now, after))
    return result


def _reason_not_to_judge(rule: RuleSpec, reading: Reading) -> str | None:
    if rule.kind is RuleKind.NO_DATA:
        return None
    if reading.count < rule.min_count and reading.count:
        return f"{reading.count} of {rule.min_count} requests"
    return reading.why_none if reading.value is None else None


def _holds(rule: RuleSpec, reading: Reading, is_firing: bool) -> bool | None:
    """Return whether the condition holds; None if the state stays as it is."""
    if rule.kind is RuleKind.NO_DATA:
        return reading.value is None
    if reading.value is None or reading.count < rule.min_count:
        return {NoData.OK: False, NoData.ALERT: True, NoData.KEEP: None}[rule.no_data]
    threshold = rule.clear_threshold if is_firing and rule.clear_threshold is not None else rule.threshold
    assert threshold is not None  # noqa: S101 - check_rule
    return HOLDS[rule.comparison](reading.value, threshold)


def _next(
    rule: RuleSpec, reading: Reading, before: GroupState | None, now: datetime, is_continuous: bool
) -> GroupState:
    """Return the state of a group whose condition holds."""
    if before is not None and before.status is Status.FIRING:
        return replace(before, value=reading.value, peak=_worse(rule, before.peak, reading.value))
    # The clock may have been set back.
    since = min(before.since, now) if before is not None and is_continuous else now
    peak = _worse(rule, before.peak if before else None, reading.value)
    if now - since >= timedelta(seconds=rule.for_seconds):
        return GroupState(Status.FIRING, since, now, reading.value, peak)
    return GroupState(Status.PENDING, since, None, reading.value, peak)


def _worse(rule: RuleSpec, known: float | None, value: float | None) -> float | None:
    """Return the value that is further on the side of the comparison."""
    if known is None or value is None:
        return value if known is None else known
    return min(known, value) if rule.comparison in FALLING else max(known, value)
