"""The arithmetic of rollups: the same figures whatever order events come in and however batches are cut."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.events import InferenceEvent
from metrics.histogram import Histogram
from metrics.rollup import (
    HISTOGRAM_COLUMNS,
    INTEGER_COLUMNS,
    MAX_SUM,
    OUTCOME_COLUMNS,
    RESOLUTIONS,
    SUCCESS_COLUMNS,
    BucketKey,
    GaugeBucket,
    InferenceBucket,
    bucket_at,
    bucket_start,
    rollup_events,
)

START = datetime(2026, 3, 1, 12, 59, 50, tzinfo=UTC)

optional_ms = st.none() | st.floats(0, 100_000).map(lambda value: round(value, 3))
optional_tokens = st.none() | st.integers(0, 200_000)


@st.composite
def events(draw: st.DrawFn) -> InferenceEvent:
    """A request within some minutes, with any fields given or left out."""
    return InferenceEvent(
        timestamp=START + timedelta(microseconds=draw(st.integers(0, 200_000_000))),
        request_id=f"r{draw(st.integers(0, 10**9))}",
        model_name="chatty",
        prompt_tokens=draw(optional_tokens),
        completion_tokens=draw(optional_tokens),
        cached_tokens=draw(optional_tokens),
        reasoning_tokens=draw(optional_tokens),
        response_time_ms=draw(optional_ms),
        queue_time_ms=draw(optional_ms),
        ttft_ms=draw(optional_ms),
        success=draw(st.none() | st.booleans()),
        status_code=draw(st.sampled_from([None, 200, 400, 429, 500, 504])),
        finish_reason=draw(st.sampled_from([None, "stop", "length", "tool_calls", "content_filter", "strange"])),
        stream=draw(st.none() | st.booleans()),
        cost_usd=draw(st.none() | st.floats(0, 100)),
    )


placed = st.lists(st.tuples(events(), st.integers(1, 3)), max_size=25)


def all_resolutions(at: datetime) -> tuple[int, ...]:
    return RESOLUTIONS


def contents(buckets: dict[BucketKey, InferenceBucket]) -> dict[BucketKey, Any]:
    """The buckets as values that compare."""
    return {key: (bucket.integers, bucket.histograms) for key, bucket in buckets.items()}


def merged(parts: Iterable[dict[BucketKey, InferenceBucket]]) -> dict[BucketKey, InferenceBucket]:
    """As the store adds buckets to those that it holds."""
    total: dict[BucketKey, InferenceBucket] = {}
    for part in parts:
        for (resolution, start, series), bucket in part.items():
            bucket_at(total, resolution, start, series).merge(bucket)
    return total


class TheBucketsOfRequests:
    @given(placed, st.randoms(use_true_random=False))
    def test_do_not_depend_on_the_order(self, batch: list[Any], chance: random.Random) -> None:
        mixed = list(batch)
        chance.shuffle(mixed)

        assert contents(rollup_events(mixed, all_resolutions)) == contents(rollup_events(batch, all_resolutions))

    @given(placed, st.lists(st.integers(0, 25), max_size=5), st.randoms(use_true_random=False))
    def test_do_not_depend_on_how_the_batch_was_cut(
        self, batch: list[Any], cuts: list[int], chance: random.Random
    ) -> None:
        edges = [0, *sorted(cuts), len(batch)]
        parts = [rollup_events(batch[start:end], all_resolutions) for start, end in pairwise(edges)]
        chance.shuffle(parts)

        assert contents(merged(parts)) == contents(rollup_events(batch, all_resolutions))

    @given(placed)
    def test_count_each_request_once_at_every_resolution(self, batch: list[Any]) -> None:
        buckets = rollup_events(batch, all_resolutions)

        for resolution in RESOLUTIONS:
            found: Counter[int] = Counter()
            for (own, _, series), bucket in buckets.items():
                if own == resolution:
                    found[series] += bucket.requests
            assert found == Counter(series for _, series in batch)

    @given(placed)
    def test_hold_the_requests_of_their_time(self, batch: list[Any]) -> None:
        for (resolution, start, series), bucket in rollup_events(batch, all_resolutions).items():
            inside = [
                event
                for event, own in batch
                if own == series and start <= event.timestamp.timestamp() < start + resolution
            ]
            assert start % resolution == 0
            assert bucket.requests == len(inside)
            assert bucket.integers["prompt_tokens"] == sum(event.prompt_tokens or 0 for event in inside)
            times = [event.response_time_ms for event in inside if event.success and event.response_time_ms is not None]
            assert bucket.histograms.get("response_time_ms", Histogram()) == Histogram.of(times)

    def test_are_only_those_that_are_still_kept(self) -> None:
        old = InferenceEvent(timestamp=START - timedelta(days=1), request_id="old", model_name="m")
        new = InferenceEvent(timestamp=START, request_id="new", model_name="m")

        buckets = rollup_events([(old, 1), (new, 1)], lambda at: (3600,) if at < START else RESOLUTIONS)

        assert sorted(resolution for resolution, _, _ in buckets) == [1, 60, 3600, 3600]

    def test_are_none_of_what_no_resolution_keeps(self) -> None:
        event = InferenceEvent(timestamp=START, request_id="r", model_name="m")

        assert rollup_events([(event, 1)], lambda at: ()) == {}


def bucket_of(**fields: Any) -> InferenceBucket:
    event = InferenceEvent(timestamp=START, request_id="r", model_name="m", **fields)
    return rollup_events([(event, 1)], lambda at: (1,)).popitem()[1]


def counts(bucket: InferenceBucket) -> dict[str, int]:
    return {name: value for name, value in bucket.integers.items() if value}


class ARequest:
    def test_is_counted_by_outcome_finish_and_stream(self) -> None:
        bucket = bucket_of(stream=True, finish_reason="length", cost_usd=0.25)

        assert counts(bucket) == {"ok": 1, "finish_length": 1, "streamed": 1, "cost_nanodollars": 250_000_000}

    def test_without_a_price_is_counted_as_such(self) -> None:
        assert counts(bucket_of())["unpriced_requests"] == 1
        assert "unpriced_requests" not in counts(bucket_of(cost_usd=0.0))

    def test_adds_its_tokens_as_sums_and_as_histograms(self) -> None:
        bucket = bucket_of(prompt_tokens=100, completion_tokens=20, cached_tokens=60, reasoning_tokens=5)

        assert counts(bucket) | {"ok": 1} == counts(bucket)
        assert {name: bucket.integers[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")} == {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
        }
        assert bucket.histograms["prompt_tokens_histogram"] == Histogram.of([100])
        assert bucket.histograms["completion_tokens_histogram"] == Histogram.of([20])

    def test_that_succeeded_adds_its_times_and_its_speed(self) -> None:
        bucket = bucket_of(response_time_ms=1_000, queue_time_ms=100, ttft_ms=300, completion_tokens=71)

        assert set(SUCCESS_COLUMNS) <= set(bucket.histograms)
        assert bucket.histograms["processing_time_ms"] == Histogram.of([900])
        assert "failed_response_time_ms" not in bucket.histograms

    def test_that_failed_adds_its_time_apart_and_its_tokens_with_the_others(self) -> None:
        bucket = bucket_of(success=False, status_code=504, response_time_ms=30_000, prompt_tokens=9)

        assert set(bucket.histograms) == {"failed_response_time_ms", "prompt_tokens_histogram"}
        assert bucket.integers["timeout"] == 1
        assert bucket.integers["ok"] == 0

    def test_without_times_leaves_the_histograms_out(self) -> None:
        assert bucket_of().histograms == {}

    def test_fills_known_columns_only(self) -> None:
        bucket = bucket_of(response_time_ms=5, completion_tokens=3, finish_reason="stop")

        assert tuple(bucket.integers) == INTEGER_COLUMNS
        assert set(bucket.histograms) <= set(HISTOGRAM_COLUMNS)


class AFailureByItself:
    def test_is_counted_and_taken_back_exactly(self) -> None:
        bucket = bucket_of()
        before = dict(bucket.integers)

        bucket.count_failure("server_error")
        assert bucket.requests == 2
        bucket.count_failure("server_error", -1)

        assert bucket.integers == before

    def test_that_is_taken_back_in_another_batch_leaves_the_stored_count(self) -> None:
        stored, correction = InferenceBucket(), InferenceBucket()
        stored.count_failure("server_error", 3)
        correction.count_failure("server_error", -1)

        stored.merge(correction)

        assert stored.integers["server_error"] == 2


class AMergeOfBuckets:
    def test_stays_within_what_a_column_holds(self) -> None:
        bucket, other = InferenceBucket(), InferenceBucket()
        bucket.integers["prompt_tokens"] = MAX_SUM - 1
        other.integers["prompt_tokens"] = 5
        other.integers["ok"] = -5

        bucket.merge(other)

        assert bucket.integers["prompt_tokens"] == MAX_SUM
        assert bucket.integers["ok"] == 0

    def test_leaves_the_other_as_it_was(self) -> None:
        left, right = InferenceBucket(), bucket_of(response_time_ms=5)
        left.merge(right)
        left.merge(bucket_of(response_time_ms=7))

        assert right.histograms["response_time_ms"] == Histogram.of([5])
        assert right.requests == 1

    def test_counts_all_outcomes(self) -> None:
        bucket = InferenceBucket()
        for outcome in OUTCOME_COLUMNS:
            bucket.count_failure(outcome)

        assert bucket.requests == len(OUTCOME_COLUMNS)


class TheStartOfABucket:
    @given(st.floats(0, 4e9), st.sampled_from(RESOLUTIONS))
    def test_is_a_whole_multiple_at_or_before_the_time(self, at: float, resolution: int) -> None:
        start = bucket_start(at, resolution)

        assert start % resolution == 0
        assert start <= at < start + resolution

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    def test_nests(self, resolution: int) -> None:
        at = 1_772_369_999.999_999

        assert bucket_start(bucket_start(at, 1), resolution) == bucket_start(at, resolution)


samples = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 50)), min_size=1, max_size=30)


def gauge(sample: list[tuple[float, int]]) -> GaugeBucket:
    bucket = GaugeBucket.of(*sample[0])
    for one in sample[1:]:
        bucket.merge(GaugeBucket.of(*one))
    return bucket


class AGaugeBucket:
    @given(samples)
    def test_holds_count_sum_extremes_and_the_latest(self, sample: list[tuple[float, int]]) -> None:
        bucket = gauge(sample)

        values = [value for value, _ in sample]
        latest = max(at for _, at in sample)
        assert (bucket.count, bucket.min, bucket.max) == (len(values), min(values), max(values))
        assert bucket.sum == pytest.approx(sum(values), abs=1e-6)
        assert bucket.last_at == latest
        assert bucket.last == max(value for value, at in sample if at == latest)

    @given(samples, st.integers(0, 30), st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order_or_on_how_it_was_cut(
        self, sample: list[tuple[float, int]], cut: int, chance: random.Random
    ) -> None:
        mixed = list(sample)
        chance.shuffle(mixed)
        parts = [gauge(part) for part in (mixed[:cut], mixed[cut:]) if part]
        chance.shuffle(parts)
        both = parts[0]
        for part in parts[1:]:
            both.merge(part)

        whole = gauge(sample)
        assert (both.count, both.min, both.max, both.last, both.last_at) == (
            whole.count,
            whole.min,
            whole.max,
            whole.last,
            whole.last_at,
        )
        assert both.sum == pytest.approx(whole.sum, abs=1e-6)
