"""The moments at which a rule is judged: every five seconds, whole minutes or whole hours, as long as each are kept.

Pure functions on unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.evaluation.values import EXPECTED_SECONDS, expects_groups
from alerts.rules.spec import HOUR, MINUTE, NoData, RuleKind, RuleSpec
from metrics.catalogue import Kind
from metrics.queries import Windows, resolution_of
from metrics.readings import LOOKBACK_SECONDS

EXACT = 5  # seconds between two evaluations


class Stretch(NamedTuple):
    """Moments from `start` up to, but not including, `end`, in steps of `precision` seconds."""

    precision: int
    start: int
    end: int

    @property
    def moments(self) -> NDArray[np.int64]:
        """The moments, in unix seconds."""
        return np.arange(self.start, self.end, self.precision)

    def window(self, rule: RuleSpec) -> int:
        """Return the length of the window that the rule is judged over."""
        return rule.window_seconds if self.precision == EXACT else _up(rule.window_seconds, MINUTE)

    def windows(self, rule: RuleSpec, before_seconds: int = 0) -> Windows:
        """Return the rule's window at each moment; `before_seconds` earlier.

        An evaluation reads the second of its time to the end. Those at whole minutes read the minutes before.
        """
        seconds, resolution = self.window(rule), self.resolution(rule, before_seconds)
        ends = self._edges - before_seconds
        ends -= ends % resolution
        return Windows(ends - seconds, ends, resolution)

    def expected(self) -> Windows:
        """Return the windows in which a group must have had data, to be expected at each moment."""
        following = self.moments // MINUTE * MINUTE + MINUTE
        return Windows(following - EXPECTED_SECONDS, self._edges, 1 if self.precision == EXACT else MINUTE)

    @property
    def _edges(self) -> NDArray[np.int64]:
        return self.moments + (1 if self.precision == EXACT else 0)

    def resolution(self, rule: RuleSpec, before_seconds: int) -> int:
        """Return the length of the buckets that the rule's window is read from, in seconds."""
        return max(resolution_of(self.window(rule), before_seconds), 1 if self.precision == EXACT else MINUTE)


def reasons_without_hours(rule: RuleSpec) -> str | None:
    """Return why the rule cannot be judged by rollups of hours; None if it can."""
    if rule.kind is not RuleKind.THRESHOLD:
        return "changes and missing data are not judged by hours"
    if rule.no_data is not NoData.OK:
        return "missing data is not judged by hours"
    if rule.metric.kind is Kind.COUNTER:
        return "rates of counters are not judged by hours"
    return None


def stretches(rule: RuleSpec, kept: Mapping[int, int], start: int, end: int) -> list[Stretch]:
    """Return the stretches of the window from `start` to `end` in which the rule can be judged, oldest first.

    kept: the start of the oldest complete bucket by resolution. They begin earlier by the time for which the condition
    must hold, so that an alert that fires at `start` is known. Moments of minutes and of hours end their buckets.
    """
    begin = start - rule.for_seconds
    minutes = _up(_reach(rule, kept, MINUTE), MINUTE)
    found = []
    if minutes > start and reasons_without_hours(rule) is None:
        minutes = _up(minutes, HOUR)
        hours = max(kept[HOUR] + _up(rule.window_seconds, HOUR), start // HOUR * HOUR)
        found.append(Stretch(HOUR, hours, min(minutes, _up(end, HOUR))))
    minutes = max(minutes, _up(begin, MINUTE))
    exact = max(_up(max(_reach(rule, kept, EXACT), kept[1]), MINUTE), _up(begin, EXACT))
    found += [Stretch(MINUTE, minutes, min(exact, end)), Stretch(EXACT, exact, end)]
    return [stretch for stretch in found if stretch.start < stretch.end]


def _reach(rule: RuleSpec, kept: Mapping[int, int], precision: int) -> int:
    """Return the first second at which everything that the rule reads is kept."""
    of = Stretch(precision, 0, 0)
    earliest = 0
    for before in (0, *([] if rule.compare_to_seconds is None else [rule.compare_to_seconds])):
        resolution = of.resolution(rule, before)
        held = 2 * LOOKBACK_SECONDS + MINUTE if rule.metric.type not in ("inference", "error") else 0
        earliest = max(
            earliest, kept[resolution] + of.window(rule) + before + (resolution if resolution > 1 else 0) + held
        )
    if expects_groups(rule):
        earliest = max(earliest, kept[1 if precision == EXACT else MINUTE] + EXPECTED_SECONDS + MINUTE)
    return earliest


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
