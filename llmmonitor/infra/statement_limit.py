"""A limit on the time that reads of the database take.

On SQLite a progress handler interrupts the statement, on PostgreSQL `statement_timeout` cancels it. No transaction is
opened: the settings make every transaction on SQLite an immediate one, which takes the write lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import OperationalError, connection

from llmmonitor.infra.postgres_timeout import postgres_timeout

# SQLite calls the progress handler after this number of virtual-machine instructions, about 0.2 ms.
PROGRESS_STEPS = 20_000


def limit_statements(seconds: float, is_over: Callable[[], bool]) -> AbstractContextManager[None]:
    """Stop statements inside: on PostgreSQL each after `seconds`, on SQLite as soon as `is_over()`.

    A stopped statement raises an OperationalError for which `was_stopped` is true.
    """
    if connection.vendor == "postgresql":
        return postgres_timeout("statement_timeout", seconds)
    return _limit_sqlite(is_over)


def was_stopped(error: OperationalError) -> bool:
    """Return whether the error is that of a statement that was stopped."""
    return "interrupted" in str(error) or "statement timeout" in str(error)


@contextmanager
def _limit_sqlite(is_over: Callable[[], bool]) -> Iterator[None]:
    connection.ensure_connection()
    raw: Any = connection.connection
    raw.set_progress_handler(is_over, PROGRESS_STEPS)
    try:
        yield
    finally:
        if connection.connection is raw:
            raw.set_progress_handler(None, 0)
