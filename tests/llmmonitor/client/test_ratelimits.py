"""What a provider's rate limit still allows, from the headers of a response to the server's figures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.message import Message
from typing import Any

import pytest

from llmmonitor import LLMMonitor
from llmmonitor.client.in_flight import MAX_MODELS, InFlight
from llmmonitor.client.ratelimits import headroom_of
from tests.support.server import Server

OPENAI = {"x-ratelimit-remaining-requests": "480", "x-ratelimit-remaining-tokens": "92000"}
ANTHROPIC = {
    "Anthropic-RateLimit-Requests-Remaining": "49",
    "Anthropic-RateLimit-Tokens-Remaining": "80000",
    "Anthropic-RateLimit-Input-Tokens-Remaining": "50000",
    "Anthropic-RateLimit-Output-Tokens-Remaining": "8000",
}


def message(headers: dict[str, str]) -> Message:
    built = Message()
    for name, value in headers.items():
        built[name] = value
    return built


class TheHeadroomOfHeaders:
    @pytest.mark.parametrize("form", [dict, message, lambda headers: list(headers.items())])
    def test_is_the_lowest_of_the_limits_that_they_have(self, form: Callable[[dict[str, str]], Any]) -> None:
        assert headroom_of(form(OPENAI)) == {"remaining_requests": 480, "remaining_tokens": 92_000}
        assert headroom_of(form(ANTHROPIC)) == {"remaining_requests": 49, "remaining_tokens": 8_000}
        prefixed = {f"llm_provider-{name}": value for name, value in OPENAI.items()}
        assert headroom_of(form(prefixed)) == {"remaining_requests": 480, "remaining_tokens": 92_000}

    @pytest.mark.parametrize("value", ["", "-1", "1.5", "unlimited", "٣", "9" * 5_000, None, b"5", ["5"]])
    def test_is_unknown_if_a_value_is_no_number(self, value: Any) -> None:
        assert headroom_of({"x-ratelimit-remaining-requests": value}) == {}

    @pytest.mark.parametrize("headers", [None, {}, "text", 5, [1], object()])
    def test_is_unknown_without_headers(self, headers: Any) -> None:
        assert headroom_of(headers) == {}


class TheSamplesOfAProcess:
    def test_have_the_newest_headroom_once(self) -> None:
        queue = InFlight("shop")
        queue.headroom("m", "openai", requests=9, tokens=800)
        queue.headroom("m", "openai", requests=8, tokens=None)

        (sample,) = queue.samples([], "shop@host#0")

        named = {name: value for name, value in sample.fields.items() if name not in ("timestamp", "kind", "source")}
        assert named == {
            "model_name": "m",
            "provider": "openai",
            "service": "shop",
            "processing": 0,
            "oldest_seconds": 0.0,
            "ratelimit_remaining_requests": 8,
            "ratelimit_remaining_tokens": 800,
        }
        assert queue.samples([], "shop@host#0") == []

    def test_have_no_headroom_that_is_outdated(self, monkeypatch: pytest.MonkeyPatch) -> None:
        queue = InFlight("")
        queue.headroom("m", "", requests=9)
        sent_at = time.time_ns() + 15_000_000_000
        monkeypatch.setattr("llmmonitor.client.in_flight.time_ns", lambda: sent_at)
        assert queue.samples([], "host#0") == []

    def test_have_no_more_than_the_limit(self) -> None:
        queue = InFlight("")
        for number in range(MAX_MODELS + 5):
            queue.headroom(f"m-{number}", "", requests=9)
        assert len(queue.samples([], "host#0")) == MAX_MODELS

    @pytest.mark.parametrize("value", [None, -1, 1.5, True, "many"])
    def test_have_no_headroom_that_is_no_whole_number(self, value: Any) -> None:
        queue = InFlight("")
        queue.headroom("m", "", requests=value)
        assert queue.samples([], "host#0") == []


@pytest.fixture
def monitor(module_server: Server) -> Iterator[LLMMonitor]:
    with LLMMonitor(url=module_server.url, service="shop") as monitor:
        yield monitor


def last(server: Server, metric: str, model: str, stat: str = "last") -> float | None:
    answer = server.get(f"/metrics/history?metric=queue.{metric}&stat={stat}&group_by=model&range=5m&model={model}")
    points = [value for line in answer.json()["series"] for _, value in line["points"] if value is not None]
    return points[-1] if points else None


def tick(server: Server) -> dict[str, Any]:
    queue: dict[str, Any] = server.get("/metrics/current").json()["queue"]
    return queue


def wait_for(read: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    until = time.monotonic() + 20
    while not wanted(value := read()) and time.monotonic() < until:
        time.sleep(0.1)
    return value


class TheServer:
    def test_has_the_headroom_in_history_and_tick_while_nothing_is_in_flight(
        self, module_server: Server, monitor: LLMMonitor
    ) -> None:
        monitor.headroom("gpt", "openai", **headroom_of(OPENAI))

        assert wait_for(lambda: last(module_server, "ratelimit_remaining_requests", "gpt"), bool) == 480
        assert last(module_server, "ratelimit_remaining_tokens", "gpt") == 92_000
        queue = wait_for(lambda: tick(module_server), lambda queue: queue["ratelimit_remaining_requests"])
        assert (queue["ratelimit_remaining_requests"], queue["ratelimit_remaining_tokens"]) == (480, 92_000)

        with LLMMonitor(url=module_server.url, service="other") as other:
            other.headroom("gpt", "openai", remaining_requests=12)
        assert last(module_server, "ratelimit_remaining_requests", "gpt") == 12

    def test_has_the_age_of_the_oldest_request_in_history_and_tick(
        self, module_server: Server, monitor: LLMMonitor
    ) -> None:
        oldest = monitor.start("hanging")
        wait_for(lambda: oldest.response_time_ms, lambda age: age > 500)
        monitor.start("hanging")

        age = wait_for(lambda: last(module_server, "oldest_seconds", "hanging", "max"), lambda age: age and age > 0.5)
        queue = wait_for(lambda: tick(module_server), lambda queue: (queue["oldest_seconds"] or 0) >= age)

        assert 0.5 < age <= queue["oldest_seconds"] <= oldest.response_time_ms / 1_000
