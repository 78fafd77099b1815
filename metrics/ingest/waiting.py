"""Waiting on an event loop for futures that the recorder's thread completes."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from concurrent.futures import Future
from typing import Any
from weakref import WeakKeyDictionary


class _Completed:
    """The waiters of one event loop whose futures are done, until the loop has resumed them."""

    def __init__(self) -> None:
        self.waiters: deque[asyncio.Future[None]] = deque()
        self.is_scheduled = False


_completed: WeakKeyDictionary[asyncio.AbstractEventLoop, _Completed] = WeakKeyDictionary()


async def wait(future: Future[Any], seconds: float) -> None:
    """Return when the future is done, or after `seconds`. The future is never cancelled.

    `asyncio.wrap_future` wakes the loop once for each future. This function wakes it once for all futures that a commit
    completes, which saves a system call and a switch between threads for each.
    """
    loop = asyncio.get_running_loop()
    completed = _completed.setdefault(loop, _Completed())
    waiter: asyncio.Future[None] = loop.create_future()

    def add_completed(_: Future[Any]) -> None:
        completed.waiters.append(waiter)
        # `_resume` resets this before it reads the waiters, so none is missed.
        if not completed.is_scheduled:
            completed.is_scheduled = True
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_resume, completed)

    future.add_done_callback(add_completed)
    timer = loop.call_later(seconds, _set_done, waiter)
    try:
        await waiter
    finally:
        timer.cancel()


def _resume(completed: _Completed) -> None:
    completed.is_scheduled = False
    while completed.waiters:
        _set_done(completed.waiters.popleft())


def _set_done(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
