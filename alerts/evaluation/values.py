"""The newest values of all rules, read together: rules of one window and one selection share their reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from alerts.evaluation.judging import Labels, Reading
from alerts.rules.spec import AlertRule, RuleKind, filters_of
from metrics import queries
from metrics.queries import SeriesSpec

EXPECTED_SECONDS = 3_600  # a group that had data in this time is expected to have some

Readings = Mapping[Labels, Reading]


def read_values(rules: Sequence[AlertRule], at: datetime) -> dict[str, Readings]:
    """Return the readings of each rule by its id, over its window up to `at`. Raises QueryTooSlow."""
    wanted: dict[_Window, dict[SeriesSpec, None]] = defaultdict(dict)
    for rule in rules:
        for window in _windows(rule):
            wanted[window][_spec(rule)] = None
    values = {
        window: queries.evaluate(
            list(specs), window.seconds, filters_of(dict(window.filters)), at, before_seconds=window.before_seconds
        )
        for window, specs in wanted.items()
    }
    return {rule.id: _readings(rule, [values[window][_spec(rule)] for window in _windows(rule)]) for rule in rules}


class _Window(NamedTuple):
    """The length of a rule's window, its filters, and how long before now it ends."""

    seconds: int
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    before_seconds: int


def _windows(rule: AlertRule) -> list[_Window]:
    """Return the window of a rule, and the one that a change is measured from or that has the expected groups."""
    filters = tuple(sorted((name, tuple(values)) for name, values in rule.filters.items()))
    windows = [_Window(rule.window_seconds, filters, 0)]
    if rule.compare_to_seconds is not None:
        windows.append(_Window(rule.window_seconds, filters, rule.compare_to_seconds))
    if rule.kind is RuleKind.NO_DATA:
        windows.append(_Window(EXPECTED_SECONDS, filters, 0))
    return windows


def _spec(rule: AlertRule) -> SeriesSpec:
    return SeriesSpec(rule.metric, rule.stat, rule.group_by or ())


def _readings(rule: AlertRule, values: Sequence[Mapping[Labels, queries.Evaluated]]) -> Readings:
    """Return the readings of the first window: their change since the second one, or with its groups."""
    now, *other = values
    match rule.kind:
        case RuleKind.CHANGE:
            return {
                labels: Reading(_percent(evaluated.value, other[0].get(labels)), evaluated.requests)
                for labels, evaluated in now.items()
            }
        case RuleKind.NO_DATA:
            nothing = queries.Evaluated(None, 0)
            return {labels: Reading(*now.get(labels, nothing)) for labels in {**now, **other[0]}}
    return {labels: Reading(*evaluated) for labels, evaluated in now.items()}


def _percent(value: float | None, before: queries.Evaluated | None) -> float | None:
    """Return the change in percent; None if it is not known."""
    then = before.value if before else None
    return None if value is None or not then else 100 * (value - then) / abs(then)
