"""Merges the rollup rows of a bucket, in small transactions between commits.

Each commit appends rows (`metrics.store.writing.rollup_rows`). A process counts the rows that it has appended to each
bucket, and merges them when there are MAX_ROWS, or when the bucket has ended. Rows that another process or an earlier
one has left are found by upkeep (`merge_leftovers`). A merge deletes rows and inserts their sum in one transaction, so
readers see the same figures before and after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import connection, transaction

from metrics.aggregation import Row
from metrics.store.raw_floors import exclude_upkeep
from metrics.store.upkeep.deleting import Steps
from metrics.store.write_lock import write_lock
from metrics.store.writing.rollup_rows import TABLES, RollupTable
from metrics.store.writing.statements import column_of, execute, marks, table_of

MAX_ROWS = 8  # of a bucket; then they are merged
# Commits of this time are still in the ticks' newest bucket, or late by a moment.
SETTLED_SECONDS = 2
KEYS_PER_STEP = 256
MAX_TRACKED = 50_000  # buckets; beyond, the oldest are left to upkeep


class Compactor:
    """Counts the rows that this process appends, and merges them."""

    def __init__(self) -> None:
        self._tables = [_Tracked(table) for table in TABLES]

    def add(self, appended: Iterable[tuple[RollupTable, Sequence[Row]]], now: datetime) -> None:
        """Count rows that were committed."""
        for tracked in self._tables:
            for table, rows in appended:
                if table is tracked.table:
                    tracked.add(rows, now.timestamp())

    def step(self, now: datetime) -> bool:
        """Merge some of the due rows of each table. Return whether more may be due. Raise database errors."""
        merged = False
        for tracked in self._tables:
            if keys := tracked.take_due(now.timestamp()):
                with write_lock():
                    merge_keys(tracked.table, keys)
                merged = True
        return merged


class _Tracked:
    """The rows of one table that this process has appended to each bucket since the last merge."""

    def __init__(self, table: RollupTable) -> None:
        self.table = table
        self._rows: dict[Row, int] = {}
        self._full: set[Row] = set()
        self._ends: list[tuple[int, Row]] = []  # a heap of the ends of open buckets

    def add(self, rows: Sequence[Row], now_s: float) -> None:
        """Count appended rows."""
        length = len(self.table.key)
        for row in rows:
            key = row[:length]
            known = self._rows.get(key, 0)
            self._rows[key] = known + 1
            if not known and (end := self.table.end_of(key)) > now_s - SETTLED_SECONDS:
                heapq.heappush(self._ends, (end, key))
            if known + 1 >= MAX_ROWS:
                self._full.add(key)
        while len(self._rows) > MAX_TRACKED:
            oldest = next(iter(self._rows))
            del self._rows[oldest]
            self._full.discard(oldest)

    def take_due(self, now_s: float) -> list[Row]:
        """Return keys whose rows are due, at most KEYS_PER_STEP, and forget their counts."""
        while self._ends and self._ends[0][0] + SETTLED_SECONDS <= now_s:
            _, key = heapq.heappop(self._ends)
            if self._rows.get(key, 0) > 1:
                self._full.add(key)
            else:
                self._rows.pop(key, None)
        due = [self._full.pop() for _ in range(min(KEYS_PER_STEP, len(self._full)))]
        for key in due:
            # An open bucket that was merged has one row. It is counted, so that it is merged when it ends.
            if self.table.end_of(key) + SETTLED_SECONDS > now_s:
                self._rows[key] = 1
            else:
                self._rows.pop(key, None)
        return due


def merge_keys(table: RollupTable, keys: Sequence[Row]) -> None:
    """Merge the rows of each key in one transaction."""
    with transaction.atomic():
        exclude_upkeep()
        _merge_keys(table, keys)


def _merge_keys(table: RollupTable, keys: Sequence[Row]) -> None:
    quoted = [column_of(table.model, name) for name in table.key + table.values]
    key = ", ".join(quoted[: len(table.key)])
    name = table_of(table.model)
    where = f"({key}) IN {marks(connection.vendor, len(keys), len(table.key))}"
    if connection.vendor == "postgresql":
        # Another process may be merging the same rows. Those that it holds are left to it.
        where = f"id IN (SELECT id FROM {name} WHERE {where} ORDER BY id FOR UPDATE SKIP LOCKED)"
    statement = f"DELETE FROM {name} WHERE {where} RETURNING {', '.join(quoted)}"
    rows = execute(statement, [part for item in keys for part in item], True)
    table.insert.run(table.merge(rows))


def merge_leftovers(now: datetime, steps: Steps) -> int:
    """Merge the rows of ended buckets that have several. Return the number of buckets."""
    merged = 0
    for table in TABLES:
        quoted = ", ".join(column_of(table.model, name) for name in table.key)
        name = table_of(table.model)
        statement = f"SELECT {quoted} FROM {name} GROUP BY {quoted} HAVING count(*) > 1"
        keys = [key for key in execute(statement, (), True) if table.end_of(key) + SETTLED_SECONDS <= now.timestamp()]
        for start in range(0, len(keys), KEYS_PER_STEP):
            steps.run_once(lambda chunk=keys[start : start + KEYS_PER_STEP], table=table: merge_keys(table, chunk))  # type: ignore[misc]
            merged += len(keys[start : start + KEYS_PER_STEP])
            if steps.is_over:
                return merged
    return merged
