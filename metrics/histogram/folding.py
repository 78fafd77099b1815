"""Conversion of OTLP and Prometheus histograms into counts of our buckets.

Counts are whole numbers and are preserved. The position of a value within a source bucket is unknown, so a quantile is
as coarse as the source's buckets.

- An exponential histogram of scale 5 or finer converts exactly: our buckets are unions of its buckets.
- The buckets of a coarser one, or of one whose unit is converted, are spread evenly (in the logarithm) over ours.
- Buckets with explicit bounds are spread evenly in the value, as Prometheus' ``histogram_quantile`` interpolates: the
  first bucket begins at 0, and values above the last bound count at that bound, or at the maximum if it is known.

It is for the future readers of OTLP metrics and of the Prometheus endpoints of engines.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

from metrics.histogram.buckets import (
    MAX_INDEX,
    MAX_VALUE,
    MIN_INDEX,
    PER_OCTAVE,
    SCALE,
    UPPERS,
    bucket_index,
    bucket_middle,
)
from metrics.histogram.packing import MAX_COUNT, thousandths

MIN_SOURCE_SCALE: Final = -10  # OpenTelemetry's SDKs record -10…20
MAX_SOURCE_SCALE: Final = 20
MAX_SOURCE_BUCKETS: Final = 2**16  # SDKs keep 160; this limits the work for one message


def check_counts(counts: Sequence[int], zero_count: int = 0) -> int:
    """The sum of a source's counts. Raises ValueError for negative counts, too many buckets and too many values."""
    if len(counts) > MAX_SOURCE_BUCKETS:
        raise ValueError(f"histogram of {len(counts)} buckets; the maximum is {MAX_SOURCE_BUCKETS}")
    if zero_count < 0 or (counts and min(counts) < 0):
        raise ValueError("histogram with a negative count")
    total = sum(counts) + zero_count
    if total > MAX_COUNT:
        raise ValueError(f"histogram of {total} values; the maximum is 2**50")
    return total


def check_limits(minimum: float | None, maximum: float | None) -> None:
    """Raise ValueError unless 0 ≤ minimum ≤ maximum and both are finite; None is valid."""
    for name, value in (("minimum", minimum), ("maximum", maximum)):
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"histogram {name} must be finite and 0 or more, got {value!r}")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"histogram minimum {minimum!r} is above its maximum {maximum!r}")


def sum_of(total: float | None, counts: dict[int, int], values: int) -> int:
    """The sum in thousandths: the source's sum, or the sum of the bucket middles if the source has none.

    The sum is limited to ``values`` · MAX_VALUE, as if each value had been clamped. Raises ValueError unless it is
    finite and 0 or more.
    """
    if total is None:
        return sum(count * thousandths(bucket_middle(index)) for index, count in counts.items())
    if not 0 <= total < math.inf:
        raise ValueError(f"histogram sum must be finite and 0 or more, got {total!r}")
    bound = values * thousandths(MAX_VALUE)
    return bound if total * 1000 >= bound else min(bound, thousandths(total))


def spread_exponential(
    counts: Sequence[int], *, scale: int, offset: int, factor: float, minimum: float | None, maximum: float | None
) -> dict[int, int]:
    """Our counts for the positive buckets of an exponential histogram. ``factor`` converts its unit into ours.

    ``minimum`` and ``maximum`` (in our unit; None if unknown) limit the range over which a coarse bucket is spread.
    """
    if not MIN_SOURCE_SCALE <= scale <= MAX_SOURCE_SCALE:
        raise ValueError(f"exponential histogram of scale {scale}; the range is {MIN_SOURCE_SCALE}…{MAX_SOURCE_SCALE}")
    if abs(offset) > 2**31:
        raise ValueError(f"exponential histogram with offset {offset}: OTLP's has 32 bits")
    if not 0 < factor < math.inf:
        raise ValueError(f"the factor between units must be finite and above 0, got {factor!r}")
    lowest = bucket_index(minimum) if minimum else MIN_INDEX
    highest = bucket_index(maximum) if maximum else MAX_INDEX
    spread: dict[int, int] = {}
    for index, count in enumerate(counts, offset):
        if not count:
            continue
        if factor == 1 and scale >= SCALE:
            only = min(max(index >> (scale - SCALE), MIN_INDEX), MAX_INDEX)
            spread[only] = spread.get(only, 0) + count
            continue
        # The source bucket in our index space: (start, end], whole numbers unless the unit is converted.
        start = math.ldexp(index, SCALE - scale) + math.log2(factor) * PER_OCTAVE
        end = start + math.ldexp(1, SCALE - scale)
        first = min(max(math.floor(start), lowest), highest)
        last = max(min(math.ceil(end) - 1, highest), first)
        # If the range or the source's extremes cut the bucket, it is spread over the rest.
        _spread(spread, count, first, last, _even_in_logarithm(max(start, first), min(end, last + 1)))
    return spread


def _even_in_logarithm(start: float, end: float) -> Callable[[int], float]:
    return lambda index: (index + 1 - start) / (end - start)


def _even_in_value(lower: float, upper: float) -> Callable[[int], float]:
    return lambda index: (UPPERS[index - MIN_INDEX] - lower) / (upper - lower)


def spread_explicit(
    bounds: Sequence[float], counts: Sequence[int], *, mean: float | None, minimum: float | None, maximum: float | None
) -> tuple[int, dict[int, int]]:
    """The zero count and our counts for a histogram with upper-inclusive ``bounds`` and one more count than bounds.

    Without bounds, all values count at ``mean``. Raises ValueError for bounds that do not ascend and for wrong lengths.
    """
    if len(counts) != len(bounds) + 1:
        raise ValueError(
            f"{len(bounds)} bounds need {len(bounds) + 1} counts (one is above them all), got {len(counts)}"
        )
    if not all(map(math.isfinite, bounds)) or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError("histogram bounds must be finite and ascend; leave out +Inf")
    spread: dict[int, int] = {}
    zeros = 0
    lowest, highest = minimum or 0.0, math.inf if maximum is None else maximum
    for position, count in enumerate(counts):
        if not count:
            continue
        lower = max(0.0, lowest, bounds[position - 1]) if position else lowest
        if position < len(bounds):
            upper = min(bounds[position], highest)
        elif bounds:
            lower = upper = max(lower, highest if maximum is not None else 0.0)
        elif mean is None:
            raise ValueError("a histogram without bounds needs its sum, because nothing else gives its values")
        else:
            lower = upper = mean
        if upper <= 0:
            zeros += count
            continue
        lower = min(lower, upper)
        last = bucket_index(upper)
        # If lower is an edge, (lower, upper] begins in the next bucket.
        first = min(last, MIN_INDEX + bisect_left(UPPERS, math.nextafter(lower, math.inf)) if lower else MIN_INDEX)
        _spread(spread, count, first, last, _even_in_value(lower, upper))
    return zeros, spread


def _spread(counts: dict[int, int], count: int, first: int, last: int, share: Callable[[int], float]) -> None:
    """Add ``count`` values to buckets first…last. ``share(i)`` is the part below the upper edge of bucket i.

    The running total is rounded instead of each bucket, so the counts add up to ``count`` and a single value is added
    at the median.
    """

    def reached(index: int) -> int:
        return min(int(count * share(index) + 0.5), count) if index < last else count

    index, done = first, 0
    while done < count:
        # Buckets that receive nothing are skipped by bisection: (0, bound] begins with about a thousand of them.
        if reached(index) == done:
            index += 1 + bisect_right(range(index + 1, last), done, key=reached)
        total = reached(index)
        counts[index] = counts.get(index, 0) + total - done
        index, done = index + 1, total
