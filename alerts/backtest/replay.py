"""Judging a rule at many moments, one after the other, as the evaluations would have. Pure functions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.readings import Track
from alerts.evaluation.evaluate import NO_READING, SILENT_AT_MOST
from alerts.evaluation.judging import HOLDS, Change, GroupState, Labels, Reading, judge
from alerts.evaluation.values import expects_groups, notices_silence
from alerts.rules.spec import NoData, RuleKind, RuleSpec
from metrics.queries.answers.results import round_figure
from metrics.queries.read.budget import check_budget
from metrics.queries.time.window import at_second

ROUNDING = 1e-9  # values that are nearer to the threshold than this share of it are judged as they are rounded


class Replay:
    """The states of a rule's groups, from one moment to the next. `demo`: the groups that have only demo data."""

    def __init__(self, rule: RuleSpec, demo: Collection[Labels] = ()) -> None:
        self._rule, self.demo = rule, demo
        self.states: Mapping[Labels, GroupState] = {}
        self._judged_at: datetime | None = None

    def judge_all(self, tracks: Mapping[Labels, Track], moments: NDArray[np.int64]) -> Iterator[Change]:
        """Judge the rule at each moment, and yield the changes.

        Where no group has a state and no condition holds, nothing can change, so that moment is passed over.
        """
        names = list(tracks)
        may_hold = (
            np.array([_may_hold(self._rule, tracks[labels]) for labels in names]).reshape(len(names), len(moments)).T
        )
        eventful = np.any(may_hold, axis=1) if names else np.zeros(len(moments), dtype=bool)
        times = moments.tolist()
        for number, seconds in enumerate(times):
            if not self.states and not eventful[number]:
                continue
            check_budget()
            now = at_second(seconds)
            readings = {
                labels: reading
                for labels in {*self.states, *(names[place] for place in np.flatnonzero(may_hold[number]).tolist())}
                if (reading := self._reading(labels, tracks.get(labels), number, now)) is not None
            }
            before = at_second(times[number - 1]) if number else self._judged_at
            judgement = judge(self._rule, readings, self.states, now, before)
            self.states = judgement.states
            yield from judgement.changes
        if times:
            self._judged_at = at_second(times[-1])

    def _reading(self, labels: Labels, track: Track | None, number: int, now: datetime) -> Reading | None:
        """Return the reading of a group, None if it has none. One that is no longer expected stays for a day."""
        if track is not None and track.present[number]:
            value = float(track.values[number])
            reading = Reading(None if value != value else round_figure(value), int(track.counts[number]))
        elif expects_groups(self._rule) and labels in self.states:
            if now - self.states[labels].since >= SILENT_AT_MOST:
                return None
            reading = NO_READING
        else:
            return None
        is_silent_demo = reading.value is None and labels in self.demo and notices_silence(self._rule)
        return None if is_silent_demo else reading


def _may_hold(rule: RuleSpec, track: Track) -> NDArray[np.bool_]:
    """Return at which moments the condition of a group may hold."""
    is_unknown = np.isnan(track.values)
    if rule.kind is RuleKind.NO_DATA:
        return track.present & is_unknown
    is_unknown |= track.counts < rule.min_count
    assert rule.threshold is not None  # noqa: S101 - check_rule
    values = np.where(is_unknown, 0.0, track.values)
    is_near = np.abs(values - rule.threshold) <= ROUNDING * max(abs(rule.threshold), 1e-3)
    meets: NDArray[np.bool_] = ~is_unknown & (holds(rule, values) | is_near)
    return track.present & (meets | is_unknown) if rule.no_data is NoData.ALERT else meets


def holds(rule: RuleSpec, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether each value meets the condition of the rule. NaN meets none but `ne`."""
    compare: Any = HOLDS[rule.comparison]
    meets: NDArray[np.bool_] = compare(values, rule.threshold)
    return meets
