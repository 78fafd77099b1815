"""Measures the rows, bytes and oldest row of each table.

On SQLite, `dbstat` walks all pages of a table or an index: 0.5 s for 700 MiB that the system has in memory; otherwise
it takes as long as to read the file. So each is a statement of its own, which is stopped after its share of the time;
between two of them no read transaction is open, and none takes a lock that writers wait for. SQLite may be compiled
without `dbstat`; bytes are then unknown. On PostgreSQL, `pg_total_relation_size` asks for the sizes of files. Rows are
counted exactly: SQLite reads only the number of cells of each page of the smallest index, 14 ms for three million rows.

Rollups of several resolutions share one table. Its bytes are split by the number of rows and the mean size of a row,
which is estimated from the oldest and the newest rows of each resolution.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial, reduce
from operator import add
from typing import Any, Protocol

from django.db import OperationalError, connection
from django.db.models import BinaryField
from django.db.models.functions import Length

from llmmonitor.infra.statement_limit import limit_statements, was_stopped
from metrics.sizes.database import database_size, sqlite_pragma
from metrics.sizes.growth import Measured, split
from metrics.sizes.tables import BUCKET, OTHER, TOTAL, StoredTable

FIXED_BYTES = 150  # of a rollup beside its histograms, with its part of the index
TRIES = 2
SAMPLE_ROWS = 200  # at both ends of a resolution
# Pages of SQLite's file without rows: one at this offset, and with auto_vacuum, those with a pointer for each page.
LOCK_OFFSET = 2**30
POINTER_BYTES = 5


def measure(tables: Iterable[StoredTable], now: datetime, seconds: float) -> dict[str, Measured]:
    """Return the measurement of each table by name, and that of the TOTAL.

    Together they take at most `seconds`. Each table has an equal share of the time that is left, so that one that needs
    longer does not take that of the others. It is tried again after them, with the time that they did not need. Tables
    that would need more are missing. The bytes of the TOTAL are without free pages.
    """
    deadline = time.monotonic() + seconds
    missing = list(tables)
    measuring = _Measuring(list(missing))
    measured: dict[str, Measured] = {}
    for _ in range(TRIES):
        for number, table in enumerate(missing):
            now_measured = _within(deadline, len(missing) - number, partial(_measure_table, measuring, table, now))
            if now_measured is not None:
                measured[table.name] = now_measured
        missing = [table for table in missing if table.name not in measured]
    rows = sum(table.rows for table in measured.values())
    return {**measured, TOTAL: Measured(now, rows, database_size().used)}


def _measure_table(measuring: _Measuring, table: StoredTable, now: datetime) -> Measured:
    return Measured(now, measuring.rows(table), measuring.bytes(table), table.oldest())


def _within(deadline: float, shares: int, task: Callable[[], Measured]) -> Measured | None:
    """Return the result of a task; None if it needs longer than one of the shares of the time until the deadline."""
    started = time.monotonic()
    seconds = (deadline - started) / shares
    if seconds <= 0:
        return None
    try:
        with limit_statements(seconds, lambda: time.monotonic() > started + seconds):
            return task()
    except OperationalError as error:
        if not was_stopped(error):
            raise
        return None


class _Files(Protocol):
    """The bytes of tables with their indexes, by the names of the tables. None: not known."""

    def sum_of(self, tables: Iterable[str]) -> int | None: ...

    def others(self, tables: Iterable[str]) -> int | None:
        """All but these tables."""


class _SqliteFiles:
    def __init__(self) -> None:
        self._bytes: dict[str, int] = {}  # of a tree, so that a table that was stopped continues with the next
        self._trees: dict[str, list[str]] = {"sqlite_schema": ["sqlite_schema"]}  # table -> itself and its indexes
        for table, tree in _fetch("SELECT tbl_name, name FROM sqlite_schema WHERE rootpage > 0"):
            self._trees.setdefault(table, []).append(tree)
        self._has_dbstat = bool(_fetch("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'"))

    def sum_of(self, tables: Iterable[str]) -> int | None:
        if not self._has_dbstat:
            return None
        return sum(self._of_tree(tree) for table in tables for tree in self._trees[table])

    def others(self, tables: Iterable[str]) -> int | None:
        rest = self.sum_of(self._trees.keys() - set(tables))
        return None if rest is None else rest + _own_pages() * sqlite_pragma("page_size")

    def _of_tree(self, tree: str) -> int:
        if tree not in self._bytes:
            ((size,),) = _fetch("SELECT sum(pgsize) FROM dbstat WHERE name = %s", tree)
            self._bytes[tree] = size or 0
        return self._bytes[tree]


def _own_pages() -> int:
    """Return the number of pages that SQLite itself needs."""
    page, pages = sqlite_pragma("page_size"), sqlite_pragma("page_count")
    lock = 1 if pages > LOCK_OFFSET // page else 0
    if not sqlite_pragma("auto_vacuum") or pages < 2:
        return lock
    # The second page is the first with pointers; they are for the pages up to the next.
    return lock + 1 + (pages - 2) // (page // POINTER_BYTES + 1)


class _PostgresFiles:
    def __init__(self) -> None:
        # All tables of the monitor are in the schema that Django creates them in.
        self._bytes: dict[str, int] = dict(
            _fetch(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
                "WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
            )
        )

    def sum_of(self, tables: Iterable[str]) -> int | None:
        return sum(self._bytes[table] for table in tables)

    def others(self, tables: Iterable[str]) -> int | None:
        return self.sum_of(self._bytes.keys() - set(tables))


def _fetch(statement: str, *values: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall())


@dataclass
class _Measuring:
    """One measurement. What several tables need is read once."""

    tables: list[StoredTable]
    _files: _Files | None = None
    _rows: dict[str, int] = field(default_factory=dict)
    _shares: dict[str, int] = field(default_factory=dict)

    def rows(self, table: StoredTable) -> int:
        if table.name not in self._rows:
            self._rows[table.name] = table.count()
        return self._rows[table.name]

    def bytes(self, table: StoredTable) -> int | None:
        if self._files is None:
            self._files = _PostgresFiles() if connection.vendor == "postgresql" else _SqliteFiles()
        if table.name == OTHER:
            return self._files.others({name for one in self.tables if one is not table for name in one.tables()})
        if table.resolution is None:
            return self._files.sum_of(table.tables())
        if table.name not in self._shares:
            total = self._files.sum_of(table.tables())
            if total is None:
                return None
            self._split(total, [one for one in self.tables if one.tables() == table.tables()])
        return self._shares[table.name]

    def _split(self, total: int, resolutions: list[StoredTable]) -> None:
        weights = [self.rows(one) * _row_bytes(one) for one in resolutions]
        for one, share in zip(resolutions, split(total, weights), strict=True):
            self._shares[one.name] = share


def _row_bytes(table: StoredTable) -> float:
    """Return the estimated bytes of a row of one resolution."""
    model = table.models[0]
    histograms = [one.name for one in model._meta.get_fields() if isinstance(one, BinaryField)]
    if not histograms:
        return FIXED_BYTES
    rows = model._default_manager.filter(resolution=table.resolution).annotate(
        size=reduce(add, map(Length, histograms))
    )
    sizes = [
        size
        for order in (BUCKET, f"-{BUCKET}")
        for size in rows.order_by(order).values_list("size", flat=True)[:SAMPLE_ROWS]
    ]
    return FIXED_BYTES + (sum(sizes) / len(sizes) if sizes else 0)
