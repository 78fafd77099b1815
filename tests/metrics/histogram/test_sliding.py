"""The histograms of overlapping windows are those that merging the histograms of each window gives."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import Histogram
from metrics.histogram.groups import HistogramGroups, merge_packed_groups
from metrics.histogram.sliding import SlidingHistograms

BINS = 6
values = st.lists(st.floats(0, 1e9), max_size=8)


def packed(numbers: list[float]) -> bytes:
    histogram = Histogram()
    for number in numbers:
        histogram.add(number)
    return histogram.pack()


class TheHistogramsOfWindows:
    @given(
        st.lists(st.tuples(st.integers(0, BINS - 1), values), max_size=20),
        st.lists(st.tuples(st.integers(0, BINS), st.integers(0, BINS)), min_size=1, max_size=10),
    )
    def test_are_those_of_the_bins_in_them(
        self, rows: list[tuple[int, list[float]]], edges: list[tuple[int, int]]
    ) -> None:
        windows = sorted((min(pair), max(pair)) for pair in edges)
        first, end = np.array(windows).T
        blobs = [packed(numbers) for _, numbers in rows]

        bins = merge_packed_groups(blobs, [number for number, _ in rows], BINS)
        sliding = SlidingHistograms(bins, (first, end))

        for window, (begin, stop) in enumerate(windows):
            inside = [blob for blob, (number, _) in zip(blobs, rows, strict=True) if begin <= number < stop]
            merged = merge_packed_groups(inside, [0] * len(inside), 1)
            assert sliding.counts[window] == merged.counts[0]
            for figure in (HistogramGroups.means, HistogramGroups.minima, HistogramGroups.maxima, HistogramGroups.sums):
                assert figure(sliding)[window] == figure(merged)[0]
            for q in (0.0, 0.5, 0.95, 1.0):
                assert sliding.quantiles(q)[window] == merged.quantiles(q)[0]
