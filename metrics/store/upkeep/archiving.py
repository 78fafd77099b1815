"""Archives raw rows before it deletes them, if there is an archive (`LLMMONITOR_ARCHIVE_DIR`).

Rows are written to a file, which is on the disk, and then exactly these rows are deleted, in short steps. If the
process is killed in between, the next run archives them again, and readers of the archive return them once.

So that files are large, the rows of a UTC day are archived when all of them are too old, or FILE_ROWS are. Rows are
therefore kept at most a day longer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, Protocol

from django.core.cache import caches
from django.db import models

from llmmonitor.infra.throttled_log import log_throttled
from metrics.store.raw_floors import raise_floor
from metrics.store.upkeep.deleting import MICROSECOND, Steps, delete_keys
from metrics.store.upkeep.tables import manager

logger = logging.getLogger(__name__)

FILE_ROWS = 50_000
NOTICE = "store:archive"
NOTICE_SECONDS = 150  # upkeep runs each minute


class ArchiveProblem(Exception):
    """Rows cannot be archived. The message says why, without a path."""


class ArchiveBusy(Exception):
    """Another process archives and deletes rows."""


class RowKey(NamedTuple):
    """The primary key and the time of a raw row."""

    pk: int
    timestamp: datetime


class Archive(Protocol):
    """Where rows are written before they are deleted."""

    def has(self, kind: str) -> bool:
        """Return whether rows of a kind of events are archived."""

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes away in the block. Raises ArchiveBusy, ArchiveProblem."""

    def write(self, kind: str, before: datetime, most: int, is_over: Callable[[], bool]) -> list[RowKey]:
        """Write some of the oldest rows before a time, and return them when they are on the disk.

        It may write fewer than `most`, and none only if there are none. Raises ArchiveProblem.
        """


def archive_old(archive: Archive, model: type[models.Model], kind: str, before: datetime, steps: Steps) -> int:
    """Archive and delete the raw rows before a time if a whole day or a file of them is due. Return their number.

    If they cannot be archived, none is deleted, which is logged and in readiness (`archive_notice`).
    """
    try:
        return archive_and_delete(archive, model, kind, before, steps, is_due=lambda: _is_due(model, before))
    except ArchiveBusy:
        return 0
    except ArchiveProblem as problem:
        note_problem(problem)
        return 0


def archive_and_delete(
    archive: Archive,
    model: type[models.Model],
    kind: str,
    before: datetime,
    steps: Steps,
    *,
    is_due: Callable[[], bool],
    most: int | None = None,
) -> int:
    """Archive and delete raw rows before a time, a file at a time, while they are due and there is time.

    Return their number. `most` limits it. The rows of a file are deleted also if the time is over meanwhile. Raises
    ArchiveBusy, or ArchiveProblem if none could be archived.
    """
    deleted = 0
    with archive.lock():
        while is_due():
            rows = FILE_ROWS if most is None else min(FILE_ROWS, most - deleted)
            try:
                keys = archive.write(kind, before, rows, lambda: steps.is_over) if rows > 0 else []
            except ArchiveProblem:
                if deleted:  # the next call raises it, if it lasts
                    break
                raise
            if keys:
                caches["default"].delete(NOTICE)
            deleted += steps.run_all(keys, partial(_delete, model, kind))
            if not keys or steps.is_over:
                break
    return deleted


def _is_due(model: type[models.Model], before: datetime) -> bool:
    times = manager(model).filter(timestamp__lt=before).order_by("timestamp").values_list("timestamp", flat=True)
    oldest = times.first()
    if oldest is None:
        return False
    is_whole_day = oldest.astimezone(UTC).date() < before.astimezone(UTC).date()
    return is_whole_day or bool(times[FILE_ROWS - 1 : FILE_ROWS])


def _delete(model: type[models.Model], kind: str, keys: list[RowKey]) -> None:
    raise_floor(kind, max(key.timestamp for key in keys) + MICROSECOND)
    delete_keys(model, [key.pk for key in keys])


def note_problem(problem: ArchiveProblem) -> None:
    """Log that rows cannot be archived, and store it for readiness."""
    log_throttled(logger, "archiving rows (LLMMONITOR_ARCHIVE_DIR)", problem)
    text = f"Rows cannot be archived, so none are deleted by age: {problem} (LLMMONITOR_ARCHIVE_DIR)."
    caches["default"].set(NOTICE, text, NOTICE_SECONDS)


def archive_notice() -> str | None:
    """Return why rows cannot be archived. None: they can."""
    notice: str | None = caches["default"].get(NOTICE)
    return notice
