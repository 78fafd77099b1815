"""The newest value of each rule, in the cache: that of the group which is nearest to firing.

The evaluation stores them, and pages show them. They may be lost at any time, and are there again with the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache import cache

from alerts.evaluation.judging import FALLING, RISING, Reading
from alerts.evaluation.values import Readings
from alerts.rules.spec import Comparison, RuleSpec

KEY = "alerts:newest-values"
KEPT_SECONDS = 60
MAX_SHARE = 10.0  # a share of a value near zero would be infinite


def store(rules: Iterable[RuleSpec], readings: Mapping[str, Readings]) -> None:
    """Store the newest values of the rules."""
    cache.set(KEY, {rule.id: nearest(rule, readings[rule.id]) for rule in rules}, timeout=KEPT_SECONDS)


def read() -> dict[str, dict[str, Any]]:
    """Return the newest value of each rule by its id."""
    return cache.get(KEY) or {}


def nearest(rule: RuleSpec, readings: Readings) -> dict[str, Any]:
    """Return the value, labels and requests of the group that is nearest to firing, and the number of groups."""
    known = [labels for labels, read in readings.items() if read.value is not None and read.count >= rule.min_count]
    best = min(known, key=lambda labels: distance(rule, readings[labels].value), default=())
    nearest_one = readings[best] if known else Reading(None, 0)
    value = nearest_one.value
    return {
        "value": value,
        "group": dict(best),
        "count": nearest_one.count,
        "share_of_threshold": None if value is None else share_of_threshold(rule.comparison, rule.threshold, value),
        "groups": len(readings),
    }


def distance(rule: RuleSpec, value: float | None) -> float:
    """Return how far a value is from firing, to compare values of one rule: the smaller, the nearer."""
    if value is None:
        return float("inf")
    if rule.comparison in (Comparison.EQ, Comparison.NE):
        difference = abs(value - (rule.threshold or 0))
        return difference if rule.comparison is Comparison.EQ else -difference
    return value if rule.comparison in FALLING else -value


def share_of_threshold(comparison: str, threshold: float | None, value: float) -> float | None:
    """Return how near the value is to the threshold: 1 at the threshold, more beyond it, at most MAX_SHARE.

    For "less than" it is the threshold divided by the value, so that it grows towards firing, too. None where the
    comparison or a threshold of 0 has no such share.
    """
    if not threshold or comparison not in (*RISING, *FALLING):
        return None
    fires_away_from_zero = (comparison in RISING) == (threshold > 0)
    share = value / threshold  # negative on the other side of zero
    if fires_away_from_zero:
        return min(MAX_SHARE, max(0.0, share))
    return min(MAX_SHARE, 1 / share) if share > 0 else MAX_SHARE
