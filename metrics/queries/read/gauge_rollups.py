"""Reading gauges and counters from rollups of a minute or an hour.

Levels (`metrics.levels`) are read from minutes, and those of older days from rows of hours, which have the minutes in
which an instance counts. One statement reads both, so that each hour is in its result once, also while upkeep turns it
into rows of hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Max, Min, Q, Sum

from metrics.catalogue import Metric
from metrics.levels import COUNTERS, HOUR, LEVELS, columns_of
from metrics.models import GaugeRollup
from metrics.queries.read.budget import CHECK_ROWS, count_rows
from metrics.queries.read.sql import in_segments, one_of
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
    Floats,
    Integers,
    Spans,
    spans_of,
    with_held,
)

CHUNK_ROWS = 4_000
ROWS_PER_ROW = 4  # of these rows take about as long as a row of requests, which has histograms
BASE = (INSTANCE, START, COUNT, SUM)
# The columns that a statistic needs besides these.
OF_STAT: dict[str, tuple[int, ...]] = {"min": (MIN,), "max": (MAX,), "last": (LAST, LAST_AT)}
WHOLE: dict[int, Any] = {START: Min, COUNT: Sum, SUM: Sum, MIN: Min, MAX: Max}
NO_ROWS = np.empty((0, COLUMNS))
NO_MASKS = np.empty(0, dtype=np.int64)


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
        return cls(spans, spans_of(NO_ROWS), NO_MASKS)

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


class _Rows(NamedTuple):
    """Rows for `spans_of`, and those of hours with their minutes as bits."""

    rows: Floats
    hours: Floats
    masks: Integers


def read_minutes(metrics: Sequence[Metric], start: int, end: int, ids: Sequence[int] | None) -> dict[str, Spans]:
    """Return the count and the last value of each minute and instance, for each metric. All or none are counters."""
    rows = _read(metrics, (INSTANCE, START, COUNT, LAST, LAST_AT), (MINUTE,), start, end, ids)
    return {name: spans_of(own.rows) for name, own in rows.items()}


def read_rollups(
    stats: Mapping[Metric, Collection[str]], plan: Plan, ids: Sequence[int] | None, now_s: int
) -> dict[str, InstanceSpans]:
    """Return the minutes or hours of metrics, with what these statistics of them need. See `read_spans`."""
    alike: dict[tuple[bool, bool], list[Metric]] = defaultdict(list)
    for metric in stats:
        alike[metric.name in LEVELS, metric.name in COUNTERS].append(metric)
    read: dict[str, InstanceSpans] = {}
    for (are_levels, are_counters), metrics in alike.items():
        is_short = plan.resolution == MINUTE and plan.step_seconds < MAX_VALID_SECONDS
        held = not are_counters and (are_levels or is_short)
        columns = {*BASE, *(OF_STAT["last"] if held else ())}
        columns.update(*(OF_STAT.get(stat, ()) for metric in metrics for stat in stats[metric]))
        resolutions = (MINUTE, HOUR) if are_levels else (plan.resolution,)
        start = plan.start - (LOOKBACK_SECONDS if held else 0)
        for name, own in _read(metrics, sorted(columns), resolutions, start, plan.end, ids).items():
            spans = spans_of(own.rows, are_counters)
            if held:
                spans = with_held(spans, min(plan.end, now_s))
            read[name] = _without_converted(spans, own, plan.start)
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
    values = {f"whole_{names[column]}": WHOLE[column](names[column]) for column in columns[1:]}
    found = _stored(list(stats), in_segments(segments), ids).values("metric", "labels_id").order_by()
    rows: dict[str, list[Sequence[float]]] = {metric.name: [] for metric in stats}
    for name, *row in found.annotate(**values).values_list("metric", "labels_id", *values):
        rows[name].append(row)
    read: dict[str, Spans] = {}
    for name, own in rows.items():
        array = np.full((len(own), COLUMNS), np.nan)
        if own:
            array[:, columns] = own
        read[name] = spans_of(array)
    return read


def _without_converted(spans: Spans, own: _Rows, start: int) -> InstanceSpans:
    """Return the spans from `start` on, and the hours, without the minutes of these hours.

    The last minutes of an hour that has become rows of hours are kept for a while, to be held in the next hour.
    """
    known = (own.hours[:, START] >= start) & (own.masks != 0)
    hours, masks = own.hours[known], own.masks[known]
    begin = max(start, int(hours[:, START].max()) + HOUR) if len(hours) else start
    instance, hour, count, last_at = np.nan_to_num(hours[:, [INSTANCE, START, COUNT, LAST_AT]]).astype(np.int64).T
    level = hours[:, SUM] / np.maximum(count, 1)
    of_hours = Spans(instance, hour, count, level, hours[:, MIN], hours[:, MAX], hours[:, LAST], last_at)
    return InstanceSpans(spans.where(spans.start >= begin), of_hours, masks)


def _read(
    metrics: Sequence[Metric],
    columns: Sequence[int],
    resolutions: Sequence[int],
    start: int,
    end: int,
    ids: Sequence[int] | None,
) -> dict[str, _Rows]:
    """Return the rows of each metric in buckets from `start` to `end`. All or none are counters."""
    number_of = {metric.name: number for number, metric in enumerate(metrics)}
    found = _stored(metrics, Q(resolution__in=resolutions, bucket__gte=start, bucket__lt=end), ids)
    names = columns_of(metrics[0].name)
    own = [names[column] for column in columns]
    # The rows of hours of counters have the sum of their rates.
    of_hours = ["count", "sum"] if metrics[0].name in COUNTERS else []
    more = [*of_hours, "resolution", "minutes"] if len(resolutions) > 1 else []
    parts: dict[str, list[_Rows]] = {name: [_Rows(NO_ROWS, NO_ROWS, NO_MASKS)] for name in number_of}
    several = len(metrics) > 1
    at_minutes = len(own) + len(more) - 1
    for chunk in chunks_of(found.values_list(*own, *more, *(["metric"] if several else []))):
        number = np.array([number_of[row[-1]] for row in chunk]) if several else np.zeros(len(chunk))
        values = np.array([row[:-1] for row in chunk] if several else chunk, dtype=np.float64)  # None becomes NaN
        rows = np.full((len(chunk), COLUMNS), np.nan)
        rows[:, list(columns)] = values[:, : len(columns)]
        is_hour, masks = np.zeros(len(chunk), dtype=bool), np.zeros(len(chunk), dtype=np.int64)
        if more:
            is_hour = values[:, -2] == HOUR
            masks[is_hour] = [chunk[row][at_minutes] or 0 for row in np.flatnonzero(is_hour)]
            if of_hours:
                rows[is_hour, COUNT : SUM + 1] = values[is_hour, -4:-2]
        for metric in metrics:
            is_own = number == number_of[metric.name]
            hours = is_own & is_hour
            parts[metric.name].append(_Rows(rows[is_own & ~is_hour], rows[hours], masks[hours]))
        count_rows(len(chunk) // ROWS_PER_ROW, rows.nbytes)
    return {name: _Rows(*map(np.concatenate, zip(*listed, strict=True))) for name, listed in parts.items()}


def _stored(metrics: Sequence[Metric], buckets: Q, ids: Sequence[int] | None) -> Any:
    rows = GaugeRollup.objects.filter(buckets, metric__in=[metric.name for metric in metrics])
    return rows if ids is None else rows.filter(one_of("labels_id", ids))


def chunks_of(rows: Any) -> Iterator[list[Any]]:
    """Yield the rows of a query in lists."""
    iterator = rows.iterator(CHUNK_ROWS)
    while chunk := list(islice(iterator, CHECK_ROWS)):
        yield chunk
