"""The hot ring of ticks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.core.cache import caches

from metrics.live import ring

pytestmark = pytest.mark.live
NOW = 1_800_000_000


@pytest.fixture(autouse=True)
def empty_ring() -> Iterator[None]:
    caches["ring"].clear()
    yield
    caches["ring"].clear()


def tick(seq: int, **more: Any) -> dict[str, Any]:
    return {"type": "tick", "seq": seq, "at": f"at {seq}", "overall": {"in_flight": seq}, "models": {}} | more


def fill(seconds: range) -> None:
    for seq in seconds:
        ring.put(tick(seq))


class ATicksSecond:
    def test_is_claimed_by_the_first_who_asks(self) -> None:
        assert ring.claim(NOW)
        assert not ring.claim(NOW)
        assert ring.claim(NOW + 1)


class ATask:
    def test_is_held_by_one_until_its_end(self) -> None:
        with ring.held("a", 30) as first, ring.held("a", 30) as second, ring.held("b", 30) as other:
            assert (first, second, other) == (True, False, True)
            with ring.held("a", 30) as third:
                assert not third

        with ring.held("a", 30) as next_one:
            assert next_one


class TheRing:
    def test_is_empty_at_first(self) -> None:
        assert ring.latest() is None
        assert ring.latest_seq() is None
        assert ring.history() == []
        assert ring.since(NOW) is None

    def test_answers_the_newest_tick_as_it_was_put(self) -> None:
        fill(range(NOW, NOW + 3))
        assert ring.latest() == tick(NOW + 2)
        assert ring.latest_encoded() == ring.encode(tick(NOW + 2))

    def test_answers_the_ticks_after_a_second_in_their_order(self) -> None:
        fill(range(NOW, NOW + 5))
        assert [orjson.loads(one) for one in ring.since(NOW + 2) or ()] == [tick(NOW + 3), tick(NOW + 4)]
        assert ring.since(NOW + 4) == []

    def test_says_when_some_may_be_gone(self) -> None:
        fill(range(NOW, NOW + 5))
        assert ring.since(NOW - 1) is None
        assert ring.since(NOW - 5_000) is None

    def test_says_so_of_a_tick_that_it_did_not_keep(self) -> None:
        fill(range(NOW, NOW + 5))
        assert ring.since(NOW + 5) is None  # and so not what followed it either
        caches["ring"].delete(f"tick:{(NOW + 4) % ring.SLOTS}")
        assert ring.since(NOW + 2) is None
        assert ring.since(NOW + 4) is None

    def test_leaves_a_second_out_that_had_no_tick(self) -> None:
        fill(range(NOW, NOW + 2))
        fill(range(NOW + 3, NOW + 5))
        assert [orjson.loads(one)["seq"] for one in ring.since(NOW) or ()] == [NOW + 1, NOW + 3, NOW + 4]

    def test_keeps_a_tick_that_is_late_but_not_as_the_newest(self) -> None:
        fill(range(NOW, NOW + 3))
        for late in (NOW + 5, NOW + 4):
            ring.put(tick(late))
        assert ring.latest() == tick(NOW + 5)
        assert [orjson.loads(one)["seq"] for one in ring.since(NOW) or ()] == [NOW + 1, NOW + 2, NOW + 4, NOW + 5]

    def test_goes_back_with_a_clock_that_was_set_back(self) -> None:
        fill(range(NOW, NOW + 3))
        fill(range(NOW - 3_600, NOW - 3_597))
        assert ring.latest() == tick(NOW - 3_598)

    def test_keeps_fifteen_minutes_and_grows_no_further(self) -> None:
        fill(range(NOW, NOW + 1_000))
        kept = ring.since(NOW + 999 - ring.SECONDS)
        assert kept is not None
        assert len(kept) == ring.SECONDS
        assert ring.since(NOW + 999 - ring.SECONDS - 1) is None

    def test_answers_no_more_at_once_than_its_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ring, "BACKFILL_BYTES", 10_000)
        fill(range(NOW, NOW + 10))
        assert ring.since(NOW) is not None
        fill(range(NOW + 10, NOW + 300))
        assert ring.since(NOW) is None

    def test_has_the_brief_form_of_five_minutes(self) -> None:
        fill(range(NOW, NOW + 400))
        briefs = [orjson.loads(one) for one in ring.history()]
        assert [one["seq"] for one in briefs] == list(range(NOW + 100, NOW + 400))
        assert briefs[0] == {"seq": NOW + 100, "at": f"at {NOW + 100}", "overall": {"in_flight": NOW + 100}}


class AnEncodedTick:
    def test_has_null_for_what_is_no_number(self) -> None:
        assert ring.encode({"a": float("nan"), "b": float("inf"), 3: 1}) == b'{"a":null,"b":null,"3":1}'
