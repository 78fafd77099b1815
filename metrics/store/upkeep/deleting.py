"""Deleting in small timed steps: short transactions with a rest after each, so that the recorder never waits long.

A step deletes as many rows as take STEP_SECONDS; how many that is, it finds out. Waiting writers of other processes try
again every few milliseconds instead of queueing, so without the rest they could starve.

Measured on two busy cores: 60,000 requests went in 3.5 s, while commits of 20 events took 9 ms at the median, 31 ms at
the 95th percentile and 110 ms at most (7, 14 and 40 ms without it).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, models
from django.utils.text import camel_case_to_spaces

from llmmonitor.infra.database_errors import is_transient
from metrics.store.raw_floors import raise_floor
from metrics.store.write_lock import eager, writing

STEP_SECONDS = 0.025
FIRST_ROWS, LEAST_ROWS, MOST_ROWS = 200, 20, 5_000
LEAST_REST_SECONDS = 0.002
MOST_TRIES = 3
MICROSECOND = timedelta(microseconds=1)

# Deletes up to so many rows and says how many it were. Fewer than asked for: nothing is left.
Step = Callable[[int], int]


class Steps:
    """Steps until a deadline. `deadline`: on the monotonic clock. `rest`: seconds of rest for each second of work."""

    def __init__(
        self,
        deadline: float,
        *,
        rest: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.deadline = deadline
        self._rest = rest
        self._clock = clock
        self._sleep = sleep
        self._rows = FIRST_ROWS

    @property
    def over(self) -> bool:
        """Whether the time is used up."""
        return self._clock() >= self.deadline

    def run(
        self,
        step: Step,
        until: Callable[[], bool] = lambda: False,
        on_progress: Callable[[int], object] = lambda rows: None,
    ) -> int:
        """Repeat a step until it finds nothing more, the deadline passes or `until` holds; how many rows went.

        It runs at least one step, so that no table is starved by those before it. `on_progress` is called after each
        step with the number of rows deleted so far.
        """
        total = 0
        while True:
            deleted, rows = self._take(step)
            total += deleted
            on_progress(total)
            if deleted < rows or self.over or until():
                return total

    def pause(self, work: Callable[[], None]) -> None:
        """Do a piece of work that has its own transaction, and rest after it."""
        started = self._clock()
        with writing():
            work()
        self._sleep(max(LEAST_REST_SECONDS, (self._clock() - started) * self._rest))

    def _take(self, step: Step) -> tuple[int, int]:
        rows = self._rows
        for tries in range(MOST_TRIES, 0, -1):
            try:
                with eager():
                    started = self._clock()
                    deleted = step(rows)
                break
            except DatabaseError as error:
                # PostgreSQL ends a deadlock by failing one of the two; a step has nothing to lose.
                if tries == 1 or connection.in_atomic_block or not is_transient(error):
                    raise
        took = self._clock() - started
        if took > STEP_SECONDS:
            self._rows = max(LEAST_ROWS, rows // 2)
        elif deleted == rows and took < STEP_SECONDS / 3:
            self._rows = min(MOST_ROWS, rows * 2)
        if deleted:
            self._sleep(max(LEAST_REST_SECONDS, took * self._rest))
        return deleted, rows


def oldest_raw(model: type[models.Model], kind: str, before: datetime) -> Step:
    """A step over the raw rows of a table from before a time, the oldest first. It moves their raw floor."""

    def step(rows: int) -> int:
        found = list(
            manager(model).filter(timestamp__lt=before).order_by("timestamp").values_list("pk", "timestamp")[:rows]
        )
        if not found:
            return 0
        # Up to `before` only with the last of them: until then, rows that could recognise a repeat are still there.
        raise_floor(kind, before if len(found) < rows else found[-1][1] + MICROSECOND)
        return delete_keys(model, [key for key, _ in found])

    return step


def matching(found: models.QuerySet[Any]) -> Step:
    """A step over the rows of a query, in the query's own order."""

    def step(rows: int) -> int:
        return delete_keys(found.model, list(found.values_list("pk", flat=True)[:rows]))

    return step


def delete_keys(model: type[models.Model], keys: list[Any]) -> int:
    """Delete rows by primary key in one statement; nothing refers to them. How many there were."""
    if not keys:
        return 0
    chosen = manager(model).filter(pk__in=keys)
    # Django's `delete` would load what refers to the rows; who calls this has removed that already.
    return int(chosen._raw_delete(chosen.db))


def manager(model: type[models.Model]) -> models.Manager[Any]:
    """All rows of a model."""
    return model._default_manager


def table_name(model: type[models.Model]) -> str:
    """What a table is called in counts: `inference_metrics`, `gpu_metrics`."""
    return camel_case_to_spaces(model.__name__).replace(" ", "_")
