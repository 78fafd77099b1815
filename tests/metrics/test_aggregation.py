"""The arithmetic of rollups: however events are cut into batches, the buckets are the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metrics.aggregation import (
    HISTOGRAM_COLUMNS,
    INTEGER_COLUMNS,
    KEY_LENGTH,
    MAX_SUM,
    RESOLUTIONS,
    FailureCount,
    GaugeBucket,
    Row,
    bucket_start,
    merge_rows,
    rollup_rows,
)
from metrics.events import InferenceEvent
from metrics.events.types import MAX_TOKENS
from metrics.histogram import Histogram

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NOW_S = int(AT.timestamp())
ALL = dict.fromkeys(RESOLUTIONS, 0)  # the floors of a store that keeps everything
HOURS = {1: 2**40, 60: 2**40, 3600: 0}  # those of a store that keeps hours only


def event(**fields: Any) -> InferenceEvent:
    return InferenceEvent(**{"timestamp": AT, "request_id": "r", "model_name": "m"} | fields)


def contents(row: Row) -> dict[str, Any]:
    """The columns of a row that are not empty, with unpacked histograms."""
    integers, blobs = row[KEY_LENGTH : KEY_LENGTH + len(INTEGER_COLUMNS)], row[KEY_LENGTH + len(INTEGER_COLUMNS) :]
    columns = dict(zip(INTEGER_COLUMNS, integers, strict=True))
    columns |= {name: Histogram.unpack(blob) for name, blob in zip(HISTOGRAM_COLUMNS, blobs, strict=True) if blob}
    return {name: value for name, value in columns.items() if value}


def of(*events: InferenceEvent) -> dict[str, Any]:
    """The hour's bucket of some requests of one series."""
    (row,) = rollup_rows([(one, 7) for one in events], [], HOURS)
    assert row[:KEY_LENGTH] == (3600, NOW_S, 7)
    return contents(row)


def with_columns(**columns: int) -> Row:
    """A row of the hour with these integers."""
    return (3600, NOW_S, 7, *(columns.get(name, 0) for name in INTEGER_COLUMNS), *[b""] * len(HISTOGRAM_COLUMNS))


class ARow:
    def test_begins_at_a_whole_multiple_of_its_resolution(self) -> None:
        assert [bucket_start(7_322.9, resolution) for resolution in RESOLUTIONS] == [7_322, 7_320, 7_200]
        assert bucket_start(-0.5, 60) == -60

    def test_holds_times_of_successes_apart_from_those_of_failures(self) -> None:
        row = of(event(response_time_ms=100.0, ttft_ms=5.0), event(response_time_ms=9.0, status_code=500))
        assert row["response_time_ms"] == Histogram.of([100.0])
        assert row["failed_response_time_ms"] == Histogram.of([9.0])
        assert row["ttft_ms"] == Histogram.of([5.0])
        assert (row["ok"], row["server_error"]) == (1, 1)

    def test_holds_tokens_of_all_requests(self) -> None:
        row = of(event(prompt_tokens=3), event(prompt_tokens=5, success=False), event(completion_tokens=0))
        assert row["prompt_tokens_histogram"] == Histogram.of([3, 5])
        assert row["completion_tokens_histogram"] == Histogram.of([0])
        assert (row["prompt_tokens"], row["total_tokens"]) == (8, 8)

    def test_adds_up_money_in_whole_nanodollars(self) -> None:
        row = of(*(event(cost_usd=0.1) for _ in range(10)), event())
        assert (row["cost_nanodollars"], row["unpriced_requests"]) == (10**9, 1)

    def test_counts_the_most_tokens_that_a_request_may_have_as_they_are(self) -> None:
        row = of(event(prompt_tokens=MAX_TOKENS), event(prompt_tokens=MAX_TOKENS))
        assert row["prompt_tokens"] == row["prompt_tokens_histogram"].sum == 2 * MAX_TOKENS
        assert 10**6 * row["prompt_tokens"] < MAX_SUM

    def test_is_written_at_each_resolution_whose_floor_is_not_later(self) -> None:
        old = event(timestamp=AT - timedelta(days=1))
        rows = rollup_rows([(event(), 7), (old, 7)], [], {1: NOW_S, 60: NOW_S, 3600: NOW_S - 86_400})
        keys = {row[:KEY_LENGTH] for row in rows}
        assert keys == {(1, NOW_S, 7), (60, NOW_S, 7), (3600, NOW_S, 7), (3600, NOW_S - 86_400, 7)}

    def test_holds_all_requests_whose_bucket_is_not_below_the_floor(self) -> None:
        sent = [(event(timestamp=AT + timedelta(seconds=seconds), prompt_tokens=3), 7) for seconds in (0, 30)]
        rows = rollup_rows(sent, [], {1: NOW_S + 30, 60: NOW_S, 3600: NOW_S})
        added = [(row[0], contents(row)["ok"], contents(row)["prompt_tokens_histogram"].count) for row in rows]
        assert added == [(1, 1, 1), (60, 2, 2), (3600, 2, 2)]

    def test_is_not_written_below_all_floors(self) -> None:
        assert rollup_rows([(event(), 7)], [], dict.fromkeys(RESOLUTIONS, NOW_S + 3600)) == []


