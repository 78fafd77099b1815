"""Distinct subscriptions, and which buckets a tick answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.live.subscriptions import (
    LOOK_BACK_SECONDS,
    MAX_CATCH_UP_POINTS,
    Subscription,
    Subscriptions,
    TooManySubscriptions,
    parse,
    window_of,
)

NOW = datetime(2026, 3, 1, 12, 0, 30, 500_000, tzinfo=UTC)


def subscription(model: str = "a", step: int = 10) -> Subscription:
    series = [{"metric": "response_time_ms", "stat": "p95"}]
    return parse({"filters": {"model": [model]}, "step": step, "series": series}, NOW)


class TheSubscriptionsOfTwoPages:
    def test_that_ask_the_same_share_a_subscription(self) -> None:
        short = {"filters": {"model": "a"}, "step": 10, "series": [{"metric": "response_time_ms"}] * 2}
        full = {
            "type": "subscribe",
            "step": 10,
            "series": [{"metric": "inference.response_time_ms", "stat": "p95", "group_by": []}],
            "filters": {"model": ["a"]},
        }
        assert parse(short, NOW) == parse(full, NOW)

    @pytest.mark.parametrize("other", [subscription("b"), subscription(step=60)])
    def test_that_ask_otherwise_have_one_each(self, other: Subscription) -> None:
        assert subscription().key != other.key


class TheSubscriptions:
    def test_are_bounded_by_how_many_are_distinct(self) -> None:
        held = Subscriptions(limit=2)
        for model in ("a", "b", "a"):
            held.add(subscription(model))
        with pytest.raises(TooManySubscriptions):
            held.add(subscription("c"))
        assert len(held) == 2

    def test_stay_until_the_last_page_has_gone(self) -> None:
        held = Subscriptions(limit=1)
        held.add(subscription())
        held.add(subscription())
        held.discard(subscription())
        assert list(held) == [subscription()]
        held.discard(subscription())
        assert list(held) == []
        held.add(subscription("b"))


class TheWindowOfATick:
    def test_holds_the_newest_closed_and_the_open_bucket(self) -> None:
        window = window_of(10, NOW, None)
        assert [window.start.second, window.end.second] == [20, 31]

    def test_reaches_back_for_events_that_were_committed_late(self) -> None:
        window = window_of(1, NOW, None)
        assert window.seconds == LOOK_BACK_SECONDS + 1

    def test_reaches_back_to_the_tick_that_was_answered_before(self) -> None:
        at = int(NOW.timestamp())
        assert window_of(1, NOW, at - 20).start_s == at - 20 - LOOK_BACK_SECONDS

    @given(
        step=st.sampled_from([1, 2, 5, 10, 60, 300, 3600]),
        seconds=st.integers(1_700_000_000, 1_900_000_000),
        gap=st.none() | st.integers(-5, 100_000),
    )
    def test_begins_at_a_bucket_holds_the_closed_one_and_is_bounded(
        self, step: int, seconds: int, gap: int | None
    ) -> None:
        window = window_of(step, datetime.fromtimestamp(seconds, UTC), None if gap is None else seconds - gap)
        assert window.start_s % step == 0
        assert window.start_s <= seconds // step * step - step
        assert window.end_s == seconds + 1
        assert window.seconds <= (MAX_CATCH_UP_POINTS + 1) * step
