"""Filling many histograms at once, for commits of many requests.

Adding a value to a histogram takes a microsecond; here it takes a tenth of that, because one numpy call computes all
buckets, and counts, sums and extremes are computed over whole lists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import numpy as np

from metrics.histogram import Histogram
from metrics.histogram.buckets import MAX_VALUE, bucket_indices
from metrics.histogram.packing import MAX_COUNT, MAX_EXACT

MIN_BULK_VALUES = 64  # for fewer values, the overhead of numpy's calls is larger than the gain
NO_BUCKET = -(2**31)  # index for the value 0, which has its own count


def histograms_of(lists: Sequence[Sequence[float]]) -> list[Histogram]:
    """`Histogram.of` each list, in the same order, with the same errors."""
    if sum(map(len, lists)) < MIN_BULK_VALUES:
        return [Histogram.of(values) for values in lists]
    array = np.fromiter(chain.from_iterable(lists), dtype=np.float64)
    if not bool((array >= 0).all() and (array < np.inf).all()):
        return [Histogram.of(values) for values in lists]  # raises for the invalid value
    np.minimum(array, MAX_VALUE, out=array)
    array += 0.0  # not -0.0
    buckets = np.full(len(array), NO_BUCKET, dtype=np.int64)
    positive = array > 0
    buckets[positive] = bucket_indices(array[positive])
    values, indices = array.tolist(), buckets.tolist()
    thousandths = np.rint(array * 1000).tolist()  # whole numbers: sums below 2**53 are exact
    histograms: list[Histogram] = []
    start = 0
    for sublist in lists:
        end = start + len(sublist)
        histograms.append(_filled(values[start:end], indices[start:end], thousandths[start:end]))
        start = end
    return histograms


def copy_of(histogram: Histogram) -> Histogram:
    """A copy of the histogram."""
    other = Histogram()
    other.counts = histogram.counts.copy()
    other.zero_count, other.count = histogram.zero_count, histogram.count
    other.sum_thousandths = histogram.sum_thousandths
    other.minimum, other.maximum = histogram.minimum, histogram.maximum
    return other


def _filled(values: list[float], indices: list[int], thousandths: list[float]) -> Histogram:
    histogram = Histogram()
    if not values:
        return histogram
    if len(values) > MAX_COUNT:
        raise ValueError("a histogram holds at most 2**50 values")
    histogram.count = len(values)
    histogram.counts = dict(Counter(indices))
    histogram.zero_count = histogram.counts.pop(NO_BUCKET, 0)
    total = sum(thousandths)
    histogram.sum_thousandths = int(total) if total < MAX_EXACT else sum(map(int, thousandths))
    histogram.minimum, histogram.maximum = min(values), max(values)
    return histogram
