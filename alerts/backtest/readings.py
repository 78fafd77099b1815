"""The values of a rule at many moments, read together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.moments import Stretch
from alerts.evaluation.judging import Labels
from alerts.evaluation.values import expects_groups
from alerts.rules.spec import RuleKind, RuleSpec, filters_of
from metrics import queries
from metrics.queries import SeriesSpec


class Track(NamedTuple):
    """The readings of a group at each moment: NaN without a value, the requests, and whether there is a reading."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    present: NDArray[np.bool_]


def read_tracks(rule: RuleSpec, stretch: Stretch) -> dict[Labels, Track]:
    """Return the readings of each group, as `read_values` would return them. Raises QueryStopped, TooManyGroups."""
    spec, filters = SeriesSpec(rule.metric, rule.stat, rule.group_by or ()), filters_of(rule.filters)
    now = queries.moving(spec, stretch.windows(rule), filters)
    before: Mapping[Labels, queries.Moving] = {}
    if rule.kind is RuleKind.CHANGE and rule.compare_to_seconds is not None:
        before = queries.moving(spec, stretch.windows(rule, rule.compare_to_seconds), filters)
    expected = queries.presence(spec, stretch.expected(), filters) if expects_groups(rule) else {}
    count = len(stretch.moments)
    nothing = queries.Moving(np.full(count, np.nan), np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool))
    tracks = {}
    for labels in {**now, **expected}:
        own = now.get(labels, nothing)
        values = own.values
        if rule.kind is RuleKind.CHANGE:
            values = _change(values, before.get(labels, nothing).values)
        tracks[labels] = Track(values, own.requests, own.present | expected.get(labels, nothing.present))
    return tracks


def _change(values: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change in percent; NaN if it is not known, or from 0."""
    known = ~np.isnan(before) & (before != 0)
    base = np.where(known, np.abs(before), 1.0)
    return np.where(known, 100 * (values - before) / base, np.nan)
