"""Merges the rollup rows of a bucket, in small transactions between commits.

Each commit appends rows (`metrics.store.writing.rollup_rows`). A process counts the rows that it has appended to each
bucket. After a commit it merges those of buckets that have MAX_ROWS or have ended. Rows that another process or an
earlier one has left are merged by upkeep (`merge_leftovers`). A merge deletes rows and inserts their sum in one
transaction, so readers see the same figures before and after it.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial

from django.db import connection, transaction

from metrics.aggregation import Row
from metrics.store.raw_floors import exclude_upkeep
from metrics.store.upkeep.deleting import Steps
from metrics.store.write_lock import write_lock
from metrics.store.writing.rollup_rows import TABLES, RollupTable
from metrics.store.writing.statements import column_of, execute, marks, table_of

MAX_ROWS = 8  # of a bucket; then they are merged
SETTLED_SECONDS = 2  # from the end of a bucket until its rows are merged, because the last ones may come a moment later
LATE_SECONDS = 60  # the same from the first row of a bucket that has ended before
KEYS_PER_STEP = 256
MAX_TRACKED = 100_000  # buckets; beyond, all are merged


class Compactor:
    """Counts the rows that this process appends, and merges them."""

    def __init__(self) -> None:
        self._tables = {table.model: _Tracked(table) for table in TABLES}

    def add(self, appended: Iterable[tuple[RollupTable, Sequence[Row]]], now: datetime) -> None:
        """Count rows that were committed."""
        for table, rows in appended:
            self._tables[table.model].add(rows, now.timestamp())

    def step(self, now: datetime) -> bool:
        """Merge some of the due rows of each table. Return whether more may be due. Raise database errors."""
        merged = False
        for tracked in self._tables.values():
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
        self._settled_at: list[tuple[float, Row]] = []  # a heap

    def add(self, rows: Sequence[Row], now_s: float) -> None:
        """Count appended rows."""
        length = len(self.table.key)
        for row in rows:
            key = row[:length]
            known = self._rows.get(key, 0)
            self._rows[key] = known + 1
            if not known:
                settled_at = self.table.end_of(key) + SETTLED_SECONDS
                heapq.heappush(self._settled_at, (settled_at if settled_at > now_s else now_s + LATE_SECONDS, key))
            if known + 1 >= MAX_ROWS:
                self._full.add(key)
        if len(self._settled_at) > MAX_TRACKED:
            self._full |= {key for key, number in self._rows.items() if number > 1}
            self._rows.clear()
            self._settled_at.clear()

    def take_due(self, now_s: float) -> list[Row]:
        """Return keys whose rows are due, at most KEYS_PER_STEP, and forget their counts."""
        while self._settled_at and self._settled_at[0][0] <= now_s:
            _, key = heapq.heappop(self._settled_at)
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
            chunk = keys[start : start + KEYS_PER_STEP]
            steps.run_once(partial(merge_keys, table, chunk))
            merged += len(chunk)
            if steps.is_over:
                return merged
    return merged
