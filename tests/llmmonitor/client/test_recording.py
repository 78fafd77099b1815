"""What a program records with the SDK arrives as one event with its values."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llmmonitor import LLMMonitor
from tests.support.server import Server


@pytest.fixture
def monitor(module_server: Server) -> Iterator[LLMMonitor]:
    with LLMMonitor(url=module_server.url, service="shop", metadata={"team": "search"}) as monitor:
        yield monitor


def requests_of(server: Server, monitor: LLMMonitor, model: str) -> list[dict[str, Any]]:
    assert monitor.flush()
    results: list[dict[str, Any]] = server.get(f"/requests?model={model}").json()["results"]
    return results


class ATrackedCall:
    def test_is_one_request_with_its_times_and_tokens(self, module_server: Server, monitor: LLMMonitor) -> None:
        with monitor.track("plain", temperature=0.2, endpoint="/chat") as call:
            call.first_token()
            time.sleep(0.01)
            call.usage(prompt_tokens=100, completion_tokens=20, cached_tokens=50)
            call.metadata(customer="a")

        (request,) = requests_of(module_server, monitor, "plain")

        assert request["request_id"] == call.request_id
        assert request["response_time_ms"] == pytest.approx(call.response_time_ms, abs=0.01)
        assert request["ttft_ms"] < request["response_time_ms"]
        assert (request["prompt_tokens"], request["completion_tokens"], request["cached_tokens"]) == (100, 20, 50)
        assert (request["temperature"], request["endpoint"], request["service"]) == (0.2, "/chat", "shop")
        assert request["metadata"] == {"team": "search", "customer": "a"}
        assert (request["success"], request["stream"]) == (True, True)

    def test_records_an_exception_and_raises_it_untouched(self, module_server: Server, monitor: LLMMonitor) -> None:
        raised = TimeoutError("the model did not respond")

        with pytest.raises(TimeoutError) as caught, monitor.track("failing"):
            raise raised

        assert caught.value is raised
        (request,) = requests_of(module_server, monitor, "failing")
        assert (request["outcome"], request["error_type"]) == ("timeout", "TimeoutError")
        (error,) = module_server.get("/errors?model=failing").json()["results"]
        assert error["error_message"] == "the model did not respond"
        assert "test_records_an_exception_and_raises_it_untouched" in error["stack_trace"]

    def test_that_has_ended_is_not_changed_by_a_second_end(self, module_server: Server, monitor: LLMMonitor) -> None:
        call = monitor.start("ended")
        call.end()
        call.end(GeneratorExit())

        (request,) = requests_of(module_server, monitor, "ended")
        assert request["outcome"] == "ok"

    def test_is_recorded_once_though_it_is_entered_again(
        self, module_server: Server, monitor: LLMMonitor, caplog: pytest.LogCaptureFixture
    ) -> None:
        call = monitor.track("again")
        with call:
            pass
        first_ms = call.response_time_ms
        with call:
            pass

        (request,) = requests_of(module_server, monitor, "again")
        assert request["response_time_ms"] == pytest.approx(first_ms, abs=0.01)
        assert "A call that had ended was entered again" in caplog.text

    async def test_that_is_cancelled_is_recorded_as_such(self, module_server: Server, monitor: LLMMonitor) -> None:
        started = asyncio.Event()

        async def wait() -> None:
            async with monitor.track("cancelled"):
                started.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        (request,) = await asyncio.to_thread(requests_of, module_server, monitor, "cancelled")
        assert request["outcome"] == "cancelled"


class ADecoratedFunction:
    async def test_is_a_request_for_each_call(self, module_server: Server, monitor: LLMMonitor) -> None:
        @monitor.track("decorated")
        def double(number: int) -> int:
            return 2 * number

        @monitor.track("decorated")
        async def triple(number: int) -> int:
            return 3 * number

        @monitor.track("decorated")
        def tokens(number: int) -> Iterator[int]:
            yield from range(number)

        assert (double(2), await triple(2), list(tokens(3))) == (4, 6, [0, 1, 2])
        requests = await asyncio.to_thread(requests_of, module_server, monitor, "decorated")
        assert [request["stream"] for request in requests] == [True, None, None]


def test_a_recorded_request_keeps_its_fields(module_server: Server, monitor: LLMMonitor) -> None:
    monitor.record("recorded", response_time_ms=5.0, prompt_tokens=3, request_id="r-1")

    (request,) = requests_of(module_server, monitor, "recorded")

    assert (request["request_id"], request["response_time_ms"], request["prompt_tokens"]) == ("r-1", 5.0, 3)


def test_a_batch_is_recorded_whole(module_server: Server, monitor: LLMMonitor) -> None:
    monitor.record_batch({"model_name": "batch", "response_time_ms": n} for n in range(1_200))

    assert monitor.flush()
    models = module_server.get("/models?range=5m").json()["results"]
    assert [model["total_requests"] for model in models if model["model_name"] == "batch"] == [1_200]


def test_an_error_without_a_request_is_recorded(module_server: Server, monitor: LLMMonitor) -> None:
    monitor.error(ValueError("no such tool"), "agent", endpoint="/tools", severity="WARNING")

    assert monitor.flush()
    (error,) = module_server.get("/errors?model=agent").json()["results"]
    assert (error["error_type"], error["error_message"], error["severity"]) == ("ValueError", "no such tool", "WARNING")


def test_requests_in_flight_are_the_queue_of_their_model(module_server: Server, monitor: LLMMonitor) -> None:
    calls = [monitor.start("hanging") for _ in range(3)]

    until = time.monotonic() + 10
    while time.monotonic() < until:
        queue = module_server.get("/metrics/history?metric=queue.processing&group_by=model&range=5m").json()["series"]
        values = {entry["labels"]["model"]: entry["points"][-1][1] for entry in queue}
        if values.get("hanging") == 3:
            break
        time.sleep(0.1)
    for call in calls:
        call.end()

    assert values["hanging"] == 3
