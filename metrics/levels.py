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

from collections.abc import Iterator

import numpy as np

from metrics import catalogue
from metrics.catalogue import Combine, Kind, Metric
from metrics.readings import MINUTE, Spans

HOUR = 3600
MINUTES_OF_HOUR = HOUR // MINUTE

# (instance, number of minutes in which it counts, sum of its levels, min, max, last, last_at, these minutes as bits)
HourRow = tuple[int, int, float, float, float, float, int, int]


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
