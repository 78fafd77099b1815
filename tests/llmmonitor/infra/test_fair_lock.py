"""The lock that threads acquire in the order in which they asked for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from llmmonitor.infra import fair_lock
from llmmonitor.infra.fair_lock import FairLock

SECONDS = 30


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def wait_for_waiters(lock: FairLock, number: int) -> None:
    """Wait until this number of threads waits for the lock."""
    until = time.monotonic() + SECONDS
    while len(lock._waiting) < number:
        assert time.monotonic() < until
        time.sleep(0.001)


class AFairLock:
    def test_is_acquired_in_the_order_in_which_threads_asked(self, threads: ThreadPoolExecutor) -> None:
        lock, order = FairLock(), list[int]()

        def acquire(number: int) -> None:
            with lock.hold(SECONDS) as is_acquired:
                assert is_acquired
                order.append(number)

        with lock.hold(0):
            futures = []
            for number in range(3):
                futures.append(threads.submit(acquire, number))
                wait_for_waiters(lock, number + 1)
        for future in futures:
            future.result(SECONDS)
        assert order == [0, 1, 2]

    def test_is_held_by_the_thread_that_waited_when_it_is_released(self, threads: ThreadPoolExecutor) -> None:
        lock, acquired, done = FairLock(), threading.Event(), threading.Event()

        def acquire() -> None:
            with lock.hold(SECONDS):
                acquired.set()
                assert done.wait(SECONDS)

        with lock.hold(0):
            future = threads.submit(acquire)
            wait_for_waiters(lock, 1)
        try:
            assert acquired.wait(SECONDS)
            with lock.hold(0) as is_acquired:
                assert not is_acquired
        finally:
            done.set()
        future.result(SECONDS)

    def test_is_not_released_by_one_that_waited_too_long(self) -> None:
        lock = FairLock()
        with lock.hold(0):
            for _ in range(2):
                with lock.hold(0) as is_acquired:
                    assert not is_acquired

    def test_is_not_passed_to_one_that_waited_too_long(self) -> None:
        lock = FairLock()
        with lock.hold(0), lock.hold(0) as is_acquired:
            assert not is_acquired
        with lock.hold(0) as is_acquired:
            assert is_acquired

    def test_that_is_released_as_a_wait_ends_is_acquired(self, monkeypatch: pytest.MonkeyPatch) -> None:
        lock = FairLock()
        first = lock.hold(0)
        first.__enter__()

        class Event(threading.Event):
            def wait(self, timeout: float | None = None) -> bool:
                first.__exit__(None, None, None)
                return False

        with monkeypatch.context() as late:
            late.setattr(fair_lock.threading, "Event", Event)
            second = lock.hold(0)
            assert second.__enter__()
        with lock.hold(0) as is_acquired:
            assert not is_acquired
        second.__exit__(None, None, None)
        with lock.hold(0) as is_acquired:
            assert is_acquired

    def test_is_released_when_its_block_raises(self) -> None:
        lock = FairLock()
        with pytest.raises(ZeroDivisionError), lock.hold(0):
            raise ZeroDivisionError
        with lock.hold(0) as is_acquired:
            assert is_acquired
