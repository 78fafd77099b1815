"""A decorated function behaves as without its decorator, and each of its calls is a request."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from llmmonitor import LLMMonitor
from tests.support import odd_servers
from tests.support.odd_servers import OddServer, odd_server


@pytest.fixture
def server() -> Iterator[OddServer]:
    with odd_server(odd_servers.accept) as accepting:
        yield accepting


@pytest.fixture
def monitor(server: OddServer) -> Iterator[LLMMonitor]:
    with LLMMonitor(url=server.url) as monitor:
        yield monitor


def recorded(server: OddServer, monitor: LLMMonitor) -> list[tuple[bool, str | None]]:
    """Of each event: whether it has a first token, and its type of error."""
    assert monitor.flush()
    return [("ttft_ms" in event, event.get("error_type")) for event in server.events()]


class ADecoratedFunction:
    async def test_returns_and_raises_what_it_does_without(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        def divide(a: int, *, by: int) -> float:
            """Divide."""
            return a / by

        @monitor.track("model")
        async def divide_async(a: int, *, by: int) -> float:
            return a / by

        assert (divide(6, by=2), await divide_async(6, by=2)) == (3, 3)
        with pytest.raises(ZeroDivisionError):
            divide(1, by=0)
        with pytest.raises(ZeroDivisionError):
            await divide_async(1, by=0)
        assert (divide.__name__, divide.__doc__) == ("divide", "Divide.")
        assert recorded(server, monitor) == [(False, None)] * 2 + [(False, "ZeroDivisionError")] * 2

    async def test_may_be_a_method(self, server: OddServer, monitor: LLMMonitor) -> None:
        class Client:
            name = "client"

            @monitor.track("model")
            def ask(self) -> str:
                return self.name

            @classmethod
            @monitor.track("model")
            def ask_class(cls) -> str:
                return cls.name

            @staticmethod
            @monitor.track("model")
            async def ask_static() -> str:
                return "static"

            @functools.cached_property
            @monitor.track("model")
            def answer(self) -> str:
                return self.name

        client = Client()
        assert (client.ask(), client.ask_class(), await client.ask_static(), client.answer) == (
            "client",
            "client",
            "static",
            "client",
        )
        assert len(recorded(server, monitor)) == 4

    def test_may_call_itself(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        def count(down: int) -> int:
            return count(down - 1) + 1 if down else 0

        assert count(3) == 3
        assert len(recorded(server, monitor)) == 4


class ADecoratedGenerator:
    def test_passes_on_what_is_sent_thrown_and_returned(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        def echo() -> Any:
            got = yield "first"
            try:
                yield got
            except KeyError:
                yield "thrown"
            return "returned"

        values = echo()
        assert (next(values), values.send("sent"), values.throw(KeyError())) == ("first", "sent", "thrown")
        with pytest.raises(StopIteration) as stop:
            next(values)
        assert stop.value.value == "returned"
        assert recorded(server, monitor) == [(True, None)]

    def test_that_is_closed_early_is_closed_itself_and_recorded_as_cancelled(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        closed: list[str] = []

        @monitor.track("model")
        def tokens() -> Iterator[str]:
            try:
                yield from "abc"
            finally:
                closed.append("tokens")

        for token in tokens():
            assert token == "a"
            break
        assert closed == ["tokens"]
        assert recorded(server, monitor) == [(True, "CancelledError")]

    def test_that_raises_is_recorded_as_failed(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        def tokens() -> Iterator[str]:
            yield "a"
            raise TimeoutError

        with pytest.raises(TimeoutError):
            list(tokens())
        assert recorded(server, monitor) == [(True, "TimeoutError")]

    def test_that_is_never_started_is_no_request(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        def tokens() -> Iterator[str]:
            yield "a"

        tokens().close()  # type: ignore[attr-defined]
        assert recorded(server, monitor) == []


class ADecoratedAsyncGenerator:
    async def test_passes_on_what_is_sent_and_thrown(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        async def echo() -> Any:
            got = yield "first"
            try:
                yield got
            except KeyError:
                yield "thrown"

        values = echo()
        assert await anext(values) == "first"
        assert await values.asend("sent") == "sent"
        assert await values.athrow(KeyError()) == "thrown"
        with pytest.raises(StopAsyncIteration):
            await anext(values)
        assert recorded(server, monitor) == [(True, None)]

    async def test_that_is_closed_early_is_closed_itself_and_recorded_as_cancelled(
        self, server: OddServer, monitor: LLMMonitor
    ) -> None:
        closed: list[str] = []

        @monitor.track("model")
        async def tokens() -> AsyncIterator[str]:
            try:
                for token in "abc":
                    yield token
            finally:
                closed.append("tokens")

        async with aclosing(tokens()) as values:  # type: ignore[type-var]
            assert await anext(values) == "a"
        assert closed == ["tokens"]
        assert recorded(server, monitor) == [(True, "CancelledError")]

    async def test_that_raises_is_recorded_as_failed(self, server: OddServer, monitor: LLMMonitor) -> None:
        @monitor.track("model")
        async def tokens() -> AsyncIterator[str]:
            yield "a"
            raise TimeoutError

        with pytest.raises(TimeoutError):
            [token async for token in tokens()]
        assert recorded(server, monitor) == [(True, "TimeoutError")]
