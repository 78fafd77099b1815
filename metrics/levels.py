"""Levels: gauges whose values are added over their instances, such as the lengths of queues, and rates of counters.

The level of an instance in a minute is the mean of its samples of that minute. A reading is valid for three intervals
of its source. It is held in the following minutes, at most two, in which the instance has no sample. The combined level
of a minute is the sum over the instances that have a value in that minute; of the queue of a model, only those of the
preferred kind. An average over time is the mean of the combined levels of the minutes that have one. Two instances that
did not exist at the same time are therefore never added, and the average is the same at every step.

The level of a counter in a minute is its growth, divided by the part of the minute between two samples. It is not held,
because the growth between two samples is spread over the minutes between them.

Minutes are kept for some days. Then the minutes of an hour become a row for each instance, which has the sum of its
levels and the minutes in which it counts. The average over any instances and hours is the sum of the rows, divided by
the number of minutes in which at least one of the instances counts. In which minute the least and the greatest value
of an instance occurred is not kept: `min` and `max` of these hours add those of the instances that count together.

Pure functions on arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metrics import catalogue
from metrics.catalogue import Combine, Kind, Metric
from metrics.events import QueueKind

# A reading is valid for this number of its source's intervals, within these limits.
VALID_INTERVALS = 3
MIN_VALID_SECONDS = 15
MAX_VALID_SECONDS = 180
DEFAULT_INTERVAL = MIN_VALID_SECONDS / VALID_INTERVALS  # of a source with a single sample
MINUTE, HOUR = 60, 3600
MINUTES_OF_HOUR = HOUR // MINUTE
MAX_HELD_MINUTES = 2
MIN_COVERED_SECONDS = 1e-6  # of a counter in a minute; less is a rounding error
# A held reading is this old at most, and the sample before it, from which its interval is known, twice as old.
LOOKBACK_SECONDS = 2 * MAX_VALID_SECONDS

_MINUTE_BITS = 32  # of a minute's number since 1970, in an integer that also has another number
_RANKS: dict[str, int] = {kind: rank for rank, kind in enumerate(QueueKind)}

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
# (instance, number of minutes in which it counts, sum of its levels, min, max, last, last_at, these minutes as bits)
HourRow = tuple[int, int, float, float, float, float, int, int]


def is_level(metric: Metric) -> bool:
    """Return whether the values of a gauge, or the rates of a counter, are added over its instances."""
    return metric.kind in (Kind.GAUGE, Kind.COUNTER) and metric.combine is Combine.SUM


LEVELS = frozenset(metric.name for metric in catalogue.ALL if is_level(metric))
COUNTERS = frozenset(metric.name for metric in catalogue.ALL if metric.kind is Kind.COUNTER)


def valid_seconds(interval: float) -> float:
    """Return how long a reading is valid whose source sends one in `interval` seconds."""
    return min(max(VALID_INTERVALS * interval, MIN_VALID_SECONDS), MAX_VALID_SECONDS)


def rank_of_kind(kind: str) -> int:
    """Return the rank of a kind of queue. The lowest rank is preferred."""
    return _RANKS.get(kind, len(_RANKS))


@dataclass(frozen=True, slots=True)
class Minutes:
    """The values of instances in minutes: arrays of the same length.

    start: of the minute, unix seconds. last_at: unix microseconds. count: the number of samples, 0 for a held reading;
    of a counter, the covered seconds. level: NaN for a counter whose growth is not known.
    """

    instance: Integers
    start: Integers
    count: Integers
    level: Floats
    min: Floats
    max: Floats
    last: Floats
    last_at: Integers

    def __len__(self) -> int:
        return len(self.start)

    def where(self, chosen: NDArray[Any]) -> Minutes:
        """Return the rows with these numbers, or those for which a mask is True."""
        return Minutes(*(getattr(self, one.name)[chosen] for one in fields(self)))


def minute_columns(metric: str) -> tuple[str, ...]:
    """Return the columns of a metric's rows of minutes that `minutes_of` needs."""
    amount, divisor = ("growth", "covered_seconds") if metric in COUNTERS else ("sum", "count")
    return "labels_id", "bucket", divisor, amount, "min", "max", "last", "last_at"


