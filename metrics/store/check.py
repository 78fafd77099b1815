"""Does the write path work? A row is written as a commit writes one, and rolled back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection, transaction

from metrics.models import RecentId
from metrics.store.disk import make_room_or_refuse
from metrics.store.turns import busy_timeout
from metrics.store.unavailable import unavailable_as_such

WAIT_SECONDS = 2  # for the write lock; a commit holds it for milliseconds


class _RollBack(Exception):
    """Ends the transaction without a trace."""


def write_check() -> None:
    """Begin a transaction, take the write lock, write a row, roll it back. Raises StoreUnavailable when that fails."""
    try:
        with unavailable_as_such(), _short_wait(), transaction.atomic():
            make_room_or_refuse()
            RecentId.objects.create(request_id=f"write-check-{secrets.token_hex(8)}", at=datetime.now(UTC))
            raise _RollBack
    except _RollBack:
        return


@contextmanager
def _short_wait() -> Iterator[None]:
    """Waits for locks WAIT_SECONDS at most: who asks for readiness wants an answer."""
    if connection.vendor != "sqlite":
        if connection.in_atomic_block:
            yield
            return
        with connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = DEFAULT")
        return
    with busy_timeout(WAIT_SECONDS * 1000):
        yield
