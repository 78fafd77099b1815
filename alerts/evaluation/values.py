"""The newest values of all rules, read together: rules of one window and one selection share their reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from alerts.evaluation.judging import Labels, Reading
from alerts.rules.spec import MINUTE, NoData, RuleKind, RuleSpec, filters_of
from metrics import queries
from metrics.queries import SeriesSpec
from metrics.queries.answers.results import round_figure

EXPECTED_SECONDS = 3_600  # a group that had data in this time is expected to have some

Readings = Mapping[Labels, Reading]


def read_values(
    rules: Sequence[RuleSpec], at: datetime, problems: MutableMapping[str, str] | None = None
) -> dict[str, Readings]:
    """Return the readings of each rule by its id, over its window up to `at`.

    A rule whose query is stopped is added to `problems`, and has no readings. Without `problems`, raises QueryStopped.
    """
    wanted: dict[_Window, dict[SeriesSpec, None]] = defaultdict(dict)
    for rule in rules:
        for window in _windows(rule):
            wanted[window][_spec(rule)] = None
    values = {}
    stopped: dict[_Window, str] = {}
    for window, specs in wanted.items():
        try:
            values[window] = queries.evaluate(
                list(specs), window.seconds, filters_of(dict(window.filters)), at, before_seconds=window.before_seconds
            )
        except queries.QueryStopped as error:
            if problems is None:
                raise
            stopped[window] = _why_stopped(error)
    readings = {}
    for rule in rules:
        windows = _windows(rule)
        if reason := next((stopped[window] for window in windows if window in stopped), None):
            assert problems is not None  # noqa: S101 - else the error is raised above
            problems[rule.id] = reason
        else:
            readings[rule.id] = _readings(rule, [values[window][_spec(rule)] for window in windows])
    return readings


def read_label(rule: RuleSpec, name: str, at: datetime) -> dict[Labels, set[str]]:
    """Return the values of a label of each group that a rule reads, which it is not grouped by. Raises QueryStopped."""
    spec = SeriesSpec(rule.metric, rule.stat, (*(rule.group_by or ()), name))
    values: dict[Labels, set[str]] = defaultdict(set)
    for seconds, filters, before in _windows(rule):
        for labels in queries.evaluate([spec], seconds, filters_of(dict(filters)), at, before_seconds=before)[spec]:
            values[tuple(pair for pair in labels if pair[0] != name)].add(dict(labels)[name])
    return values


def _why_stopped(error: queries.QueryStopped) -> str:
    if isinstance(error, queries.QueryTooSlow):
        return f"stopped after {error.seconds:g} s: choose a shorter window, or filters"
    return str(error)


def notices_silence(rule: RuleSpec) -> bool:
    """Return whether an alert of the rule may fire because a group has no data."""
    return rule.kind is RuleKind.NO_DATA or rule.no_data is NoData.ALERT


def expects_groups(rule: RuleSpec) -> bool:
    """Return whether an alert of the rule may be active while its group has no data: until it is no longer expected."""
    return notices_silence(rule) or rule.no_data is NoData.KEEP


class _Window(NamedTuple):
    """The length of a rule's window, its filters, and how long before now it ends."""

    seconds: int
    filters: tuple[tuple[str, tuple[str, ...]], ...]
    before_seconds: int


def _windows(rule: RuleSpec) -> list[_Window]:
    """Return the window of a rule, the one that a change is measured from, and the one that has the expected groups."""
    filters = tuple(sorted((name, tuple(values)) for name, values in rule.filters.items()))
    windows = [_Window(rule.window_seconds, filters, 0)]
    if rule.compare_to_seconds is not None:
        windows.append(_Window(rule.window_seconds, filters, rule.compare_to_seconds))
    if expects_groups(rule):
        windows.append(_Window(EXPECTED_SECONDS, filters, -MINUTE))  # it has whole minutes, with the present one
    return windows


def _spec(rule: RuleSpec) -> SeriesSpec:
    return SeriesSpec(rule.metric, rule.stat, rule.group_by or ())


def _readings(rule: RuleSpec, values: Sequence[Mapping[Labels, queries.Evaluated]]) -> Readings:
    """Return the readings of the first window, with the expected groups; those of a change since the second one."""
    now, *other = values
    expected = other[-1] if expects_groups(rule) else {}
    nothing = queries.Evaluated(None, 0)
    readings = {labels: Reading(*now.get(labels, nothing)) for labels in {**now, **expected}}
    if rule.kind is RuleKind.CHANGE:
        readings = {labels: _change(read, other[0].get(labels, nothing).value) for labels, read in readings.items()}
    # The mean of equal samples must not differ from them by the last bit.
    return {labels: replace(read, value=round_figure(read.value)) for labels, read in readings.items()}


def _change(reading: Reading, before: float | None) -> Reading:
    """Return the reading as its change in percent, without a value if it is not known."""
    if reading.value is None or before is None:
        return replace(reading, value=None)
    if before == 0:
        return replace(reading, value=None, why_none="0 before")
    return replace(reading, value=100 * (reading.value - before) / abs(before))
