"""Getting to SQLite's write lock in good time.

SQLite hands its lock to whoever asks at the right moment; who waits asks again after up to 100 ms. A recorder under
load leaves it free for less than a millisecond at a time, so that upkeep would wait seconds, or a minute, before each
of its small steps. Two things help: threads of this process take turns (`writing`), so that a step waits for one commit
and a commit for one step; and upkeep asks every millisecond (`eager`), because another process knows nothing of our
turns.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import OperationalError, connection, transaction

from llmmonitor.infra.database_errors import reason_of
from metrics.store.raw_floors import block_commits

# After this the waiting thread goes on all the same, and SQLite decides: turns are for fairness, the lock is SQLite's.
LONGEST_WAIT_SECONDS = 15.0
ASK_AGAIN_SECONDS = 0.001


class FairLock:
    """A lock that is handed on to those who wait in their order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def take(self, longest_wait: float = LONGEST_WAIT_SECONDS) -> Iterator[bool]:
        """Wait for the turn, hold it in the block, hand it on. False: the wait took too long, and there is no turn."""
        has_it = self._wait(longest_wait)
        try:
            yield has_it
        finally:
            if has_it:
                self._hand_on()

    def _wait(self, longest_wait: float) -> bool:
        with self._lock:
            if not self._taken:
                self._taken = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(longest_wait):
            return True
        with self._lock:
            if mine.is_set():  # it came in the last moment
                return True
            self._waiting.remove(mine)
            return False

    def _hand_on(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._taken = False


_turns = FairLock()


def _new_process() -> None:
    # Whoever holds or awaits a turn in the parent is not here to hand it on.
    global _turns
    _turns = FairLock()


os.register_at_fork(after_in_child=_new_process)


@contextmanager
def writing() -> Iterator[None]:
    """Around a transaction that writes: on SQLite it waits for its turn in this process."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with _turns.take():
        yield


@contextmanager
def eager(longest_wait: float = LONGEST_WAIT_SECONDS) -> Iterator[None]:
    """A transaction of upkeep, in its turn; it asks for SQLite's lock every millisecond. No commit runs beside it.

    Raises OperationalError, as SQLite does, when it did not get it in time.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            block_commits()
            yield
        return
    with writing(), ExitStack() as begun:
        with busy_timeout(0):
            until = time.monotonic() + longest_wait
            while True:
                try:
                    begun.enter_context(transaction.atomic())
                    break
                except OperationalError as error:
                    if reason_of(error) != "locked" or time.monotonic() > until:
                        raise
                time.sleep(ASK_AGAIN_SECONDS)
        yield


@contextmanager
def busy_timeout(milliseconds: int) -> Iterator[None]:
    """How long a statement in the block waits for SQLite's lock before it fails as locked."""
    connection.ensure_connection()
    raw = connection.connection
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {milliseconds}").fetchone()
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}").fetchone()
