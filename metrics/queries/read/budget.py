"""The time budget of a query, in the database and in Python.

On SQLite a progress handler interrupts the statement, on PostgreSQL `statement_timeout` cancels it. No transaction is
opened, because the settings make every transaction on SQLite an immediate one, which takes the write lock that the
recorder needs. Two statements of a query may therefore see different commits; each statement alone is consistent.
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

# SQLite calls the progress handler after this number of virtual-machine instructions, about 0.2 ms.
PROGRESS_STEPS = 20_000

# (time of the monotonic clock, seconds of the budget)
_deadline: ContextVar[tuple[float, float] | None] = ContextVar("query_deadline", default=None)


def check_budget() -> None:
    """Raise QueryTooSlow if the current budget is used up. It is cheap, for calls between steps of work in Python."""
    current = _deadline.get()
    if current and time.monotonic() > current[0]:
        raise QueryTooSlow(current[1])


@contextmanager
def query_budget(seconds: float | None = None) -> Iterator[None]:
    """Limit the time of the reads inside to `seconds`, by default the setting. Raises QueryTooSlow.

    Inside another budget it has no effect: the outer one applies.
    """
    if _deadline.get() is not None:
        yield
        return
    allowed = settings.LLMMONITOR.query_budget_seconds if seconds is None else seconds
    deadline = time.monotonic() + allowed
    token = _deadline.set((deadline, allowed))
    limit = _limit_postgres(allowed) if connection.vendor == "postgresql" else _limit_sqlite(deadline)
    try:
        with limit:
            yield
    except OperationalError as error:
        if time.monotonic() > deadline or _was_stopped(error):
            raise QueryTooSlow(allowed) from error
        raise
    finally:
        _deadline.reset(token)


@contextmanager
def _limit_sqlite(deadline: float) -> Iterator[None]:
    connection.ensure_connection()
    raw: Any = connection.connection
    raw.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
    try:
        yield
    finally:
        if connection.connection is raw:
            raw.set_progress_handler(None, 0)


@contextmanager
def _limit_postgres(seconds: float) -> Iterator[None]:
    # Set for the session instead of with SET LOCAL: a transaction around all reads would hold back VACUUM.
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(max(1, int(seconds * 1000)))])
    try:
        yield
    finally:
        # In a failed transaction this statement fails, too. The rollback of the transaction then resets the timeout.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SET statement_timeout TO DEFAULT")


def _was_stopped(error: OperationalError) -> bool:
    return "interrupted" in str(error) or "statement timeout" in str(error)