def minutes_of(rows: Floats, metric: str) -> Minutes:
    """Return the minutes of instances, ordered by instance and time. A minute may have several rows, which add up.

    rows: an array with the columns of `minute_columns`; NaN where there is no value.
    """
    rows = rows[np.lexsort((rows[:, 6], rows[:, 7], rows[:, 1], rows[:, 0]))]
    instance, start, _, _, least, most, last, last_at = rows.T
    is_first = np.ones(len(rows), dtype=bool)
    is_first[1:] = (np.diff(instance) != 0) | (np.diff(start) != 0)
    first = np.flatnonzero(is_first)
    if not len(first):
        return Minutes(*(rows[:, 0].astype(dtype) for dtype in (int, int, int, float, float, float, float, int)))
    end = np.append(first[1:], len(rows)) - 1
    divisor, amount = (np.add.reduceat(np.nan_to_num(rows[:, n]), first) for n in (2, 3))
    level = np.full(len(first), np.nan)
    np.divide(amount, divisor, out=level, where=divisor > MIN_COVERED_SECONDS)
    is_counter = metric in COUNTERS
    return Minutes(
        instance[first].astype(np.int64),
        start[first].astype(np.int64),
        divisor.astype(np.int64),
        level,
        level if is_counter else np.minimum.reduceat(least, first),
        level if is_counter else np.maximum.reduceat(most, first),
        last[end],
        last_at[end].astype(np.int64),
    )


def with_held(minutes: Minutes, end: int) -> Minutes:
    """Add the readings of a gauge that are held in minutes before `end` (unix seconds), to the result of `minutes_of`.

    The interval of a source is measured from the newest sample of the minute before, if that is recent, and otherwise
    from the number of samples in the minute.
    """
    if not len(minutes):
        return minutes
    at = minutes.last_at / 1e6
    same = np.diff(minutes.instance) == 0
    since = np.where(np.r_[False, same], np.diff(at, prepend=at[0]), np.inf)
    alone = np.where(minutes.count > 1, MINUTE, DEFAULT_INTERVAL)
    interval = np.where(since <= MAX_VALID_SECONDS, since, alone) / minutes.count
    valid = np.clip(VALID_INTERVALS * interval, MIN_VALID_SECONDS, MAX_VALID_SECONDS)
    following = np.where(np.r_[same, False], np.r_[minutes.start[1:], end], end)
    parts = [minutes]
    for number in range(1, MAX_HELD_MINUTES + 1):
        later = minutes.start + number * MINUTE
        held = minutes.where((valid >= number * MINUTE) & (later < np.minimum(following, end)))
        last, none = held.last, np.zeros(len(held), dtype=np.int64)
        start = held.start + number * MINUTE
        parts.append(replace(held, start=start, count=none, level=last, min=last, max=last))
    return Minutes(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(minutes)))


def of_preferred_kind(minutes: Minutes, queues: Mapping[int, tuple[str, str]]) -> Minutes:
    """Return the minutes of the queues of the preferred kind, for each model and minute.

    queues: the model and the kind of each instance. Minutes of other instances are omitted.
    """
    models = {model: number for number, (model, _) in enumerate(queues.values())}
    known = minutes.where(np.isin(minutes.instance, np.array(list(queues), dtype=np.int64)))
    if not len(known):
        return known
    instances, own = np.unique(known.instance, return_inverse=True)
    of = [queues[instance] for instance in instances.tolist()]
    model = np.array([models[name] for name, _ in of])[own]
    rank = np.array([rank_of_kind(kind) for _, kind in of])[own]
    _, key = np.unique((model << _MINUTE_BITS) + known.start // MINUTE, return_inverse=True)
    best = np.full(int(key.max()) + 1, len(_RANKS))
    np.minimum.at(best, key, rank)
    return known.where(rank == best[key])


def hour_rows(minutes: Minutes, hour: int) -> Iterator[HourRow]:
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
