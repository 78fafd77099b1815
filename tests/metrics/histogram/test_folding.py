"""Histograms of others: OTLP's exponential ones by rescaling, explicit bounds as Prometheus reads them."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import MAX_INDEX, MAX_VALUE, MIN_INDEX, RELATIVE_ERROR, Histogram
from metrics.histogram.buckets import bucket_middle


def otlp(sample: list[float], scale: int, offset: int | None = None) -> dict[str, Any]:
    """The sample as an OpenTelemetry SDK sends it: bucket i holds (base**i, base**(i+1)]."""
    base = 2.0 ** (2.0**-scale)
    indices = [math.ceil(math.log(value) / math.log(base)) - 1 for value in sample if value > 0]
    first = min(indices, default=0) if offset is None else offset
    counts = [0] * (max(indices, default=first) - first + 1)
    for index in indices:
        counts[index - first] += 1
    return {
        "scale": scale,
        "zero_count": sum(value == 0 for value in sample),
        "positive_offset": first,
        "positive_counts": counts,
        "total": math.fsum(sample),
        "minimum": min(sample, default=None),
        "maximum": max(sample, default=None),
    }


def folded(**source: Any) -> Histogram:
    histogram = Histogram()
    histogram.add_exponential(**source)
    return histogram


def explicit(bounds: list[float], counts: list[int], total: float | None = None, **more: Any) -> Histogram:
    histogram = Histogram()
    histogram.add_explicit(bounds, counts, total, **more)
    return histogram


LATENCIES = np.random.default_rng(11).lognormal(6, 0.7, 2_000).tolist()


class AnExponentialHistogram:
    @pytest.mark.parametrize("scale", [5, 6, 8, 12])
    def test_of_a_fine_scale_folds_without_any_loss(self, scale: int) -> None:
        sample = LATENCIES[:300] if scale > 8 else LATENCIES

        histogram = folded(**otlp(sample, scale))

        direct = Histogram.of(sample)
        assert histogram.counts == direct.counts
        assert (histogram.minimum, histogram.maximum) == (direct.minimum, direct.maximum)
        assert histogram.sum == pytest.approx(math.fsum(sample), abs=0.001)

    @pytest.mark.parametrize("scale", [4, 3, 2, 0])
    def test_of_a_coarse_scale_is_as_coarse_as_its_source(self, scale: int) -> None:
        histogram = folded(**otlp(LATENCIES, scale))

        assert histogram.count == len(LATENCIES)
        for q in (0.1, 0.5, 0.95):
            exact = float(np.quantile(LATENCIES, q, method="inverted_cdf"))
            assert abs(math.log2(histogram.quantile(q) / exact)) <= 2.0**-scale + 2**-5  # type: ignore[operator]

    @given(
        scale=st.integers(-10, 20),
        offset=st.integers(-(2**31), 2**31),
        counts=st.lists(st.integers(0, 1_000), max_size=40),
        zeros=st.integers(0, 10),
        factor=st.sampled_from([1.0, 1000.0, 0.001, 1 / 3]),
    )
    def test_never_loses_a_value(self, scale: int, offset: int, counts: list[int], zeros: int, factor: float) -> None:
        histogram = folded(
            scale=scale,
            zero_count=zeros,
            positive_offset=offset,
            positive_counts=counts,
            total=None,
            minimum=None,
            maximum=None,
            factor=factor,
        )

        assert histogram.count == sum(counts) + zeros == histogram.zero_count + sum(histogram.counts.values())
        assert histogram.zero_count == zeros
        assert all(MIN_INDEX <= index <= MAX_INDEX for index in histogram.counts)
        assert Histogram.unpack(histogram.pack()) == histogram

    def test_of_seconds_is_converted(self) -> None:
        seconds = [value / 1000 for value in LATENCIES]

        histogram = folded(**otlp(seconds, 5), factor=1000.0)

        direct = Histogram.of(LATENCIES)
        assert histogram.maximum == pytest.approx(direct.maximum)
        assert histogram.sum == pytest.approx(direct.sum, abs=0.0005 * len(LATENCIES))  # each of ours was rounded
        for q in (0.05, 0.5, 0.95, 0.99):
            # One bucket of the source's error, and half of one of ours.
            assert histogram.quantile(q) == pytest.approx(direct.quantile(q), rel=3 * RELATIVE_ERROR)

    def test_adds_to_what_is_there(self) -> None:
        histogram = Histogram.of(LATENCIES[:1_000])

        histogram.add_exponential(**otlp(LATENCIES[1_000:], 7))

        assert histogram.counts == Histogram.of(LATENCIES).counts
        assert histogram.count == 2_000

    def test_without_extremes_and_sum_estimates_them_within_its_buckets(self) -> None:
        source = otlp(LATENCIES, 5) | {"minimum": None, "maximum": None, "total": None}

        histogram = folded(**source)

        direct = Histogram.of(LATENCIES)
        assert histogram.minimum == pytest.approx(direct.minimum, rel=RELATIVE_ERROR + 1e-9)
        assert histogram.maximum == pytest.approx(direct.maximum, rel=RELATIVE_ERROR + 1e-9)
        assert histogram.sum == pytest.approx(direct.sum, rel=RELATIVE_ERROR)

    def test_is_not_spread_beyond_its_extremes(self) -> None:
        histogram = folded(
            scale=0,
            zero_count=0,
            positive_offset=6,  # (64, 128]
            positive_counts=[1_000],
            total=90_000,
            minimum=80.0,
            maximum=100.0,
        )

        lowest, highest = min(histogram.counts), max(histogram.counts)
        assert bucket_middle(lowest) == pytest.approx(80, rel=0.03)
        assert bucket_middle(highest) == pytest.approx(100, rel=0.03)

    def test_of_nothing_adds_nothing(self) -> None:
        assert folded(**otlp([], 5)) == Histogram()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"scale": 21}, "exponential histogram of scale 21"),
            ({"scale": -11}, "exponential histogram of scale -11"),
            ({"positive_counts": [1, -1]}, "negative count"),
            ({"zero_count": -1}, "negative count"),
            ({"positive_counts": [0] * 70_000}, "70000 buckets; the maximum is 65536"),
            ({"positive_counts": [2**50, 1]}, "maximum is 2\\*\\*50"),
            ({"positive_offset": 2**40}, "OTLP's has 32 bits"),
            ({"factor": 0.0}, "factor between units"),
            ({"factor": math.inf}, "factor between units|must be finite"),
            ({"total": math.nan}, "sum must be finite"),
            ({"total": -1.0}, "sum must be finite"),
            ({"minimum": -1.0}, "minimum must be finite"),
            ({"maximum": math.inf}, "maximum must be finite"),
            ({"minimum": 3.0, "maximum": 2.0}, "is above its maximum"),
        ],
    )
    def test_that_none_can_be_is_refused_and_adds_nothing(self, change: dict[str, Any], message: str) -> None:
        histogram = Histogram.of([1])

        with pytest.raises(ValueError, match=message):
            histogram.add_exponential(**(otlp([1.0, 2.0, 3.0], 5) | change))
        assert histogram == Histogram.of([1])


BOUNDS = [5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0]


def counted(sample: list[float], bounds: list[float]) -> list[int]:
    counts = [0] * (len(bounds) + 1)
    for value in sample:
        counts[bisect_left(bounds, value)] += 1
    return counts


def histogram_quantile(bounds: list[float], counts: list[int], q: float) -> float:
    """As Prometheus does it: linear within the bucket; above the last bound, that bound."""
    rank = q * sum(counts)
    below = 0
    for position, count in enumerate(counts):
        if below + count >= rank:
            if position == len(bounds):
                return bounds[-1]
            lower = bounds[position - 1] if position else 0.0
            return lower + (bounds[position] - lower) * (rank - below) / count
        below += count
    raise AssertionError


class AHistogramWithExplicitBounds:
    @pytest.mark.parametrize("q", [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99])
    def test_has_the_quantiles_that_prometheus_reads_from_it(self, q: float) -> None:
        counts = counted(LATENCIES * 10, BOUNDS)

        histogram = explicit(BOUNDS, counts, math.fsum(LATENCIES) * 10)

        assert histogram.quantile(q) == pytest.approx(histogram_quantile(BOUNDS, counts, q), rel=0.02)

    def test_keeps_its_sum_and_its_count(self) -> None:
        histogram = explicit(BOUNDS, counted(LATENCIES, BOUNDS), 123_456.789)

        assert histogram.count == len(LATENCIES)
        assert histogram.sum_thousandths == 123_456_789

    @given(
        bounds=st.lists(st.floats(-10, 1e16), unique=True, max_size=20).map(sorted),
        data=st.data(),
    )
    def test_never_loses_a_value(self, bounds: list[float], data: st.DataObject) -> None:
        size = len(bounds) + 1
        counts = data.draw(st.lists(st.integers(0, 500), min_size=size, max_size=size))

        histogram = explicit(bounds, counts, float(sum(counts)))

        assert histogram.count == sum(counts) == histogram.zero_count + sum(histogram.counts.values())
        assert Histogram.unpack(histogram.pack()) == histogram

    def test_of_increases_adds_up_to_the_whole(self) -> None:
        half = len(LATENCIES) // 2
        twice = explicit(BOUNDS, counted(LATENCIES[:half], BOUNDS), 1.0)
        twice.add_explicit(BOUNDS, counted(LATENCIES[half:], BOUNDS), 2.0)

        assert twice.count == len(LATENCIES)
        assert twice.sum == 3.0

    def test_counts_one_value_at_the_middle_of_its_bucket(self) -> None:
        assert explicit([100.0, 200.0], [0, 1, 0], None).quantile(0.5) == pytest.approx(150, rel=0.011)

    def test_counts_what_lies_above_the_last_bound_at_that_bound_or_at_the_maximum(self) -> None:
        assert explicit([100.0], [0, 5], None).quantile(0.5) == pytest.approx(100, rel=0.011)
        assert explicit([100.0], [0, 5], None, maximum=700.0).quantile(0.5) == pytest.approx(700, rel=0.011)

    def test_counts_what_is_0_or_below_as_zero(self) -> None:
        assert explicit([0.0, 10.0], [3, 0, 0], 0.0).zero_count == 3

    def test_of_values_below_1_spreads_them_as_well(self) -> None:
        histogram = explicit([0.005, 0.01, 0.025], [400, 400, 200, 0], 10.0)

        assert histogram.quantile(0.2) == pytest.approx(0.0025, rel=0.011)
        assert histogram.quantile(0.6) == pytest.approx(0.0075, rel=0.011)

    def test_stays_within_its_extremes(self) -> None:
        histogram = explicit([100.0, 1_000.0], [0, 100, 0], 30_000.0, minimum=200.0, maximum=400.0)

        assert (histogram.minimum, histogram.maximum) == (200.0, 400.0)
        assert all(200 * 0.97 <= bucket_middle(index) <= 400 * 1.03 for index in histogram.counts)

    def test_without_bounds_counts_at_its_mean(self) -> None:
        assert explicit([], [4], 400.0).quantile(0.5) == pytest.approx(100, rel=0.011)

    def test_of_bounds_beyond_the_range_stays_within_it(self) -> None:
        histogram = explicit([MAX_VALUE * 4, MAX_VALUE * 8], [0, 3, 2], None)

        assert set(histogram.counts) == {MAX_INDEX}
        assert histogram.maximum is not None
        assert histogram.maximum <= MAX_VALUE

    @pytest.mark.parametrize(
        ("bounds", "counts", "message"),
        [
            ([1.0, 2.0], [1, 1], "2 bounds need 3 counts"),
            ([2.0, 1.0], [1, 1, 1], "must be finite and ascend"),
            ([1.0, 1.0], [1, 1, 1], "must be finite and ascend"),
            ([1.0, math.inf], [1, 1, 1], r"leave out \+Inf"),
            ([1.0], [1, -1], "negative count"),
            ([], [1], "needs its sum"),
        ],
    )
    def test_that_none_can_be_is_refused_and_adds_nothing(
        self, bounds: list[float], counts: list[int], message: str
    ) -> None:
        histogram = Histogram.of([1])

        with pytest.raises(ValueError, match=message):
            histogram.add_explicit(bounds, counts, None)
        assert histogram == Histogram.of([1])
