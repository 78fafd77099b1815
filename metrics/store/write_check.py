"""Does the write path work? A row is written as a commit writes one and rolled back, and the disk takes more."""

from __future__ import annotations

import errno
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction

from metrics.models import RecentId
from metrics.store.availability import StoreUnavailable, translate_database_errors
from metrics.store.disk import disk_limit_message, enforce_disk_limits
from metrics.store.write_lock import busy_timeout, writing

ROOM_BYTES = 2**20  # what a commit of some thousand events may take
WAIT_SECONDS = 2  # for the write lock; a commit holds it for milliseconds


class _RollBack(Exception):
    """Ends the transaction without a trace."""


def write_check() -> None:
    """Begin a transaction, take the write lock, write a row, roll it back. Raises StoreUnavailable when that fails."""
    try:
        with translate_database_errors(disk_limit_message), writing(), _short_wait(), transaction.atomic():
            enforce_disk_limits()
            RecentId.objects.create(request_id=f"write-check-{secrets.token_hex(8)}", at=datetime.now(UTC))
            raise _RollBack
    except _RollBack:
        pass
    if connection.vendor == "sqlite":
        check_room(Path(str(connection.settings_dict["NAME"])).parent)


def check_room(directory: Path) -> None:
    """Write ROOM_BYTES into a nameless file there. Raises StoreUnavailable when they do not fit or may not be written.

    A row that is rolled back needs no new page, so that SQLite finds room for it on a disk that is full.
    """
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            left = ROOM_BYTES
            while left:
                left -= file.write(bytes(left))
    except OSError as error:
        reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "read_only"
        raise StoreUnavailable(reason) from error


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