class AFailureOfWhichOnlyTheErrorIsKnown:
    def test_is_counted_and_taken_back_in_the_same_buckets(self) -> None:
        count = FailureCount(7, NOW_S, "server_error", 1)
        added = rollup_rows([], [count], ALL)
        assert [(row[0], contents(row)) for row in added] == [
            (r, {"server_error": 1, "unpriced_requests": 1}) for r in RESOLUTIONS
        ]
        assert merge_rows([*added, *rollup_rows([], [count._replace(number=-1)], ALL)]) == []

    def test_is_counted_at_each_resolution_whose_floor_is_not_later(self) -> None:
        floors = {1: NOW_S, 60: NOW_S + 60, 3600: NOW_S}
        assert [row[0] for row in rollup_rows([], [FailureCount(7, NOW_S, "timeout", 1)], floors)] == [1, 3600]

    def test_is_not_taken_back_where_it_may_not_be_counted(self) -> None:
        assert [row[0] for row in rollup_rows([], [FailureCount(7, NOW_S, "timeout", -1)], HOURS)] == [3600]

    def test_is_in_the_row_of_the_requests_of_its_bucket(self) -> None:
        (row,) = rollup_rows([(event(), 7)], [FailureCount(7, NOW_S, "timeout", 1)], HOURS)
        assert (contents(row)["ok"], contents(row)["timeout"]) == (1, 1)

    def test_that_moves_to_another_outcome_leaves_the_new_one(self) -> None:
        counts = [FailureCount(7, NOW_S, "server_error", -1), FailureCount(7, NOW_S, "timeout", 1)]
        assert contents(rollup_rows([], counts, HOURS)[0]) == {"server_error": -1, "timeout": 1}


class AMerge:
    def test_stays_at_the_largest_sum_that_a_column_holds(self) -> None:
        for more in (1, 2**40):
            (row,) = merge_rows([with_columns(prompt_tokens=MAX_SUM), with_columns(prompt_tokens=more)])
            assert contents(row) == {"prompt_tokens": MAX_SUM}

    def test_of_nothing_is_nothing(self) -> None:
        assert merge_rows([]) == []


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
    def test_give_the_same_sums_as_all_at_once(self, sent: list[Any], cut: int) -> None:
        whole = rollup_rows(sent, [], ALL)
        parts = [*rollup_rows(sent[:cut], [], ALL), *rollup_rows(sent[:cut:-1] + sent[cut : cut + 1], [], ALL)]
        assert merge_rows(parts) == merge_rows(whole) == sorted(whole)
        for resolution in RESOLUTIONS:
            columns = [contents(row) for row in whole if row[0] == resolution]
            outcomes = ("ok", "client_error", "rate_limited", "server_error", "timeout", "cancelled")
            assert sum(row.get(outcome, 0) for row in columns for outcome in outcomes) == len(sent)


class AGauge:
    @given(st.permutations([(1.0, 30), (5.0, 10), (2.0, 20), (4.0, 30)]))
    def test_is_the_same_in_any_order(self, samples: list[tuple[float, int]]) -> None:
        total = GaugeBucket.of(*samples[0])
        for sample in samples[1:]:
            total.merge(GaugeBucket.of(*sample))
        assert total == GaugeBucket(count=4, sum=12.0, min=1.0, max=5.0, last=4.0, last_at=30)
