"""The arithmetic of rollups: however events are cut into batches, the buckets are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metrics.aggregation import (
    MAX_SUM,
    RESOLUTIONS,
    GaugeBucket,
    InferenceBucket,
    bucket_at,
    bucket_start,
    rollup_events,
)
from metrics.events import InferenceEvent
from metrics.events.types import MAX_TOKENS
from metrics.histogram import Histogram

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def event(**fields: Any) -> InferenceEvent:
    return InferenceEvent(**{"timestamp": AT, "request_id": "r", "model_name": "m"} | fields)


def of(*events: InferenceEvent) -> InferenceBucket:
    """The hour's bucket of some requests of one series."""
    return rollup_events(((one, 7) for one in events), lambda at: (3600,))[3600, int(AT.timestamp()), 7]


def contents(bucket: InferenceBucket) -> tuple[dict[str, int], dict[str, Histogram]]:
    return bucket.integers, bucket.histograms


class ABucket:
    def test_begins_at_a_whole_multiple_of_its_resolution(self) -> None:
        assert [bucket_start(7_322.9, resolution) for resolution in RESOLUTIONS] == [7_322, 7_320, 7_200]
        assert bucket_start(-0.5, 60) == -60

    def test_holds_times_of_successes_apart_from_those_of_failures(self) -> None:
        bucket = of(event(response_time_ms=100.0, ttft_ms=5.0), event(response_time_ms=9.0, status_code=500))
        assert bucket.histograms["response_time_ms"] == Histogram.of([100.0])
        assert bucket.histograms["failed_response_time_ms"] == Histogram.of([9.0])
        assert bucket.histograms["ttft_ms"] == Histogram.of([5.0])
        assert (bucket.requests, bucket.integers["ok"], bucket.integers["server_error"]) == (2, 1, 1)

    def test_holds_tokens_of_all_requests(self) -> None:
        bucket = of(event(prompt_tokens=3), event(prompt_tokens=5, success=False), event(completion_tokens=0))
        assert bucket.histograms["prompt_tokens_histogram"] == Histogram.of([3, 5])
        assert bucket.histograms["completion_tokens_histogram"] == Histogram.of([0])
        assert (bucket.integers["prompt_tokens"], bucket.integers["total_tokens"]) == (8, 8)

    def test_adds_up_money_in_whole_nanodollars(self) -> None:
        bucket = of(*(event(cost_usd=0.1) for _ in range(10)), event())
        assert (bucket.integers["cost_nanodollars"], bucket.integers["unpriced_requests"]) == (10**9, 1)

    def test_takes_counts_back_and_never_falls_below_nothing(self) -> None:
        total = of(event(status_code=500))
        less = InferenceBucket()
        less.count_failure("server_error", -1)
        total.merge(less)
        assert total.requests == 0
        total.merge(less)
        assert total.requests == 0

    def test_counts_the_most_tokens_that_a_request_may_have_as_they_are(self) -> None:
        total = of(event(prompt_tokens=MAX_TOKENS))
        total.merge(of(event(prompt_tokens=MAX_TOKENS)))
        assert total.integers["prompt_tokens"] == total.histograms["prompt_tokens_histogram"].sum == 2 * MAX_TOKENS
        assert 10**6 * total.integers["prompt_tokens"] < MAX_SUM

    def test_stays_at_the_largest_sum_that_its_column_holds(self) -> None:
        total = InferenceBucket()
        total.integers["prompt_tokens"] = MAX_SUM - 1
        total.merge(of(event(prompt_tokens=2**40)))
        assert total.integers["prompt_tokens"] == MAX_SUM

    def test_keeps_what_it_merged_apart(self) -> None:
        total, part = InferenceBucket(), of(event(response_time_ms=1.0))
        total.merge(part)
        total.merge(of(event(response_time_ms=2.0)))
        assert part.histograms["response_time_ms"] == Histogram.of([1.0])


class TheBucketsOfARequest:
    def test_are_one_for_each_resolution_that_holds_it(self) -> None:
        old = event(timestamp=AT - timedelta(days=1))
        buckets = rollup_events([(event(), 7), (old, 7)], lambda at: (1, 60, 3600) if at == AT else (3600,))
        now, then = int(AT.timestamp()), int(old.timestamp.timestamp())
        assert set(buckets) == {(1, now, 7), (60, now, 7), (3600, now, 7), (3600, then, 7)}

    def test_are_none_where_nothing_holds_it(self) -> None:
        assert rollup_events([(event(), 7)], lambda at: ()) == {}


events = st.builds(
    event,
    timestamp=st.integers(0, 7_300_000).map(lambda ms: AT + timedelta(milliseconds=ms)),
    response_time_ms=st.none() | st.floats(0, 1e6),
    ttft_ms=st.none() | st.floats(0, 1e6),
    prompt_tokens=st.none() | st.integers(0, 10**6),
    cost_usd=st.none() | st.floats(0, 10),
    status_code=st.sampled_from([None, 200, 429, 500]),
    finish_reason=st.sampled_from([None, "stop", "max_tokens", "bogus"]),
    stream=st.none() | st.booleans(),
)


class TheBatches:
    @given(st.lists(st.tuples(events, st.integers(1, 3)), max_size=90), st.integers(0, 90))
    def test_give_the_same_buckets_as_all_at_once(self, sent: list[Any], cut: int) -> None:
        whole = rollup_events(sent, lambda at: RESOLUTIONS)
        parts = rollup_events(sent[:cut], lambda at: RESOLUTIONS)
        for (resolution, start, series), bucket in rollup_events(reversed(sent[cut:]), lambda at: RESOLUTIONS).items():
            bucket_at(parts, resolution, start, series).merge(bucket)
        assert {key: contents(one) for key, one in parts.items()} == {key: contents(one) for key, one in whole.items()}
        for resolution in RESOLUTIONS:
            assert sum(one.requests for key, one in whole.items() if key[0] == resolution) == len(sent)


class AGauge:
    @given(st.permutations([(1.0, 30), (5.0, 10), (2.0, 20), (4.0, 30)]))
    def test_is_the_same_in_any_order(self, samples: list[tuple[float, int]]) -> None:
        total = GaugeBucket.of(*samples[0])
        for sample in samples[1:]:
            total.merge(GaugeBucket.of(*sample))
        assert total == GaugeBucket(count=4, sum=12.0, min=1.0, max=5.0, last=4.0, last_at=30)
