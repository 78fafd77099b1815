"""Playing a trace: what is sent for a request, when, and that nothing is sent twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from metrics.events.types import MODELLED_KEY
from metrics.traffic.replay.formats import TracedRequest
from metrics.traffic.replay.latency import modelled_latency
from metrics.traffic.replay.player import Plan, Played, event, play, run_name

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Sink:
    """Takes what a sender is given."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.batches: list[tuple[float, list[dict[str, Any]]]] = []

    def post(self, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
        assert path == "/track/inference"
        self.batches.append((self.clock.now, events))
        return {"accepted": len(events), "duplicates": 0, "rejected": []}

    @property
    def events(self) -> list[dict[str, Any]]:
        return [one for _, batch in self.batches for one in batch]


def trace(*offsets: float) -> Iterator[TracedRequest]:
    return (TracedRequest(offset, 100, 10) for offset in offsets)


def run(requests: Iterator[TracedRequest], plan: Plan) -> Sink:
    clock = Clock()
    sink = Sink(clock)
    play(requests, plan, sink, clock=clock, sleep=clock.sleep)  # type: ignore[arg-type]
    return sink


class ATraceThatIsPlayed:
    @pytest.mark.parametrize(("speed", "expected"), [(1.0, [0, 10, 60]), (60.0, [0, 1 / 6, 1]), (0.5, [0, 20, 120])])
    def test_keeps_its_pace_or_a_multiple_of_it(self, speed: float, expected: list[float]) -> None:
        sink = run(trace(0, 10, 60), Plan("m", "run", speed))
        sent = [(at - 1_000, len(batch)) for at, batch in sink.batches]
        times = [at for at, count in sent for _ in range(count)]
        # What is due within a fifth of a second goes out together.
        assert times == pytest.approx(expected, abs=0.2)

    def test_does_not_wait_at_top_speed(self) -> None:
        sink = run(trace(*range(0, 36_000, 10)), Plan("m", "run", None))
        assert sink.clock.now == 1_000
        assert [len(batch) for _, batch in sink.batches] == [1_000, 1_000, 1_000, 600]

    def test_keeps_its_own_spacing_from_a_given_start_whatever_its_speed(self) -> None:
        sink = run(trace(0, 0.5, 3_600), Plan("m", "run", None, START))
        assert [one["timestamp"] for one in sink.events] == [
            "2026-03-01T12:00:00+00:00",
            "2026-03-01T12:00:00.500000+00:00",
            "2026-03-01T13:00:00+00:00",
        ]

    def test_is_stamped_at_sending_without_a_start(self) -> None:
        sink = run(trace(0, 10), Plan("m", "run", 1.0))
        assert [datetime.fromisoformat(one["timestamp"]).timestamp() for one in sink.events] == [1_000, 1_010]

    def test_gives_each_request_an_id_of_its_own_that_a_second_play_repeats(self) -> None:
        first, second = (run(trace(0, 0, 1), Plan("m", "run", None, START)).events for _ in range(2))
        assert first == second
        assert len({one["request_id"] for one in first}) == 3

    def test_tells_what_became_of_it(self) -> None:
        class Refusing(Sink):
            def post(self, path: str, events: list[dict[str, Any]]) -> dict[str, Any]:
                return {
                    "accepted": 1,
                    "duplicates": 1,
                    "rejected": [{"index": 0, "field": "timestamp", "error": "old"}],
                }

        told: list[Played] = []
        played = play(trace(0, 0, 0), Plan("m", "run", None), Refusing(), progress=told.append)  # type: ignore[arg-type]
        assert played == Played(sent=3, accepted=1, duplicates=1, rejected=1, first_error="old")
        assert told == [played]


class ARequestOfATrace:
    def plan(self) -> Plan:
        return Plan("trace", "run", None, START)

    def test_without_a_latency_gets_a_modelled_one_and_says_so(self) -> None:
        body = event(TracedRequest(0, 1_400, 11), 7, self.plan(), 0)
        modelled = modelled_latency(1_400, 11, 7)
        assert (body["response_time_ms"], body["ttft_ms"]) == (modelled.response_time_ms, modelled.ttft_ms)
        assert body["metadata"] == {MODELLED_KEY: True}
        assert (body["model_name"], body["prompt_tokens"], body["completion_tokens"]) == ("trace", 1_400, 11)
        assert body["success"] is True

    def test_keeps_the_latency_and_the_model_that_it_has(self) -> None:
        body = event(TracedRequest(0, 5, 6, "GPT-4", response_time_ms=1_250), 0, self.plan(), 0)
        assert (body["model_name"], body["response_time_ms"]) == ("GPT-4", 1_250)
        assert "metadata" not in body
        assert "ttft_ms" not in body

    def test_that_failed_is_sent_as_a_failure_without_an_invented_latency(self) -> None:
        body = event(TracedRequest(0, 5, 0, "GPT-4", failed=True), 0, self.plan(), 0)
        assert body["success"] is False
        assert body["error_type"]
        assert "response_time_ms" not in body


class TheModelledLatency:
    def test_is_the_same_for_the_same_place_and_differs_between_places(self) -> None:
        assert modelled_latency(2_000, 30, 4) == modelled_latency(2_000, 30, 4)
        assert modelled_latency(2_000, 30, 4) != modelled_latency(2_000, 30, 5)

    def test_grows_with_the_prompt_and_with_the_answer(self) -> None:
        short, long = modelled_latency(100, 10, 1), modelled_latency(7_000, 10, 1)
        assert long.ttft_ms > 5 * short.ttft_ms
        assert modelled_latency(100, 100, 1).response_time_ms > 5 * short.response_time_ms

    def test_follows_its_documented_formula_on_average(self) -> None:
        found = [modelled_latency(1_400, 11, place) for place in range(2_000)]
        # 35 ms + 1,400 / 7,000 s, then ten tokens of 30 ms; the spread of 0.18 lifts a mean by e^(0.18²/2), 1.6 %.
        assert sum(one.ttft_ms for one in found) / 2_000 == pytest.approx(235 * 1.016, rel=0.02)
        assert sum(one.response_time_ms for one in found) / 2_000 == pytest.approx(535 * 1.016, rel=0.02)

    def test_of_one_token_is_its_first_token(self) -> None:
        one = modelled_latency(100, 1, 3)
        assert one.response_time_ms == one.ttft_ms


class TheNameOfARun:
    def test_is_the_same_for_the_same_file_and_start(self) -> None:
        assert run_name("/a.csv", START, 1.0) == run_name("/a.csv", START, 2.0)
        assert run_name("/a.csv", START, 1.0) != run_name("/b.csv", START, 1.0)

    def test_is_new_each_time_without_a_start(self) -> None:
        assert run_name("/a.csv", None, 1.0) != run_name("/a.csv", None, 2.0)
