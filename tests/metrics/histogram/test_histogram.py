"""The histogram: exact count, sum and extremes, quantiles within their bound; whatever is merged, in any order."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from decimal import Decimal, localcontext
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import (
    BASE,
    MAX_INDEX,
    MAX_VALUE,
    MIN_INDEX,
    RELATIVE_ERROR,
    Histogram,
    bucket_bounds,
    bucket_index,
)
from metrics.histogram.buckets import bucket_indices, bucket_middle

BOUND = 0.011  # the promise: 1.1 %
QUANTILES = (0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
SIZES = (1, 2, 3, 10, 101, 5_000)

SHAPES: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "uniform": lambda rng, n: rng.uniform(1, 1_000, n),
    "lognormal": lambda rng, n: rng.lognormal(6, 0.7, n),
    "wide lognormal": lambda rng, n: rng.lognormal(3, 4, n),
    "normal": lambda rng, n: np.abs(rng.normal(500, 20, n)),
    "exponential": lambda rng, n: rng.exponential(250, n),
    "gamma": lambda rng, n: rng.gamma(2, 100, n),
    "pareto": lambda rng, n: 10 * (1 + rng.pareto(1.1, n)),
    "laplace": lambda rng, n: np.abs(rng.laplace(100, 40, n)),
    "bimodal": lambda rng, n: np.where(rng.random(n) < 0.5, rng.normal(50, 2, n), rng.normal(5_000, 50, n)),
    "trimodal": lambda rng, n: rng.choice([3.0, 300.0, 30_000.0], n) * rng.uniform(0.9, 1.1, n),
    "constant": lambda rng, n: np.full(n, 123.456),
    "two values": lambda rng, n: rng.choice([1.0, 60_000.0], n),
    "many zeros": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(5, n)),
    "all zeros": lambda rng, n: np.zeros(n),
    "ascending": lambda rng, n: np.arange(1, n + 1, dtype=float),
    "reversed": lambda rng, n: np.arange(n, 0, -1, dtype=float),
    "token counts": lambda rng, n: np.floor(rng.lognormal(6, 1.5, n)),
    "geometric, at the edges of buckets": lambda rng, n: np.array([bucket_bounds(i % 800)[1] for i in range(n)]),
    "one far outlier": lambda rng, n: np.append(rng.uniform(9, 11, n - 1), 3_600_000.0),
    "tiny": lambda rng, n: rng.uniform(2**-30, 1e-6, n),
    "huge": lambda rng, n: rng.uniform(1e12, MAX_VALUE, n),
}

values = st.floats(0, MAX_VALUE, allow_nan=False) | st.floats(0, 100_000).map(lambda value: round(value, 3))
samples = st.lists(values, max_size=60)


def exact(sample: Any, q: float) -> float:
    return float(np.quantile(np.asarray(sample), q, method="inverted_cdf"))


def thousandths(sample: Any) -> int:
    return sum(round(float(value) * 1000) for value in sample)


class AQuantile:
    @pytest.mark.parametrize("size", SIZES)
    @pytest.mark.parametrize("shape", SHAPES)
    def test_is_within_its_bound_of_the_exact_one(self, shape: str, size: int) -> None:
        sample = SHAPES[shape](np.random.default_rng(7), size)

        answers = Histogram.of(sample.tolist()).quantiles(QUANTILES)

        for q, answer in zip(QUANTILES, answers, strict=True):
            assert answer == pytest.approx(exact(sample, q), rel=BOUND, abs=0)

    @given(st.lists(values.filter(lambda value: not 0 < value <= 2**-30), min_size=1, max_size=60), st.floats(0, 1))
    def test_is_within_its_bound_for_any_values(self, sample: list[float], q: float) -> None:
        assert Histogram.of(sample).quantile(q) == pytest.approx(exact(sample, q), rel=BOUND, abs=0)

    @given(st.lists(values, min_size=1))
    def test_is_exact_at_both_ends(self, sample: list[float]) -> None:
        assert Histogram.of(sample).quantiles((0, 1)) == [min(sample), max(sample)]

    @given(st.lists(values, min_size=1), st.lists(st.floats(0, 1), min_size=2, max_size=10))
    def test_never_falls_as_q_rises(self, sample: list[float], qs: list[float]) -> None:
        answers = Histogram.of(sample).quantiles(sorted(qs))

        assert answers == sorted(answers)  # type: ignore[type-var]

    def test_of_nothing_is_none(self) -> None:
        assert Histogram().quantile(0.5) is None
        assert Histogram().quantiles((0.1, 0.9)) == [None, None]

    def test_of_zeros_is_zero(self) -> None:
        histogram = Histogram.of([0, 0, 0, 100])

        assert histogram.quantiles((0.5, 0.75, 1)) == [0.0, 0.0, 100.0]

    @pytest.mark.parametrize("q", [-0.01, 1.01, 95, math.nan])
    def test_outside_0_to_1_is_refused_with_what_is_meant(self, q: float) -> None:
        with pytest.raises(ValueError, match=r"0…1 \(the 95th percentile is 0.95\)"):
            Histogram.of([1]).quantile(q)


class TheFigures:
    @given(samples)
    def test_are_exact(self, sample: list[float]) -> None:
        histogram = Histogram.of(sample)

        assert histogram.count == len(sample)
        assert histogram.sum_thousandths == thousandths(sample)
        assert histogram.minimum == min(sample, default=None)
        assert histogram.maximum == max(sample, default=None)
        assert histogram.zero_count + sum(histogram.counts.values()) == len(sample)

    def test_have_a_mean(self) -> None:
        assert Histogram.of([1, 2, 6]).mean == 3.0
        assert Histogram.of([1, 2, 6]).sum == 9.0
        assert Histogram().mean is None

    def test_count_a_value_several_times(self) -> None:
        once = Histogram.of([5.5] * 4)
        several = Histogram()
        several.add(5.5, 4)

        assert several == once

    def test_clamp_what_is_beyond_the_range(self) -> None:
        histogram = Histogram.of([1e300, MAX_VALUE * 2])

        assert histogram == Histogram.of([MAX_VALUE, MAX_VALUE])
        assert histogram.quantile(0.5) == MAX_VALUE

    def test_tell_a_tiny_value_from_zero(self) -> None:
        histogram = Histogram.of([5e-324, 1e-12])

        assert histogram.zero_count == 0
        assert histogram.counts == {MIN_INDEX: 2}
        assert histogram.minimum == 5e-324

    def test_know_no_negative_zero(self) -> None:
        assert math.copysign(1, Histogram.of([-0.0]).minimum or 0.0) == 1

    @pytest.mark.parametrize("value", [-1, -1e-300, math.nan, math.inf, -math.inf])
    def test_refuse_what_is_no_measurement(self, value: float) -> None:
        histogram = Histogram.of([1])

        with pytest.raises(ValueError, match="finite values of 0 or more"):
            histogram.add(value)
        assert histogram == Histogram.of([1])

    @pytest.mark.parametrize("n", [0, -1, 2**50])
    def test_refuse_a_number_of_values_that_no_histogram_holds(self, n: int) -> None:
        histogram = Histogram.of([1])

        with pytest.raises(ValueError, match=r"1…2\*\*50 values"):
            histogram.add(1, n)


class AMerge:
    @given(samples, samples)
    def test_is_that_of_recording_all_in_one(self, left: list[float], right: list[float]) -> None:
        merged = Histogram.of(left)
        merged.merge(Histogram.of(right))

        assert merged == Histogram.of(left + right)

    @given(st.lists(samples, max_size=8), st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_or_on_how_it_was_cut(
        self, parts: list[list[float]], chance: random.Random
    ) -> None:
        everything = Histogram.of([value for part in parts for value in part])
        histograms = [Histogram.of(part) for part in parts]
        while len(histograms) > 1:
            chance.shuffle(histograms)
            taken = histograms.pop()
            histograms[0].merge(taken)

        merged = histograms[0] if histograms else Histogram()

        assert merged == everything
        assert merged.pack() == everything.pack()

    @pytest.mark.parametrize("shape", ["lognormal", "bimodal", "many zeros", "one far outlier"])
    @pytest.mark.parametrize("parts", [2, 7, 400])
    def test_of_unequal_parts_keeps_the_bound(self, shape: str, parts: int) -> None:
        rng = np.random.default_rng(3)
        sample = SHAPES[shape](rng, 4_000)
        cuts = sorted(rng.integers(0, len(sample), parts - 1).tolist())
        merged = Histogram()
        for start, end in pairwise([0, *cuts, len(sample)]):
            merged.merge(Histogram.of(sample[start:end].tolist()))

        for q, answer in zip(QUANTILES, merged.quantiles(QUANTILES), strict=True):
            assert answer == pytest.approx(exact(sample, q), rel=BOUND, abs=0)

    @given(samples)
    def test_with_nothing_changes_nothing(self, sample: list[float]) -> None:
        histogram = Histogram.of(sample)
        histogram.merge(Histogram())
        empty = Histogram()
        empty.merge(histogram)

        assert histogram == empty == Histogram.of(sample)

    def test_leaves_the_other_as_it_was(self) -> None:
        left, right = Histogram.of([1, 2]), Histogram.of([3])
        left.merge(right)
        left.add(9)

        assert right == Histogram.of([3])


class TheBuckets:
    def test_have_a_relative_error_below_the_promise(self) -> None:
        assert pytest.approx(0.01089, abs=1e-5) == RELATIVE_ERROR
        assert RELATIVE_ERROR < BOUND

    @given(st.floats(2**-30, MAX_VALUE, exclude_min=True))
    def test_hold_their_value_between_their_edges_upper_inclusive(self, value: float) -> None:
        index = bucket_index(value)
        lower, upper = bucket_bounds(index)

        assert lower < value <= upper
        assert abs(bucket_middle(index) / value - 1) <= RELATIVE_ERROR + 1e-12

    def test_touch_without_a_gap(self) -> None:
        edges = [bucket_bounds(index) for index in range(MIN_INDEX, MAX_INDEX + 1)]

        assert all(upper == lower for (_, upper), (lower, _) in pairwise(edges))
        assert edges[0][0] == 2**-30
        assert edges[-1][1] == MAX_VALUE

    @pytest.mark.parametrize("index", [MIN_INDEX, -33, -1, 0, 1, 31, 32, 777, MAX_INDEX])
    def test_put_an_edge_below_and_the_next_double_above(self, index: int) -> None:
        upper = bucket_bounds(index)[1]

        assert bucket_index(upper) == index
        assert bucket_index(math.nextafter(upper, math.inf)) == min(index + 1, MAX_INDEX)

    @pytest.mark.parametrize("index", range(-64, 65, 7))
    def test_have_the_edges_of_the_exponential_histogram_of_scale_5(self, index: int) -> None:
        with localcontext() as context:
            context.prec = 40
            edge = Decimal(2) ** (Decimal(index) / 32)

        assert bucket_bounds(index)[0] == float(edge)
        assert pytest.approx(BASE**index) == float(edge)

    @given(st.lists(st.floats(5e-324, 1e300), min_size=1))
    def test_are_the_same_for_arrays(self, sample: list[float]) -> None:
        assert bucket_indices(np.array(sample)).tolist() == [bucket_index(value) for value in sample]

    @pytest.mark.parametrize("value", [0, -1, math.nan, math.inf])
    def test_have_no_index_for_what_is_not_above_0(self, value: float) -> None:
        with pytest.raises(ValueError, match="finite value above 0"):
            bucket_index(value)

    @pytest.mark.parametrize("index", [MIN_INDEX - 1, MAX_INDEX + 1])
    def test_end_where_the_range_ends(self, index: int) -> None:
        with pytest.raises(ValueError, match="is outside"):
            bucket_bounds(index)

    @given(samples)
    def test_are_listed_ascending_with_all_values_in_them(self, sample: list[float]) -> None:
        listed = Histogram.of(sample).buckets()

        assert sum(count for *_, count in listed) == len(sample)
        assert all(left[1] <= right[0] for left, right in pairwise(listed))
        for lower, upper, count in listed:
            inside = [value for value in sample if lower < value <= upper or value == lower == upper]
            below_all = [value for value in sample if 0 < value <= lower == 2**-30]
            assert count == len(inside) + len(below_all)


class AHistogram:
    def test_shows_what_it_holds(self) -> None:
        assert repr(Histogram()) == "<Histogram: empty>"
        assert repr(Histogram.of([1, 2, 6])) == "<Histogram: 3 values, 1…6, mean 3>"

    def test_is_equal_to_one_with_the_same_content_only(self) -> None:
        assert Histogram.of([1, 2]) == Histogram.of([2, 1])
        assert Histogram.of([1, 2]) != Histogram.of([1, 2, 2])
        assert Histogram.of([100.0]) != Histogram.of([100.001])  # one bucket, other values
        assert Histogram() != 0

    def test_cannot_be_a_key(self) -> None:
        with pytest.raises(TypeError):
            hash(Histogram())
