"""A limit on how long statements wait for a lock of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.db import DatabaseError, connection


@contextmanager
def lock_timeout(seconds: float) -> Iterator[None]:
    """Let a statement in the block fail as locked when it has waited this long for a lock."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{max(1, int(seconds * 1000))}ms'")
    try:
        yield
    finally:
        # If the connection has failed, the next one has PostgreSQL's default again.
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = DEFAULT")
