"""Histograms that are packed or merged together have the same bytes as each alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import MAX_INDEX, MIN_INDEX, Histogram, bucket_bounds
from metrics.histogram.buckets import MAX_VALUE
from metrics.histogram.bulk import Values, merge_blobs

edges = st.sampled_from([bucket_bounds(index)[1] for index in range(MIN_INDEX, MAX_INDEX, 97)])
ODD = [0.0, -0.0, 5e-324, 0.0005, 0.0015, 2**53 / 1000, 1e300, MAX_VALUE, MAX_VALUE * 2]
odd = st.sampled_from(ODD)
plain = st.floats(0, 1e9).map(lambda value: round(value, 3)) | st.integers(0, 10_000).map(float)
values = plain | st.floats(0, 1e15, allow_subnormal=True) | edges | odd | st.integers(0, 2**53).map(float)
lists_of_values = st.lists(st.lists(plain, max_size=60) | st.lists(values, max_size=40), max_size=9)


def numbered(lists: list[list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """All values, and the number of each value's list."""
    groups = [number for number, own in enumerate(lists) for _ in own]
    return np.array([value for own in lists for value in own], dtype=float), np.array(groups, dtype=np.int64)


class TheValuesOfManyHistograms:
    @given(lists_of_values)
    def test_are_packed_as_each_alone(self, lists: list[list[float]]) -> None:
        array, groups = numbered(lists)
        assert Values(array).pack(groups, len(lists)) == [Histogram.of(own).pack() for own in lists]

    def test_are_packed_as_each_alone_if_they_are_odd(self) -> None:
        lists = [[one] for one in ODD] + [[one, other] for one in ODD for other in ODD]
        array, groups = numbered(lists)
        assert Values(array).pack(groups, len(lists)) == [Histogram.of(own).pack() for own in lists]

    @pytest.mark.parametrize("number", [9, 5_000])
    def test_with_sums_beyond_63_bits_are_packed_as_each_alone(self, number: int) -> None:
        lists = [[1.0, 2.0], [MAX_VALUE] * number + [1.0]]
        array, groups = numbered(lists)
        assert Values(array).pack(groups, 2) == [Histogram.of(own).pack() for own in lists]

    @given(st.lists(st.tuples(plain, st.integers(-1, 3)), max_size=60))
    def test_of_no_group_are_omitted(self, pairs: list[tuple[float, int]]) -> None:
        packed = Values(np.array([value for value, _ in pairs])).pack(
            np.array([group for _, group in pairs], dtype=np.int64), 4
        )
        assert packed == [Histogram.of([v for v, group in pairs if group == own]).pack() for own in range(4)]

    @pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
    def test_must_be_finite_and_not_negative(self, bad: float) -> None:
        with pytest.raises(ValueError, match="finite values of 0 or more"):
            Values(np.array([1.0, bad]))


class TheBlobsOfManyHistograms:
    @given(lists_of_values, st.data())
    def test_are_merged_as_histograms_are(self, lists: list[list[float]], data: st.DataObject) -> None:
        groups = data.draw(st.lists(st.integers(0, 2), min_size=len(lists), max_size=len(lists)))
        totals = [Histogram() for _ in range(3)]
        for own, group in zip(lists, groups, strict=True):
            totals[group].merge(Histogram.of(own))
        blobs = [Histogram.of(own).pack() for own in lists]
        assert merge_blobs(blobs, np.array(groups, dtype=np.int64), 3) == [total.pack() for total in totals]

    @pytest.mark.parametrize("number", [5, 9, 5_000])
    def test_with_sums_beyond_63_bits_are_merged(self, number: int) -> None:
        huge, small = Histogram.of([MAX_VALUE] * number), Histogram.of([1.0])
        total, other = Histogram.of([MAX_VALUE] * 2 * number), Histogram.of([1.0, 1.0])
        blobs = [huge.pack(), huge.pack(), small.pack(), small.pack()]
        assert merge_blobs(blobs, np.array([0, 0, 1, 1]), 2) == [total.pack(), other.pack()]

    def test_that_are_damaged_are_an_error(self) -> None:
        with pytest.raises(ValueError, match="packed histogram"):
            merge_blobs([b"\x99nonsense", Histogram.of([1.0]).pack()], np.array([0, 0]), 1)
