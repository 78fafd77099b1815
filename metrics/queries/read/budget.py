"""The limits of a query: its time in the database and in Python, its rows, and how many heavy queries run at a time.

`llmmonitor.infra.statement_limit` stops a statement. It opens no transaction, which would take the write lock that the
recorder needs on SQLite. Two statements of a query may therefore see different commits; each statement alone is
consistent.

A query that has read more than LIGHT_ROWS rows of rollups or samples is heavy. One heavy query of a process runs at a
time, and others wait in their order. Python runs one thread at a time, so each heavy query delays the recorder and the
event loop, and two take as long together as one after the other. Light queries and those of the live stream do not
wait. Measured beside eight clients that read 30 days (`make bench`): a post took 166 ms without this limit, 60 ms with
two heavy queries at a time, 28 ms with one, and 14 ms alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar

from django.conf import settings
from django.db import OperationalError

from llmmonitor.infra.fair_lock import FairLock
from llmmonitor.infra.statement_limit import limit_statements, was_stopped
from llmmonitor.infra.telemetry import telemetry
from metrics.queries.exceptions import QueryTooLarge, QueryTooSlow, TooManyQueries

LIGHT_ROWS = 1_000
MAX_BYTES = 128 * 2**20  # of the rows that one query holds; 150 models in 30 days have 80 MB
CHECK_ROWS = 500  # rows that are read between two checks

_heavy_query = FairLock()


def _make_lock_after_fork() -> None:
    # The threads that hold the lock or wait for it exist in the parent only.
    global _heavy_query
    _heavy_query = FairLock()


os.register_at_fork(after_in_child=_make_lock_after_fork)


class _Budget:
    """What the current query may use and has used. It holds the lock of heavy queries in `held`."""

    def __init__(self, seconds: float, is_live: bool, held: ExitStack) -> None:
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self._held = held
        self._rows = self._bytes = 0
        self._may_wait = not is_live

    @property
    def is_over(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() > self.deadline

    def check(self) -> None:
        """Raise QueryTooSlow if the time is used up."""
        if self.is_over:
            raise QueryTooSlow(self.seconds)

    def add_rows(self, rows: int, size: int) -> None:
        """Count rows. A query that becomes heavy waits for others, at most as long as its budget, which is extended."""
        self._rows += rows
        self._bytes += size
        if self._bytes > MAX_BYTES:
            raise QueryTooLarge(MAX_BYTES)
        if self._may_wait and self._rows > LIGHT_ROWS:
            self._may_wait = False
            begin = time.monotonic()
            if not self._held.enter_context(_heavy_query.hold(self.seconds)):
                raise TooManyQueries(self.seconds)
            self.deadline += time.monotonic() - begin


_current: ContextVar[_Budget | None] = ContextVar("query_budget", default=None)


def check_budget() -> None:
    """Raise QueryTooSlow if the current budget is used up. It is cheap, for calls between steps of work in Python."""
    budget = _current.get()
    if budget:
        budget.check()


def count_rows(rows: int, size: int) -> None:
    """Count rows of rollups or samples that the query has read, and the bytes that it holds of them.

    A query that becomes heavy waits here for others. Raises QueryTooLarge, TooManyQueries and QueryTooSlow.
    """
    budget = _current.get()
    if budget:
        budget.add_rows(rows, size)
        budget.check()


@contextmanager
def query_budget(seconds: float | None = None, *, is_live: bool = False) -> Iterator[None]:
    """Limit the reads inside to `seconds`, by default the setting. Raises QueryStopped.

    `is_live`: the query is of the live stream and does not wait for heavy queries. Inside another budget it has no
    effect: the outer one applies.
    """
    if _current.get() is not None:
        yield
        return
    allowed = settings.LLMMONITOR.query_budget_seconds if seconds is None else seconds
    held = ExitStack()
    budget = _Budget(allowed, is_live, held)
    token = _current.set(budget)
    limit = limit_statements(allowed, lambda: budget.is_over)
    try:
        with held, limit, telemetry.timed("query", "live" if is_live else "read"):
            yield
    except OperationalError as error:
        if budget.is_over or was_stopped(error):
            telemetry.count("queries_stopped")
            raise QueryTooSlow(allowed) from error
        raise
    finally:
        _current.reset(token)
