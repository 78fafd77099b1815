"""Waiting for SQLite's write lock without long delays.

SQLite does not queue its waiters: a waiter tries again after up to 100 ms. A busy recorder leaves the lock free for
less than a millisecond at a time, so each small step of upkeep would wait for seconds or a minute. Two things help.
Threads of this process queue for one lock (`write_lock`), so a step waits for one commit and a commit for one step.
Upkeep tries every millisecond (`upkeep_transaction`), because other processes do not use this queue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import OperationalError, connection, transaction

from llmmonitor.infra.database_errors import reason_of
from llmmonitor.infra.fair_lock import FairLock
from metrics.store.raw_floors import block_commits

# After this time a waiting thread continues without the lock of this process. SQLite's own lock keeps the data correct.
LONGEST_WAIT_SECONDS = 15.0
RETRY_SECONDS = 0.001


_process_lock = FairLock()


def _make_lock_after_fork() -> None:
    # The threads that hold the lock or wait for it exist in the parent only.
    global _process_lock
    _process_lock = FairLock()


os.register_at_fork(after_in_child=_make_lock_after_fork)


@contextmanager
def write_lock(longest_wait: float = LONGEST_WAIT_SECONDS) -> Iterator[bool]:
    """Hold this process's lock for a transaction that writes to SQLite. On PostgreSQL do nothing.

    Yield False when the wait was too long and the block runs without the lock.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield True
        return
    with _process_lock.hold(longest_wait) as is_acquired:
        yield is_acquired


@contextmanager
def upkeep_transaction(longest_wait: float = LONGEST_WAIT_SECONDS) -> Iterator[None]:
    """Run the block in a transaction during which no commit of events runs, and get SQLite's lock as early as possible.

    Raise OperationalError, as SQLite does, when the lock was not free within `longest_wait` seconds.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        with transaction.atomic():
            block_commits()
            yield
        return
    with write_lock(), ExitStack() as stack:
        with busy_timeout(0):
            until = time.monotonic() + longest_wait
            while True:
                try:
                    stack.enter_context(transaction.atomic())
                    break
                except OperationalError as error:
                    if reason_of(error) != "locked" or time.monotonic() > until:
                        raise
                time.sleep(RETRY_SECONDS)
        yield


@contextmanager
def busy_timeout(milliseconds: int) -> Iterator[None]:
    """Set how long a statement in the block waits for SQLite's lock before it fails as locked."""
    connection.ensure_connection()
    raw = connection.connection
    (before,) = raw.execute("PRAGMA busy_timeout").fetchone()
    raw.execute(f"PRAGMA busy_timeout = {milliseconds}").fetchone()
    try:
        yield
    finally:
        raw.execute(f"PRAGMA busy_timeout = {before}").fetchone()
