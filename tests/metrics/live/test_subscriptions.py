"""Distinct subscriptions, and which buckets a tick answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
    to_send,
)
from metrics.queries import BadQuery
from metrics.queries.time.window import at_second

NOW = datetime(2026, 3, 1, 12, 0, 30, 500_000, tzinfo=UTC)
NOW_S = int(NOW.timestamp())


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

    def test_that_name_other_groups_have_one_each(self) -> None:
        cpu = {"metric": "system.cpu_percent", "group_by": ["host"]}
        of_a, of_b = (parse({"step": 10, "series": [cpu | {"groups": [host]}]}, NOW) for host in "ab")
        assert of_a.specs[0].groups == ("a",)
        assert of_a.key != of_b.key

    @pytest.mark.parametrize(
        "series",
        [
            {"metric": "response_time_ms", "group_by": ["model"]},
            {"metric": "system.cpu_percent"},
            {"metric": "gpu.temperature", "group_by": ["host", "gpu"]},
        ],
    )
    def test_name_groups_of_gauges_by_one_label_alone(self, series: dict[str, Any]) -> None:
        with pytest.raises(BadQuery, match="groups"):
            parse({"step": 10, "series": [series | {"groups": ["a"]}]}, NOW)

    @pytest.mark.parametrize("other", [{"model": "b"}, {"step": 60}])
    def test_that_ask_otherwise_have_one_each(self, other: dict[str, Any]) -> None:
        assert subscription().key != subscription(**other).key


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
        window = to_send(10, NOW).window
        assert [window.start.second, window.end.second] == [20, 31]

    def test_reaches_back_for_events_that_were_committed_late(self) -> None:
        assert to_send(1, NOW).window.seconds == LOOK_BACK_SECONDS + 1

    def test_reaches_back_to_the_tick_that_was_answered_before(self) -> None:
        assert to_send(1, NOW, NOW_S - 20).window.start_s == NOW_S - 20 - LOOK_BACK_SECONDS

    @pytest.mark.parametrize(("step", "late_by", "start"), [(1, 45, 45), (1, 60, 60), (10, 95, 100), (10, 600, 600)])
    def test_reaches_back_to_the_bucket_of_a_late_event(self, step: int, late_by: int, start: int) -> None:
        sent = to_send(step, NOW, NOW_S - 1, NOW_S - late_by)
        assert (sent.window.start_s, sent.reread_from) == (NOW_S - start, None)

    @pytest.mark.parametrize(("step", "late_by", "start"), [(1, 61, 61), (10, 601, 610), (10, 86_400, 86_400)])
    def test_does_not_reach_back_to_an_older_event_but_names_its_bucket(
        self, step: int, late_by: int, start: int
    ) -> None:
        sent = to_send(step, NOW, NOW_S - 1, NOW_S - late_by)
        assert sent.window == to_send(step, NOW, NOW_S - 1).window
        assert sent.reread_from == at_second(NOW_S - start)

    def test_names_the_first_bucket_that_was_missed_while_no_tick_was_answered(self) -> None:
        sent = to_send(1, NOW, NOW_S - 100)
        assert sent.window.start_s == NOW_S - MAX_CATCH_UP_POINTS
        assert sent.reread_from == at_second(NOW_S - 100 - LOOK_BACK_SECONDS)

    @given(
        step=st.sampled_from([1, 2, 5, 10, 60, 300, 3600]),
        seconds=st.integers(1_700_000_000, 1_900_000_000),
        gap=st.none() | st.integers(-5, 100_000),
        late_by=st.none() | st.integers(-5, 100_000),
    )
    def test_begins_at_a_bucket_holds_the_closed_one_and_is_bounded(
        self, step: int, seconds: int, gap: int | None, late_by: int | None
    ) -> None:
        since = None if gap is None else seconds - gap
        changed_s = None if late_by is None else seconds - late_by
        window, reread_from = to_send(step, datetime.fromtimestamp(seconds, UTC), since, changed_s)
        assert window.start_s % step == 0
        assert window.start_s <= seconds // step * step - step
        assert window.end_s == seconds + 1
        assert window.seconds <= (MAX_CATCH_UP_POINTS + 1) * step
        for changed in (since, changed_s):
            assert changed is None or reread_from is not None or window.start_s <= changed
        assert reread_from is None or reread_from < window.start
