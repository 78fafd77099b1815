"""The newest value of each rule, in the cache: that of the group which is nearest to firing.

The evaluation stores them, and pages show them. They may be lost at any time, and are there again with the next one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache import cache

from alerts.evaluation.values import Readings
from alerts.rules.spec import AlertRule, Comparison

KEY = "alerts:newest-values"
KEPT_SECONDS = 60
MAX_SHARE = 10.0  # a share of a value near zero would be infinite
RISING = (Comparison.GT, Comparison.GE)
FALLING = (Comparison.LT, Comparison.LE)


def store(rules: Iterable[AlertRule], readings: Mapping[str, Readings]) -> None:
    """Store the newest values of the rules."""
    cache.set(KEY, {rule.id: nearest(rule, readings[rule.id]) for rule in rules}, timeout=KEPT_SECONDS)


def read() -> dict[str, dict[str, Any]]:
    """Return the newest value of each rule by its id."""
    return cache.get(KEY) or {}


def nearest(rule: AlertRule, readings: Readings) -> dict[str, Any]:
    """Return the value, labels and requests of the group that is nearest to firing, and the number of groups."""
    best: dict[str, Any] = {"value": None, "group": {}, "count": 0, "share_of_threshold": None}
    for labels, reading in readings.items():
        if reading.value is None or reading.count < rule.min_count:
            continue
        share = share_of_threshold(rule.comparison, rule.threshold, reading.value)
        if best["value"] is None or (share or 0.0) > (best["share_of_threshold"] or 0.0):
            best = {
                "value": reading.value,
                "group": dict(labels),
                "count": reading.count,
                "share_of_threshold": share,
            }
    return best | {"groups": len(readings)}


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
