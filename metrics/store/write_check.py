"""Checks that events can be stored: writes a row as a commit does and rolls it back, and writes a file to the disk."""

from __future__ import annotations

import errno
import secrets
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from django.db import connection, transaction

from llmmonitor.infra.postgres_timeout import postgres_timeout
from metrics.models import RecentId
from metrics.store.disk import disk_limit_message, enforce_disk_limits
from metrics.store.unavailable import StoreUnavailable, translate_database_errors
from metrics.store.write_lock import busy_timeout, write_lock

TEST_BYTES = 2**20  # about as many as a commit of some thousand events needs
LOCK_SECONDS = 2.0  # longest wait for the write lock; a commit holds it for milliseconds


class _RollBack(Exception):
    """Raised to roll the transaction back."""


def write_check() -> None:
    """Check that the store can be written. Raise StoreUnavailable when it cannot, or after LOCK_SECONDS for a lock."""
    until = time.monotonic() + LOCK_SECONDS
    try:
        with translate_database_errors(disk_limit_message), write_lock(LOCK_SECONDS) as is_acquired:
            if not is_acquired:  # the commit before this check may wait for another program
                detail = f"A commit did not end within {LOCK_SECONDS:g} s. Does another program hold the write lock?"
                raise StoreUnavailable("locked", detail)
            with _lock_timeout(max(0.0, until - time.monotonic())), transaction.atomic():
                enforce_disk_limits()
                request_id = f"write-check-{secrets.token_hex(8)}"
                RecentId.objects.create(request_id=request_id, kind="inference", model_key=0, at=datetime.now(UTC))
                raise _RollBack
    except _RollBack:
        pass
    if connection.vendor == "sqlite":
        check_disk(Path(str(connection.settings_dict["NAME"])).parent)


def check_disk(directory: Path) -> None:
    """Write TEST_BYTES to a temporary file in a directory. Raise StoreUnavailable when that fails.

    The test row alone does not detect a full disk, because SQLite can write it to a free page of its file.
    """
    try:
        with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
            remaining = TEST_BYTES
            while remaining:
                remaining -= file.write(bytes(remaining))
    except OSError as error:
        reason = "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "read_only"
        raise StoreUnavailable(reason) from error


def _lock_timeout(seconds: float) -> AbstractContextManager[None]:
    """Let statements in the block wait at most this long for a lock, so that readiness responds soon."""
    if connection.vendor == "sqlite":
        return busy_timeout(int(seconds * 1000))
    return nullcontext() if connection.in_atomic_block else postgres_timeout("lock_timeout", seconds)
