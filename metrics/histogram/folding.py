"""Histograms that others recorded, turned into counts of our buckets: OTLP exponential and explicit, Prometheus.

Counts are whole numbers and are preserved. What is lost is the source's own: where inside one of its buckets a value
lay is a guess, so a quantile of what was folded in is as coarse as the source's buckets.

- An exponential histogram of scale 5 or finer folds exactly: our buckets are unions of its buckets.
- A coarser one, or one whose unit is converted, spreads each bucket evenly (in the logarithm) over ours.
- Explicit bounds spread evenly in the value, as Prometheus' ``histogram_quantile`` interpolates: the first bucket
  begins at 0, and what lies above the last bound counts at that bound (at the maximum, where the source says it).

It is for the readers of OTLP metrics and of engines' Prometheus pages, once they are built.
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
MAX_SOURCE_BUCKETS: Final = 2**16  # SDKs keep 160; this bounds the work that one message can ask for


def check_counts(counts: Sequence[int], zero_count: int = 0) -> int:
    """The total of a source's counts. Raises ValueError for negative ones, too many buckets and too many values."""
    if len(counts) > MAX_SOURCE_BUCKETS:
        raise ValueError(f"histogram of {len(counts)} buckets, at most {MAX_SOURCE_BUCKETS} are read")
    if zero_count < 0 or (counts and min(counts) < 0):
        raise ValueError("histogram with a negative count")
    total = sum(counts) + zero_count
    if total > MAX_COUNT:
        raise ValueError(f"histogram of {total} values, at most 2**50 are read")
    return total


def check_limits(minimum: float | None, maximum: float | None) -> None:
    """Raises ValueError unless 0 ≤ minimum ≤ maximum, both finite, as far as they are given."""
    for name, value in (("minimum", minimum), ("maximum", maximum)):
        if value is not None and not 0 <= value < math.inf:
            raise ValueError(f"histogram {name} must be finite and 0 or more, got {value!r}")
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"histogram minimum {minimum!r} is above its maximum {maximum!r}")


def sum_of(total: float | None, counts: dict[int, int], values: int) -> int:
    """The sum in thousandths: the source's own, or, where it gives none, that of the bucket middles.

    No sum exceeds ``values`` · MAX_VALUE, as if each value had been clamped. Raises ValueError unless the
    sum is finite and 0 or more.
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
    """Our counts of the positive buckets of an exponential histogram; ``factor`` converts its unit into ours.

    ``minimum`` and ``maximum`` (in our unit, where the source gives them) keep a coarse bucket from being spread
    beyond.
    """
    if not MIN_SOURCE_SCALE <= scale <= MAX_SOURCE_SCALE:
        raise ValueError(f"exponential histogram of scale {scale}, {MIN_SOURCE_SCALE}…{MAX_SOURCE_SCALE} are read")
    if abs(offset) > 2**31:
        raise ValueError(f"exponential histogram with offset {offset}: OTLP's has 32 bits")
    if not 0 < factor < math.inf:
        raise ValueError(f"the factor between units must be finite and above 0, got {factor!r}")
    lowest = bucket_index(minimum) if minimum else MIN_INDEX
    highest = bucket_index(maximum) if maximum else MAX_INDEX
    found: dict[int, int] = {}
    for index, count in enumerate(counts, offset):
        if not count:
            continue
        if factor == 1 and scale >= SCALE:
            only = min(max(index >> (scale - SCALE), MIN_INDEX), MAX_INDEX)
            found[only] = found.get(only, 0) + count
            continue
        # The source bucket in our index space: (start, end], whole numbers unless the unit is converted.
        start = math.ldexp(index, SCALE - scale) + math.log2(factor) * PER_OCTAVE
        end = start + math.ldexp(1, SCALE - scale)
        first = min(max(math.floor(start), lowest), highest)
        last = max(min(math.ceil(end) - 1, highest), first)
        # Where the range or the source's extremes cut the bucket short, the even spread is over what is left of it.
        _spread(found, count, first, last, _even_in_logarithm(max(start, first), min(end, last + 1)))
    return found


def _even_in_logarithm(start: float, end: float) -> Callable[[int], float]:
    return lambda index: (index + 1 - start) / (end - start)


def _even_in_value(lower: float, upper: float) -> Callable[[int], float]:
    return lambda index: (UPPERS[index - MIN_INDEX] - lower) / (upper - lower)


def spread_explicit(
    bounds: Sequence[float], counts: Sequence[int], *, mean: float | None, minimum: float | None, maximum: float | None
) -> tuple[int, dict[int, int]]:
    """The zero count and our counts of a histogram with upper-inclusive ``bounds`` and one more count than bounds.

    Without any bound all values count at ``mean``. Raises ValueError for bounds that do not ascend and wrong lengths.
    """
    if len(counts) != len(bounds) + 1:
        raise ValueError(
            f"{len(bounds)} bounds need {len(bounds) + 1} counts (one is above them all), got {len(counts)}"
        )
    if not all(map(math.isfinite, bounds)) or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError("histogram bounds must be finite and ascend; leave out +Inf")
    found: dict[int, int] = {}
    zeros = 0
    least, most = minimum or 0.0, math.inf if maximum is None else maximum
    for position, count in enumerate(counts):
        if not count:
            continue
        lower = max(0.0, least, bounds[position - 1]) if position else least
        if position < len(bounds):
            upper = min(bounds[position], most)
        elif bounds:
            lower = upper = max(lower, most if maximum is not None else 0.0)
        else:
            lower = upper = _of_no_bounds(mean)
        if upper <= 0:
            zeros += count
            continue
        lower = min(lower, upper)
        last = bucket_index(upper)
        # (lower, upper] begins in the bucket above when lower is itself an edge.
        first = min(last, MIN_INDEX + bisect_left(UPPERS, math.nextafter(lower, math.inf)) if lower else MIN_INDEX)
        _spread(found, count, first, last, _even_in_value(lower, upper))
    return zeros, found


def _of_no_bounds(mean: float | None) -> float:
    if mean is None:
        raise ValueError("a histogram without bounds needs its sum: nothing else says how large the values are")
    return mean


def _spread(found: dict[int, int], count: int, first: int, last: int, share: Callable[[int], float]) -> None:
    """Add ``count`` values to buckets first…last; ``share(i)`` is the part that lies below the upper edge of bucket i.

    The running total is rounded, not each bucket, so that whole numbers add up and one value lands at the median.
    """

    def reached(index: int) -> int:
        return min(int(count * share(index) + 0.5), count) if index < last else count

    index, done = first, 0
    while done < count:
        # Buckets that receive nothing are skipped by halving: (0, bound] begins with some thousand of them.
        if reached(index) == done:
            index += 1 + bisect_right(range(index + 1, last), done, key=reached)
        total = reached(index)
        found[index] = found.get(index, 0) + total - done
        index, done = index + 1, total
