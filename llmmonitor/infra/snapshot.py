"""A transaction that sees the database as it was at its beginning, and that blocks no writer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def snapshot() -> Iterator[None]:
    """Read one state of the whole database in the block. Nothing may be written in it.

    On SQLite the file of the WAL grows during the block, because no commit after its beginning can be checkpointed
    completely. On PostgreSQL, rows that are deleted meanwhile are vacuumed later. In a transaction of the caller, the
    block reads in that transaction.
    """
    if connection.in_atomic_block:
        yield
        return
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield
        return
    # Not `atomic`, which begins with BEGIN IMMEDIATE and so acquires the write lock.
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        try:
            cursor.execute("SELECT count(*) FROM sqlite_master")  # the first read determines the state
            cursor.fetchall()
            yield
        finally:
            cursor.execute("ROLLBACK")
