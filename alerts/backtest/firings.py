"""When a rule would have fired, from the changes of its groups. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from alerts.evaluation.judging import Change, GroupState, Labels, Status


@dataclass(frozen=True, slots=True)
class Firing:
    """A time in which a group would have fired, in unix seconds.

    precision: seconds by which each end may be off. is_certain: whether it is known that it would have. is_open:
    whether it had not ended by the end of the window. peak: the worst value, None if it is not known.
    """

    labels: Labels
    start: int
    end: int
    precision: int
    is_certain: bool
    is_open: bool = False
    peak: float | None = None


def firings_of(
    changes: Iterable[tuple[Change, int]],
    open_states: Mapping[Labels, GroupState],
    start: int,
    end: int,
    is_certain_at: Mapping[int, bool],
) -> list[Firing]:
    """Return the firings between `start` and `end`, oldest first.

    changes: with the precision of each, in their order. open_states: those at the end. is_certain_at: by precision.
    """
    begun: dict[Labels, tuple[int, int]] = {}
    found = []

    def add(labels: Labels, state: GroupState, stop: int, is_open: bool) -> None:
        since, precision = begun.pop(labels)
        if stop > start:
            certain = is_certain_at[precision]
            found.append(Firing(labels, max(since, start), stop, precision, certain, is_open, state.peak))

    for change, precision in changes:
        if change.to is Status.FIRING:
            begun[change.labels] = int(change.at.timestamp()), precision
        elif change.to is Status.RESOLVED:
            add(change.labels, change.state, int(change.at.timestamp()), False)
    for labels in list(begun):
        add(labels, open_states[labels], end, True)
    return sorted(found, key=lambda firing: (firing.start, firing.labels))


@dataclass(frozen=True, slots=True)
class GroupTotal:
    """How often and how long a group would have fired, and how often and how long it possibly would have."""

    labels: Labels
    firings: int
    seconds: int
    possible: int
    possible_seconds: int


def totals_of(firings: Sequence[Firing]) -> list[GroupTotal]:
    """Return the totals of each group that fired, those that fired longest first."""
    groups: dict[Labels, list[Firing]] = {}
    for firing in firings:
        groups.setdefault(firing.labels, []).append(firing)
    found = []
    for labels, own in groups.items():
        certain = [firing.end - firing.start for firing in own if firing.is_certain]
        possible = [firing.end - firing.start for firing in own if not firing.is_certain]
        found.append(GroupTotal(labels, len(certain), sum(certain), len(possible), sum(possible)))
    return sorted(found, key=lambda total: (-total.seconds, -total.possible_seconds, total.labels))
