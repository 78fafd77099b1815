"""What a rule judges of one group: its values at moments up to now, as the chart of an alert shows them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from alerts.backtest.moments import Stretch, stretches
from alerts.backtest.readings import is_judged, read_tracks
from alerts.models import AlertRule
from alerts.rules.spec import HOUR, RuleSpec
from metrics import queries


class Judged(NamedTuple):
    """Values from `start` (unix seconds) on, `step` seconds apart; None where the rule does not judge."""

    start: int
    step: int
    values: list[float | None]


def judged_values_of(rule_id: str, labels: Mapping[str, str], seconds: int, step: int, now: datetime) -> Judged | None:
    """Return what a stored rule judged of the group; None if it was deleted. Raises BadRule, QueryStopped."""
    rule = AlertRule.objects.filter(pk=rule_id).first()
    return judged_values(rule.as_spec(), labels, seconds, step, now) if rule else None


def judged_values(rule: RuleSpec, labels: Mapping[str, str], seconds: int, step: int, now: datetime) -> Judged | None:
    """Return what the rule judged of the group in the last `seconds`, the newest value last; None if nothing is kept.

    step: a multiple of the time between two evaluations. Where the rule can be judged each minute only, that is the
    step. Raises QueryStopped.
    """
    end = math.floor(now.timestamp())  # the evaluations, too, read no second before its end
    kept = stretches(rule, queries.kept_from(rule.metric, now), end - seconds, end)
    if not kept or kept[-1].precision == HOUR:
        return None
    precision, start, stop = kept[-1]
    last = int(kept[-1].moments[-1])
    step = max(step, precision)
    first = last - (last - max(start, end - seconds)) // step * step
    tracks = read_tracks(rule, Stretch(precision, first, stop), labels)
    track = next((track for group, track in tracks.items() if dict(group) == labels), None)
    if track is None:
        return None
    every = slice(None, None, step // precision)
    values = zip(track.values[every].tolist(), is_judged(rule, track)[every].tolist(), strict=True)
    return Judged(first, step, [value if known else None for value, known in values])
