"""Reading gauges and counters from rollups of a minute or an hour.

Levels (`metrics.levels`) are read from minutes, and those of older days from rows of hours, which have the minutes in
which an instance counts. Each hour is in the result once, also while upkeep turns it into rows of hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connection

from metrics.catalogue import Metric
from metrics.levels import COUNTERS, HOUR, LEVELS, columns_of
from metrics.models import GaugeRollup
from metrics.queries.read.gauge_cache import NO_ROWS, GaugeBlock, condition_of, read_rows
from metrics.queries.read.rollup_statements import groups
from metrics.queries.time.plan import Plan, Segment
from metrics.readings import (
    COLUMNS,
    COUNT,
    INSTANCE,
    LAST,
    LAST_AT,
    LOOKBACK_SECONDS,
    MAX,
    MAX_VALID_SECONDS,
    MIN,
    MINUTE,
    START,
    SUM,
    Integers,
    Spans,
    spans_of,
    with_held,
)

BASE = (INSTANCE, START, COUNT, SUM)
# The columns that a statistic of a whole window needs besides these.
OF_STAT: dict[str, tuple[int, ...]] = {"min": (MIN,), "max": (MAX,)}
WHOLE = {START: "MIN", COUNT: "SUM", SUM: "SUM", MIN: "MIN", MAX: "MAX"}


@dataclass(frozen=True, slots=True)
class InstanceSpans:
    """The values of a metric's instances in steps, minutes or hours; of a level, also in the hours before its minutes.

    In `hours`, `start` is the start of the hour and `level` is the mean over the minutes in `masks`.
    """

    spans: Spans
    hours: Spans
    masks: Integers

    @classmethod
    def without_hours(cls, spans: Spans) -> InstanceSpans:
        """Return spans that are no levels, or steps below a minute."""
        return cls(spans, spans_of(NO_ROWS.values), NO_ROWS.minutes)

    @property
    def instances(self) -> set[int]:
        """The ids of the label sets."""
        return {*self.spans.instance.tolist(), *self.hours.instance.tolist()}

    def of_instances(self, ids: Iterable[int]) -> InstanceSpans:
        """Return the values of these instances."""
        chosen = np.array(list(ids), dtype=np.int64)
        known = np.isin(self.hours.instance, chosen)
        spans = self.spans.where(np.isin(self.spans.instance, chosen))
        return InstanceSpans(spans, self.hours.where(known), self.masks[known])


def read_minutes(metrics: Sequence[Metric], start: int, end: int, ids: Sequence[int] | None) -> dict[str, Spans]:
    """Return the count and the last value of each minute and instance, for each metric. All or none are counters."""
    rows = read_rows(metrics, Segment(MINUTE, start, end), ids)
    return {name: spans_of(own.values) for name, own in rows.items()}


def read_rollups(
    metrics: Iterable[Metric], plan: Plan, ids: Sequence[int] | None, now_s: int
) -> dict[str, InstanceSpans]:
    """Return the minutes or hours of metrics. See `gauges.read_spans`."""
    alike: dict[tuple[bool, bool], list[Metric]] = defaultdict(list)
    for metric in metrics:
        alike[metric.name in LEVELS, metric.name in COUNTERS].append(metric)
    read: dict[str, InstanceSpans] = {}
    for (are_levels, are_counters), chosen in alike.items():
        is_short = plan.resolution == MINUTE and plan.step_seconds < MAX_VALID_SECONDS
        held = not are_counters and (are_levels or is_short)
        start = plan.start - (LOOKBACK_SECONDS if held else 0)
        rows = read_rows(chosen, Segment(MINUTE if are_levels else plan.resolution, start, plan.end), ids)
        # After the minutes: of an hour that becomes rows of hours in between, the minutes are left out below.
        of_hours = read_rows(chosen, Segment(HOUR, plan.start, plan.end), ids) if are_levels else {}
        for name, own in rows.items():
            spans = spans_of(own.values, are_counters)
            if held:
                spans = with_held(spans, min(plan.end, now_s))
            read[name] = _without_converted(spans, of_hours.get(name, NO_ROWS), plan.start)
    return read


def read_whole(
    stats: Mapping[Metric, Collection[str]], segments: Sequence[Segment], ids: Sequence[int] | None
) -> dict[str, Spans]:
    """Return a span for each instance, which has all its rows in some segments; the database adds them up.

    For `avg`, `min` and `max` of metrics that are neither levels nor counters.
    """
    of_stats = (OF_STAT.get(stat, ()) for own in stats.values() for stat in own)
    columns = sorted(set(BASE).union(*of_stats))  # the first is INSTANCE
    names = columns_of(next(iter(stats)).name)
    sums = [f"{WHOLE[column]}({connection.ops.quote_name(names[column])})" for column in columns[1:]]
    where = condition_of(stats, segments, ids)
    rows: dict[str, list[Sequence[float]]] = {metric.name: [] for metric in stats}
    for name, *row in groups(GaugeRollup, ("metric", "labels_id", *sums), where, "1, 2"):
        rows[name].append(row)
    read: dict[str, Spans] = {}
    for name, own in rows.items():
        array = np.full((len(own), COLUMNS), np.nan)
        if own:
            array[:, columns] = own
        read[name] = spans_of(array)
    return read


def _without_converted(spans: Spans, hours: GaugeBlock, start: int) -> InstanceSpans:
    """Return the spans from `start` on, and the hours, without the minutes of these hours.

    The last minutes of an hour that has become rows of hours are kept for a while, to be held in the next hour.
    """
    _, values, masks = hours.where((hours.values[:, START] >= start) & (hours.minutes != 0))
    begin = max(start, int(values[:, START].max()) + HOUR) if len(values) else start
    instance, hour, count, last_at = np.nan_to_num(values[:, [INSTANCE, START, COUNT, LAST_AT]]).astype(np.int64).T
    level = values[:, SUM] / np.maximum(count, 1)
    of_hours = Spans(instance, hour, count, level, values[:, MIN], values[:, MAX], values[:, LAST], last_at)
    return InstanceSpans(spans.where(spans.start >= begin), of_hours, masks)
