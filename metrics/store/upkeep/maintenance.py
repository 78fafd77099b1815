"""One run of upkeep: the disk limit, retention, and what keeps the store small and its figures right."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import DatabaseError

from metrics import registers
from metrics.retention_policy import RetentionPolicy, changed_within
from metrics.store import compaction
from metrics.store.upkeep import clock, disk_limit, retention, rollup_checks, table_sizes
from metrics.store.upkeep.archiving import Archive
from metrics.store.upkeep.deleting import Steps

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

COMPACTION_EVERY = timedelta(minutes=10)

_compacted_at: datetime | None = None  # when this process last saw that no ended bucket has several rows


def maintain(
    now: datetime, budget_seconds: float, policy: RetentionPolicy | None = None, archive: Archive | None = None
) -> dict[str, int]:
    """Delete rows that are too old or too many for the disk limit. Return the number of rows by table.

    With an archive, requests and errors are archived before they are deleted (`metrics.store.upkeep.archiving`).

    It stops after `budget_seconds` and continues at the next call; each table gets at least one step. Any number of
    processes may run it at the same time. After all tables, it raises the first error of the database.

    In the minute after a person has changed a retention, it keeps only to the disk limit: other processes do not know
    the change yet, and a query that began before still reads complete buckets.
    """
    is_settled = policy is not None or not changed_within(now - retention.READERS_GRACE, now)
    policy = policy or RetentionPolicy.current(fresh=True)
    steps = Steps(time.monotonic() + budget_seconds)
    tasks = _Tasks()
    tasks.run_other("floors", partial(clock.lower_future_floors, now))
    # The disk limit comes before ages: a full store rejects events, but a row that is a minute too old does no harm.
    tasks.run_counting("disk limit", partial(disk_limit.enforce_max_disk, now, steps, archive))
    if is_settled:
        for name, task in retention.deletions(now, policy, steps, archive):
            tasks.run(name, task)
        tasks.run_other("compaction", partial(_merge_leftovers, now, steps))
        tasks.run_other("check of rollups", partial(rollup_checks.check_due_hours, now, steps))
        for name, function in registers.retention:
            tasks.run(name, partial(function, now, steps.deadline))
        tasks.run_other("free pages", partial(disk_limit.shrink_file, steps))
        tasks.run_other("sizes", partial(table_sizes.measure_each_hour, now))
    return tasks.result()


class _Tasks:
    """Runs tasks that do not depend on each other, and adds up the rows that they delete."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._failed: DatabaseError | None = None

    def run(self, table: str, task: Callable[[], int]) -> None:
        """Run a task that deletes rows of one table and returns their number."""
        self.run_counting(table, lambda: {table: task()})

    def run_counting(self, subject: str, task: Callable[[], Mapping[str, int]]) -> None:
        """Run a task that returns the number of deleted rows by table."""
        for name, rows in (self.run_other(subject, task) or {}).items():
            self._counts[name] = self._counts.get(name, 0) + rows

    def run_other(self, subject: str, task: Callable[[], Result]) -> Result | None:
        """Run a task and return its result. Of an error of the database, log it and return None."""
        try:
            return task()
        except DatabaseError as error:
            logger.warning("upkeep: %s: %s", subject, error)
            self._failed = self._failed or error
            return None

    def result(self) -> dict[str, int]:
        """Return the number of deleted rows by table. Raises the first error."""
        if self._failed:
            raise self._failed
        return self._counts


def _merge_leftovers(now: datetime, steps: Steps) -> None:
    """Merge the rollup rows that other processes have left, once in COMPACTION_EVERY."""
    global _compacted_at
    if _compacted_at is None or abs(now - _compacted_at) >= COMPACTION_EVERY:
        compaction.merge_leftovers(now, steps)
        if not steps.is_over:
            _compacted_at = now
