"""What the rollups of hours say of a rule: that it would have fired in an hour, possibly, or not.

*Certain*: the value of the whole hour meets the condition. It is the mean (or a percentile, or a share) of the windows
that the hour consists of, so at least one of these windows meets it, too. This holds for rules without a time that the
condition must last (`for_seconds`) and without a minimum of requests, if windows that are judged fill the hour. Of sums
and rates of requests it holds for "above" only, because a window without requests is not judged.

A window that begins in the hour before belongs to the hour that lets it fire.

*Possible*: the lowest or the highest value that a window may have had meets the condition. For gauges and times that is
the minimum or maximum of the samples or requests, of gauges that are added the sum of the maxima of the instances; for
shares, 0 or 100 % unless the hour has only failures or none; for sums, the sum of the hours that the window lies in.
After such an hour, the next one is possible also if these values meet the condition with the clear threshold.

Pure functions on arrays with an item for each hour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.firings import Firing
from alerts.backtest.moments import EXACT
from alerts.backtest.replay import holds
from alerts.evaluation.judging import FALLING, RISING, Labels
from alerts.rules.spec import HOUR, Comparison, RuleSpec
from metrics.catalogue import Combine, Kind

Floats = NDArray[np.float64]

# The comparisons for which the average over several instances proves that a window meets the condition. The mean of
# two hosts, of which one was down for a while, may be one that no window has.
_SIDES_OF_SEVERAL = {Combine.SUM: RISING, Combine.MAX: RISING, Combine.MIN: FALLING}


class Hours(NamedTuple):
    """The value of each hour, the least and the greatest of its samples or requests, and its number of requests.

    NaN without data. The samples of gauges are those of each instance (host, GPU, queue), because the instances of a
    group need not have values in the same windows.
    """

    values: Floats
    least: Sequence[Floats]
    greatest: Sequence[Floats]
    requests: NDArray[np.int64]


def is_total(rule: RuleSpec) -> bool:
    """Return whether the rule reads a sum over its window: a number, or an amount per second."""
    kind = rule.metric.kind
    return kind is Kind.COUNT or (kind is Kind.HISTOGRAM and rule.stat in ("sum", "rate", "count"))


def lookback_of(rule: RuleSpec) -> int:
    """Return how many hours before an hour its value depends on, too: of sums, all that a window lies in."""
    hours = -(-rule.window_seconds // HOUR)
    return hours if is_total(rule) else hours - 1


def firings_in_hours(
    rule: RuleSpec, labels: Labels, hours: Hours, starts: NDArray[np.int64], first: int
) -> list[Firing]:
    """Return the firings of a group in the hours from number `first` on, those of adjacent hours together.

    `starts`: of the hours, unix seconds. Those before `first` are in the windows of the others.
    """
    lookback = lookback_of(rule)
    lowest, highest = _bounds(rule, hours, lookback)
    requests = _over_hours(np.add, hours.requests.astype(np.float64), lookback)
    may = _may_hold(rule, lowest, highest) & (requests >= rule.min_count)
    if rule.clear_threshold is not None:
        clear = rule.model_copy(update={"threshold": rule.clear_threshold})
        stays = _may_hold(clear, lowest, highest) & (requests >= rule.min_count)
        for number in np.flatnonzero(stays[1:]).tolist():
            may[number + 1] |= may[number]
    must = _must_hold(rule, hours) & may
    firings: list[Firing] = []
    for number in np.flatnonzero(may).tolist():
        if number < first:
            continue
        start, certain = int(starts[number]), bool(must[number])
        peak = float(hours.values[number]) if certain else None
        last = firings[-1] if firings else None
        if last is not None and last.end == start and last.is_certain == certain:
            worst = min if rule.comparison in FALLING else max
            start, peak = last.start, None if peak is None or last.peak is None else worst(last.peak, peak)
            firings.pop()
        firings.append(Firing(labels, start, int(starts[number]) + HOUR, HOUR, certain, peak=peak))
    return firings


def _bounds(rule: RuleSpec, hours: Hours, lookback: int) -> tuple[Floats, Floats]:
    """Return the lowest and the highest value that a window which ends in each hour may have had."""
    if is_total(rule):
        totals = np.nan_to_num(hours.values) * (HOUR if rule.stat == "rate" else 1)
        added = _over_hours(np.add, totals, lookback) / (rule.window_seconds if rule.stat == "rate" else 1)
        return np.zeros(len(added)), added
    least, greatest = np.fmin.reduce(hours.least), np.fmax.reduce(hours.greatest)
    if rule.metric.combine is Combine.SUM:
        greatest = np.where(np.isnan(greatest), np.nan, np.nansum(hours.greatest, axis=0))
    if rule.metric.kind is Kind.RATIO:
        least, greatest = np.where(hours.values == 100, 100.0, 0.0), np.where(hours.values == 0, 0.0, 100.0)
        is_unknown = np.isnan(hours.values)
        least, greatest = np.where(is_unknown, np.nan, least), np.where(is_unknown, np.nan, greatest)
    return _over_hours(np.fmin, least, lookback), _over_hours(np.fmax, greatest, lookback)


def _over_hours(combine: np.ufunc, values: Floats, lookback: int) -> Floats:
    """Return the combined values of each hour and of so many hours before it."""
    result = values.copy()
    for back in range(1, min(lookback, len(values) - 1) + 1):
        result[back:] = combine(result[back:], values[:-back])
    return result


def _may_hold(rule: RuleSpec, lowest: Floats, highest: Floats) -> NDArray[np.bool_]:
    threshold = rule.threshold or 0.0
    if rule.comparison is Comparison.EQ:
        is_between: NDArray[np.bool_] = (lowest <= threshold) & (threshold <= highest)
        return is_between
    if rule.comparison is Comparison.NE:
        differs: NDArray[np.bool_] = ((lowest != threshold) | (highest != threshold)) & ~np.isnan(lowest)
        return differs
    return holds(rule, highest if rule.comparison in RISING else lowest)


def _must_hold(rule: RuleSpec, hours: Hours) -> NDArray[np.bool_]:
    is_proof = not rule.for_seconds and rule.min_count == 1 and HOUR % rule.window_seconds == 0
    is_proof = is_proof and rule.window_seconds % EXACT == 0  # else the windows that are judged overlap
    sides: tuple[Comparison, ...] = RISING if is_total(rule) else (*RISING, *FALLING)
    is_extreme = rule.stat in ("min", "max") and rule.metric.combine is not Combine.SUM
    if len(hours.greatest) > 1 and not is_extreme:
        sides = _SIDES_OF_SEVERAL.get(rule.metric.combine, ()) if rule.stat == "avg" else ()
    if not is_proof or rule.comparison not in sides:
        return np.zeros(len(hours.values), dtype=bool)
    per_window = rule.window_seconds / HOUR if is_total(rule) and rule.stat != "rate" else 1.0
    return holds(rule, hours.values * per_window)
