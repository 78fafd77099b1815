"""The values of a rule at many moments, read together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.moments import Stretch
from alerts.evaluation.judging import Labels
from alerts.evaluation.values import expects_groups
from alerts.rules.spec import RuleKind, RuleSpec, filters_of_group
from metrics import queries
from metrics.queries import SeriesSpec


class Track(NamedTuple):
    """The readings of a group at each moment: NaN without a value, the requests, and whether there is a reading."""

    values: NDArray[np.float64]
    counts: NDArray[np.int64]
    present: NDArray[np.bool_]


def read_tracks(rule: RuleSpec, stretch: Stretch, group: Mapping[str, str] | None = None) -> dict[Labels, Track]:
    """Return the readings of each group, as `read_values` would return them. Raises QueryStopped, TooManyGroups.

    group: the labels of the only group that is read; by default, all are.
    """
    spec = SeriesSpec(rule.metric, rule.stat, rule.group_by or ())
    filters = filters_of_group(rule.filters, group or {})
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


def is_judged(rule: RuleSpec, track: Track) -> NDArray[np.bool_]:
    """Return at which moments the rule judges: those with a value, of as many requests as it needs."""
    known: NDArray[np.bool_] = ~np.isnan(track.values) & (track.counts >= rule.min_count)
    return known


def _change(values: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the change in percent; NaN if it is not known, or from 0."""
    known = ~np.isnan(before) & (before != 0)
    base = np.where(known, np.abs(before), 1.0)
    return np.where(known, 100 * (values - before) / base, np.nan)
