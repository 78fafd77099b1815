"""How fast tables grow, and when the store is full: pure functions of measurements.

A table that has a retention stops growing when its oldest rows begin to be deleted: requests that are kept for 30 days
grow for 25 more days if the oldest is 5 days old. Without this, a new installation would seem to fill the disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from math import inf, isfinite

SPAN = timedelta(days=7)  # over which growth is measured: whole weeks have their nights and weekends
LEAST_SPAN = timedelta(hours=6)  # the daily growth of a shorter time would be a guess
DAY = timedelta(days=1)
# The oldest row is this old, as a share of the retention, when the retention deletes rows.
SHARE_AT_RETENTION = 0.97


@dataclass(frozen=True)
class Measured:
    """A table at a time. oldest: the time of its oldest row. None: not known."""

    at: datetime
    rows: int
    bytes: int | None = None
    oldest: datetime | None = None


@dataclass(frozen=True)
class Growth:
    """bytes_per_day: may be negative. days: how long it continues; infinite without a retention."""

    bytes_per_day: float
    days: float = inf


def growth_of(history: Sequence[Measured], kept: timedelta | None) -> Growth | None:
    """Return the growth over the last SPAN of a history in the order of time; None if it is shorter than LEAST_SPAN.

    It continues until the oldest row is as old as the retention `kept`. Where that was so in the whole span, the rate
    of new rows has risen, and the growth continues until the retention has replaced all rows.
    """
    known = [one for one in history if one.bytes is not None]
    if not known:
        return None
    last = known[-1]
    first = next(one for one in known if one.at >= last.at - SPAN)
    span = last.at - first.at
    if span < LEAST_SPAN or first.bytes is None or last.bytes is None:
        return None
    return Growth((last.bytes - first.bytes) / (span / DAY), _continues(first, last, kept))


def _continues(first: Measured, last: Measured, kept: timedelta | None) -> float:
    if kept is None or last.oldest is None:
        return inf
    if first.oldest is not None and first.at - first.oldest >= kept * SHARE_AT_RETENTION:
        return kept / DAY
    return max(timedelta(0), kept - (last.at - last.oldest)) / DAY


def days_until_full(room: float, growths: Iterable[Growth]) -> float | None:
    """Return the days in which tables grow by `room` bytes together; None if they never do. 0 if there is no room.

    Tables that shrink do not count: they do so until their own retention or a person stops it.
    """
    growing = sorted((one for one in growths if one.bytes_per_day > 0 and one.days > 0), key=lambda one: one.days)
    if room <= 0:
        return 0.0
    rate, day = sum(one.bytes_per_day for one in growing), 0.0
    for number, one in enumerate(growing):
        if rate * (one.days - day) >= room:
            break
        room -= rate * (one.days - day)
        # Summed again: subtracting leaves a remainder of rounding, which would fill any disk in some million years.
        rate, day = sum(later.bytes_per_day for later in growing[number + 1 :]), one.days
    else:
        return None
    full = day + room / rate
    return full if isfinite(full) else None


def times_to_thin(times: Iterable[datetime], before: datetime) -> list[datetime]:
    """Return those of the times before `before` that are not the first of their day in UTC."""
    kept: set[object] = set()
    thinned = []
    for at in sorted({time for time in times if time < before}):
        if at.date() in kept:
            thinned.append(at)
        kept.add(at.date())
    return thinned


def split(total: int, weights: Sequence[float]) -> list[int]:
    """Return `total` in parts that are proportional to the weights. They add up to it."""
    whole = sum(weights)
    if whole <= 0:
        return [total if number == 0 else 0 for number in range(len(weights))]
    edges, up_to = [0], 0.0
    for weight in weights[:-1]:
        up_to += weight
        edges.append(min(total, round(total * up_to / whole)))
    edges.append(total)
    return [end - start for start, end in pairwise(edges)]
