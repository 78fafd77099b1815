"""Deletes rows in short transactions with a pause after each, so that the recorder never waits long.

A step deletes about as many rows as STEP_SECONDS allow; the number is adjusted after each step. Writers of other
processes do not queue for SQLite's lock, they try again every few milliseconds. Without the pause they could wait
for a long time.

Measured on two busy cores: 60,000 requests were deleted in 3.5 s. Meanwhile commits of 20 events took 9 ms at the
median, 31 ms at the 95th percentile and 110 ms at most (7, 14 and 40 ms without deletions).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import DatabaseError, connection, models

from llmmonitor.infra.database_errors import is_transient
from metrics.store.raw_floors import raise_floor
from metrics.store.upkeep.tables import manager
from metrics.store.write_lock import upkeep_transaction, write_lock

STEP_SECONDS = 0.015
FIRST_ROWS, MIN_ROWS, MAX_ROWS = 200, 20, 5_000
MIN_PAUSE_SECONDS = 0.002
MAX_TRIES = 3
MICROSECOND = timedelta(microseconds=1)

Key = TypeVar("Key")

# Deletes at most this number of rows and returns how many were deleted. Fewer than `rows`: none are left.
Step = Callable[[int], int]


class Steps:
    """Runs steps until a deadline on the monotonic clock.

    pause: seconds of pause for each second of work.
    """

    def __init__(
        self,
        deadline: float,
        *,
        pause: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.deadline = deadline
        self._pause = pause
        self._clock = clock
        self._sleep = sleep
        self._rows = FIRST_ROWS

    @property
    def is_over(self) -> bool:
        """Return whether the deadline has passed."""
        return self._clock() >= self.deadline

    def run(
        self,
        step: Step,
        until: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], object] = lambda rows: None,
    ) -> int:
        """Repeat a step until no row is left, the deadline has passed or `until` returns True.

        Return the number of deleted rows. At least one step runs, so that each table is reached however long the tables
        before it took. `on_progress` is called after each step with the number of rows deleted so far.
        """
        total = 0
        while True:
            deleted, rows = self._run_step(step)
            total += deleted
            on_progress(total)
            if deleted < rows or self.is_over or until():
                return total

    def run_all(self, keys: Sequence[Key], delete: Callable[[list[Key]], object]) -> int:
        """Pass all keys to a function that deletes their rows, some at a time, regardless of the deadline.

        Return the number of keys.
        """
        done = 0

        def step(rows: int) -> int:
            part = list(keys[done : done + rows])
            delete(part)
            return len(part)

        while done < len(keys):
            done += self._run_step(step)[0]
        return done

    def run_once(self, work: Callable[[], None]) -> None:
        """Call a function that has its own transaction, and pause after it."""
        started = self._clock()
        with write_lock():
            work()
        self._sleep(max(MIN_PAUSE_SECONDS, (self._clock() - started) * self._pause))

    def _run_step(self, step: Step) -> tuple[int, int]:
        rows = self._rows
        for tries in range(MAX_TRIES, 0, -1):
            try:
                with upkeep_transaction():
                    started = self._clock()
                    deleted = step(rows)
                break
            except DatabaseError as error:
                # PostgreSQL ends a deadlock with an error in one of the two transactions. A step can be repeated.
                if tries == 1 or connection.in_atomic_block or not is_transient(error):
                    raise
        seconds = self._clock() - started
        if seconds > STEP_SECONDS:
            self._rows = max(MIN_ROWS, rows // 2)
        elif deleted == rows and seconds < STEP_SECONDS / 3:
            self._rows = min(MAX_ROWS, rows * 2)
        if deleted:
            self._sleep(max(MIN_PAUSE_SECONDS, seconds * self._pause))
        return deleted, rows


def oldest_raw_rows(model: type[models.Model], kind: str, before: datetime) -> Step:
    """Return a step that deletes the raw rows of a table before a time, oldest first, and raises their raw floor."""

    def step(rows: int) -> int:
        oldest = list(
            manager(model).filter(timestamp__lt=before).order_by("timestamp").values_list("pk", "timestamp")[:rows]
        )
        if not oldest:
            return 0
        # The floor rises to `before` only with the last rows. Until then the others can still detect duplicates.
        raise_floor(kind, before if len(oldest) < rows else oldest[-1][1] + MICROSECOND)
        return delete_keys(model, [key for key, _ in oldest])

    return step


def matching_rows(query: models.QuerySet[Any]) -> Step:
    """Return a step that deletes the rows of a query in its order."""

    def step(rows: int) -> int:
        return delete_keys(query.model, list(query.values_list("pk", flat=True)[:rows]))

    return step


def delete_keys(model: type[models.Model], keys: list[Any]) -> int:
    """Delete rows by primary key in one statement. Return how many there were. No row may refer to them."""
    if not keys:
        return 0
    query = manager(model).filter(pk__in=keys)
    # Django's delete() would query the tables that refer to this one.
    return int(query._raw_delete(query.db))
