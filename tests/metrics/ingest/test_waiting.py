"""Waiting on an event loop for futures that another thread completes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from metrics.ingest.waiting import wait

SECONDS = 30.0


def complete(futures: list[Future[int]]) -> None:
    """Complete the futures in another thread, before the event loop continues."""
    thread = threading.Thread(target=lambda: [future.set_result(1) for future in futures])
    thread.start()
    thread.join()


class AWait:
    async def test_ends_when_the_future_is_done(self) -> None:
        future: Future[int] = Future()
        waiting = asyncio.create_task(wait(future, SECONDS))
        await asyncio.sleep(0)
        assert not waiting.done()
        complete([future])
        await waiting
        assert future.result() == 1

    async def test_ends_at_once_if_the_future_is_done_already(self) -> None:
        future: Future[int] = Future()
        future.set_exception(ZeroDivisionError())
        await wait(future, SECONDS)

    async def test_ends_after_its_time_and_does_not_cancel_the_future(self) -> None:
        future: Future[int] = Future()
        await wait(future, 0.01)
        assert not future.cancelled()
        complete([future])  # too late, which harms nothing
        await asyncio.sleep(0)

    async def test_that_is_cancelled_does_not_cancel_the_future(self) -> None:
        future: Future[int] = Future()
        waiting = asyncio.create_task(wait(future, SECONDS))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        complete([future])
        await asyncio.sleep(0)
        assert future.result() == 1

    async def test_wakes_the_loop_once_for_all_that_are_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        wakes: list[Any] = []
        original: Callable[..., Any] = loop.call_soon_threadsafe

        def call_soon_threadsafe(*args: Any, **more: Any) -> Any:
            wakes.append(args)
            return original(*args, **more)

        monkeypatch.setattr(loop, "call_soon_threadsafe", call_soon_threadsafe)
        for count in (1, 2):
            futures: list[Future[int]] = [Future() for _ in range(5)]
            waiting = [asyncio.create_task(wait(future, SECONDS)) for future in futures]
            await asyncio.sleep(0)
            complete(futures)
            await asyncio.gather(*waiting)
            assert len(wakes) == count

    def test_on_a_loop_that_is_closed_does_not_fail_the_thread(self, caplog: pytest.LogCaptureFixture) -> None:
        future: Future[int] = Future()

        async def wait_briefly() -> None:
            await wait(future, 0)

        asyncio.run(wait_briefly())
        complete([future])
        assert caplog.records == []
