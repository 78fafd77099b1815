"""The timeouts of PostgreSQL, such as that of waiting for a lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection


@contextmanager
def postgres_timeout(name: str, seconds: float) -> Iterator[None]:
    """Set `lock_timeout` or `statement_timeout` for the statements in the block.

    It is set for the session instead of with SET LOCAL: a transaction around all of them would hold back VACUUM.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET {name} = '{max(1, int(seconds * 1000))}ms'")
    try:
        yield
    finally:
        # If the connection has failed, the next one has the default again. In a failed transaction this statement
        # fails, too; the rollback of the transaction then resets the timeout.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute(f"SET {name} = DEFAULT")
