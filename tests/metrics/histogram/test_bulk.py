"""Histograms filled together are those filled one value at a time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import MAX_INDEX, MIN_INDEX, Histogram, bucket_bounds
from metrics.histogram.buckets import MAX_VALUE
from metrics.histogram.bulk import MIN_BULK_VALUES, copy_of, histograms_of

edges = st.sampled_from([bucket_bounds(index)[1] for index in range(MIN_INDEX, MAX_INDEX, 97)])
odd = st.sampled_from([0.0, -0.0, 5e-324, 0.0005, 0.0015, 1e300, MAX_VALUE, MAX_VALUE * 2])
values = st.floats(0, 1e15, allow_subnormal=True) | edges | odd | st.integers(0, 2**53)


class TheHistogramsOfManyLists:
    @given(st.lists(st.lists(values, max_size=40), max_size=8), st.booleans())
    def test_are_those_of_each(self, lists: list[list[float]], many: bool) -> None:
        if many:
            lists = [*lists, [1.0] * MIN_BULK_VALUES]
        found = histograms_of(lists)
        assert found == [Histogram.of(own) for own in lists]
        assert [one.pack() for one in found] == [Histogram.of(own).pack() for own in lists]
        assert all(math.copysign(1, one.minimum) == 1 for one in found if one.minimum is not None)

    @pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
    @pytest.mark.parametrize("size", [1, MIN_BULK_VALUES])
    def test_refuse_what_a_histogram_refuses(self, bad: float, size: int) -> None:
        with pytest.raises(ValueError, match="finite values of 0 or more"):
            histograms_of([[1.0] * size, [bad]])


class ACopy:
    def test_is_equal_and_apart(self) -> None:
        first = Histogram.of([0.0, 1.0, 250.0])
        second = copy_of(first)
        assert second == first
        second.add(3.0)
        assert first == Histogram.of([0.0, 1.0, 250.0])
        assert second.count == 4
