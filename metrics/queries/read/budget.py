"""A query has a time budget, in the database and in Python, and fails with what to narrow when it is used up.

SQLite is interrupted by its progress handler, PostgreSQL by `statement_timeout`. No transaction is opened on SQLite:
the settings make every transaction an immediate one, which would take the write lock that the recorder needs. Reads
between two statements may therefore see a commit; each statement by itself is consistent.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection

from metrics.queries.exceptions import QueryTooSlow

# Virtual-machine steps of SQLite between two looks at the clock: some 0.2 ms.
PROGRESS_STEPS = 20_000

_deadline: ContextVar[tuple[float, float] | None] = ContextVar("query_deadline", default=None)


def check_budget() -> None:
    """Raises QueryTooSlow when the budget in force is used up. Cheap; called between pieces of work in Python."""
    found = _deadline.get()
    if found and time.monotonic() > found[0]:
        raise QueryTooSlow(found[1])


@contextmanager
def query_budget(seconds: float | None = None) -> Iterator[None]:
    """Reading inside stops after `seconds` (the setting, by default); a budget in force stays. Raises QueryTooSlow."""
    if _deadline.get() is not None:
        yield
        return
    allowed = settings.LLMMONITOR.query_budget_seconds if seconds is None else seconds
    deadline = time.monotonic() + allowed
    token = _deadline.set((deadline, allowed))
    limit = _limit_postgres if connection.vendor == "postgresql" else _limit_sqlite
    try:
        with limit(deadline, allowed):
            yield
    except OperationalError as error:
        if time.monotonic() > deadline or _was_stopped(error):
            raise QueryTooSlow(allowed) from error
        raise
    finally:
        _deadline.reset(token)


@contextmanager
def _limit_sqlite(deadline: float, allowed: float) -> Iterator[None]:
    connection.ensure_connection()
    raw: Any = connection.connection
    raw.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    try:
        yield
    finally:
        if connection.connection is raw:
            raw.set_progress_handler(None, 0)


@contextmanager
def _limit_postgres(deadline: float, allowed: float) -> Iterator[None]:
    # For the session, not LOCAL: a transaction around all reads would hold back the vacuum, and a failed one the reset.
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(max(1, int(allowed * 1000)))])
    try:
        yield
    finally:
        # In a transaction that failed this is refused, and not needed: its rollback takes the setting back.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SET statement_timeout TO DEFAULT")


def _was_stopped(error: OperationalError) -> bool:
    return "interrupted" in str(error) or "statement timeout" in str(error)
