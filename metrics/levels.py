"""Levels: gauges that are combined minute by minute, and the rates of counters.

They are the gauges whose values are added over their instances, such as memory and the lengths of queues, and all
gauges of queues, of which only the preferred kind counts. The combined level of a minute is the sum over the instances
that have a value in that minute (`metrics.readings`); of the queue of a model, only those of the preferred kind. An
average over time is the mean of the combined levels of the minutes that have one. Two instances that did not exist at
the same time are therefore never added, and the average is the same at every step.

Minutes are kept for some days. Then the minutes of an hour become a row for each instance, which has the sum of its
levels and the minutes in which it counts. The average over any instances and hours is the sum of the rows, divided by
the number of minutes in which at least one of the instances counts. In which minute the least and the greatest value
of an instance occurred is not kept: `min` and `max` of these hours add those of the instances that count together.

Pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from operator import or_
from typing import Any

import numpy as np

from metrics import catalogue
from metrics.catalogue import Combine, Kind, Metric
from metrics.readings import MINUTE, Spans

HOUR = 3600
MINUTES_OF_HOUR = HOUR // MINUTE

# (instance, number of minutes in which it counts, sum of its levels, min, max, last, last_at, these minutes as bits)
HourRow = tuple[int, int, float, float, float, float, int, int]
# Of a minute that is folded. By this number, its reading is valid for less than a minute (`metrics.readings.validity`).
FOLDED_SAMPLES = 64
_COMBINED: dict[Combine, Any] = {Combine.SUM: np.add, Combine.MAX: np.maximum, Combine.MIN: np.minimum}
_COMBINE: dict[Combine, Callable[..., float]] = {Combine.SUM: sum, Combine.MAX: max, Combine.MIN: min}


def is_level(metric: Metric) -> bool:
    """Return whether a gauge or a counter is combined minute by minute."""
    is_sampled = metric.kind in (Kind.GAUGE, Kind.COUNTER)
    return is_sampled and (metric.combine is Combine.SUM or metric.type == "queue")


LEVELS = frozenset(metric.name for metric in catalogue.ALL if is_level(metric))
COUNTERS = frozenset(metric.name for metric in catalogue.ALL if metric.kind is Kind.COUNTER)


def columns_of(metric: str) -> tuple[str, ...]:
    """Return the columns of a metric's rollups in the order in which `spans_of` needs them."""
    count, total = ("covered_seconds", "growth") if metric in COUNTERS else ("count", "sum")
    return "labels_id", "bucket", count, total, "min", "max", "last", "last_at"


def hour_rows(minutes: Spans, hour: int) -> Iterator[HourRow]:
    """Yield the row of each instance that counts in the hour that starts at `hour` (unix seconds).

    It has a bit for each minute in which the instance counts, the lowest for the first minute of the hour.
    """
    inside = minutes.where((minutes.start >= hour) & (minutes.start < hour + HOUR) & ~np.isnan(minutes.level))
    inside = inside.where(np.lexsort((inside.start, inside.instance)))
    instances, first = np.unique(inside.instance, return_index=True)
    bounds = [*first.tolist(), len(inside)]
    for number, instance in enumerate(instances.tolist()):
        own = inside.where(np.arange(bounds[number], bounds[number + 1]))
        yield (
            instance,
            len(own),
            float(own.level.sum()),
            float(own.min.min()),
            float(own.max.max()),
            float(own.last[-1]),
            int(own.last_at[-1]),
            sum(1 << minute for minute in ((own.start - hour) // MINUTE).tolist()),
        )


def folded_minutes(metric: Metric, spans: Spans) -> Iterator[tuple[int, int, float, float, float, float, int]]:
    """Yield (start, count, sum, min, max, last, last_at) of each minute, which has the combined level of all instances.

    The minutes in which readings are held must be among the spans, because those of the result are not held.
    """
    spans = spans.where(np.argsort(spans.start, kind="stable"))
    starts, first = np.unique(spans.start, return_index=True)
    combine = _COMBINED[metric.combine]
    least, most = (combine, combine) if metric.combine is Combine.SUM else (np.minimum, np.maximum)
    last_at = np.maximum(np.maximum.reduceat(spans.last_at, first), starts * 1_000_000)
    columns = (
        starts,
        np.full(len(starts), FOLDED_SAMPLES),
        combine.reduceat(spans.level, first) * FOLDED_SAMPLES,
        least.reduceat(spans.min, first),
        most.reduceat(spans.max, first),
        combine.reduceat(spans.last, first),
        last_at,
    )
    yield from zip(*(column.tolist() for column in columns), strict=True)


def folded_hour(metric: Metric, rows: Sequence[tuple[Any, ...]]) -> tuple[int, float, float, float, float, int, int]:
    """Return one row for those of several instances in an hour, each without its instance. The averages are the same.

    A row is that of `hour_rows` from the number of minutes on.
    """
    counts, sums, least, most, last, last_at, masks = zip(*rows, strict=True)
    minutes = reduce(or_, masks)
    combine = _COMBINE[metric.combine]
    if metric.combine is Combine.SUM:
        numbers = [number for number in range(MINUTES_OF_HOUR) if minutes >> number & 1]

        def by_minute(values: Sequence[float]) -> list[float]:
            return [
                sum(value for value, mask in zip(values, masks, strict=True) if mask >> number & 1)
                for number in numbers
            ]

        total, values = sum(sums), (min(by_minute(least)), max(by_minute(most)), by_minute(last)[-1])
    else:
        total = combine(own / count for own, count in zip(sums, counts, strict=True)) * minutes.bit_count()
        values = min(least), max(most), combine(last)
    return minutes.bit_count(), total, *values, max(last_at), minutes
