"""Histograms that are kept decoded: parts of them, joined parts, and their sums by group."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import DecodedHistograms, Histogram, merge_decoded_groups, merge_packed

VALUES = st.lists(st.one_of(st.just(0.0), st.floats(0.001, 1e6)), max_size=5)
# The sum of this one has more than 63 bits.
HUGE = Histogram.of([2.0**50] * 20_000).pack()


def blobs_of(values: list[list[float]]) -> list[bytes]:
    """Return a packed histogram of each list."""
    return [Histogram.of(own).pack() for own in values]


class ThePartsOfDecodedHistograms:
    @given(
        values=st.lists(VALUES, max_size=12),
        cut=st.integers(0, 12),
        group_of=st.lists(st.integers(-1, 2), min_size=12, max_size=12),
    )
    def test_have_the_sums_of_the_packed_histograms(
        self, values: list[list[float]], cut: int, group_of: list[int]
    ) -> None:
        blobs = [*blobs_of(values), HUGE]
        groups = np.array([*group_of[: len(values)], 1])
        cut = min(cut, len(blobs))
        parts = DecodedHistograms.of(blobs).split([cut, len(blobs) - cut])
        merged = merge_decoded_groups(parts, groups, 3)
        joined = merge_decoded_groups([DecodedHistograms.joined(parts)], groups, 3)
        for group in range(3):
            expected = merge_packed([blob for blob, own in zip(blobs, groups, strict=True) if own == group])
            assert merged[group] == joined[group] == expected

    @given(first=st.lists(VALUES, min_size=3, max_size=3), second=st.lists(VALUES, min_size=3, max_size=3))
    def test_of_columns_are_those_of_each_column(self, first: list[list[float]], second: list[list[float]]) -> None:
        columns = [blobs_of(first), blobs_of(second)]
        for decoded, blobs in zip(DecodedHistograms.of_columns(columns), columns, strict=True):
            assert merge_decoded_groups([decoded], np.zeros(3, dtype=np.int64), 1)[0] == merge_packed(blobs)

    def test_report_the_position_of_a_histogram_that_is_invalid(self) -> None:
        parts = DecodedHistograms.of([b"", HUGE, b"no histogram"]).split([1, 2])
        with pytest.raises(ValueError, match="blob 2"):
            merge_decoded_groups(parts, np.zeros(3, dtype=np.int64), 1)

    def test_need_six_bytes_a_bucket_at_most(self) -> None:
        histogram = Histogram.of([float(value) for value in range(1, 1000)])
        assert DecodedHistograms.of([histogram.pack()] * 100).nbytes < 100 * (26 + 6 * len(histogram.counts) + 1)
