"""When the last backup was made, for all processes: the schedule, the pages and the figures."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.db import DatabaseError

from llmmonitor.backup.errors import Refused
from llmmonitor.backup.models import LastBackup
from llmmonitor.backup.writing import Written

logger = logging.getLogger(__name__)
ERROR_CHARACTERS = 1_000


def last_backup() -> LastBackup | None:
    """Return the newest complete backup, made by the schedule or by a person; None if there is none."""
    return LastBackup.objects.exclude(succeeded_at=None).order_by("-succeeded_at").first()


def last_scheduled() -> LastBackup | None:
    """Return the last backup of the schedule, with the error of its newest attempt; None if there was no attempt."""
    return LastBackup.objects.filter(by=LastBackup.By.SCHEDULE).first()


def store_success(by: LastBackup.By, written: Written, *, at: datetime, seconds: float) -> bool:
    """Store a complete backup. Return False if it cannot be stored; only the log has that."""
    values = {
        "attempted_at": at, "error": "", "succeeded_at": at, "duration_seconds": seconds,
        "path": str(written.path.absolute()), "size_bytes": written.bytes, "row_count": written.rows,
        "has_secrets": written.has_secrets,
    }  # fmt: skip
    return _store(by, values, f"the backup {written.path} was made")


@contextmanager
def store_error(by: LastBackup.By, at: datetime) -> Iterator[None]:
    """Store why the attempt in the block failed, and raise the error again."""
    try:
        yield
    except (Refused, OSError, DatabaseError) as error:
        _store(by, {"attempted_at": at, "asked_at": None, "error": f"{error}"[:ERROR_CHARACTERS]}, "the backup failed")
        raise


def _store(by: LastBackup.By, values: Mapping[str, Any], what: str) -> bool:
    try:
        LastBackup.objects.update_or_create(by=by, defaults=values)
    except DatabaseError as error:
        logger.warning("Cannot store that %s: %s", what, error)
        return False
    return True
