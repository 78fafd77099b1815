"""The storage statistics: how many rows are stored, how much space they take, and when the store is full.

The six figures of the first part are read now. Rows and bytes of each table are those of the newest measurement, which
upkeep takes about once an hour (`metrics.sizes`), because measuring reads the whole database.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.conf import settings
from django.core.cache import caches

from metrics.models import ErrorMetrics, InferenceMetrics, SystemMetrics, TableSize
from metrics.queries.read.budget import query_budget
from metrics.queries.time.window import iso
from metrics.sizes.database import database_size
from metrics.sizes.growth import SPAN, Growth, Measured, days_until_full, growth_of
from metrics.sizes.redis_memory import redis_memory_bytes
from metrics.sizes.tables import TOTAL, StoredTable, stored_tables

CACHE_SECONDS = 10
# Longer where counting takes long, as of many rows on PostgreSQL, so that an open page takes a twentieth of its time.
CACHE_TIMES = 20
KEY = "storage"
ALERT_HISTORY = "alert_changes"  # in the register of tables; alerts are above this package
MIB = 2**20


@dataclass(frozen=True)
class TableStorage:
    """The rows of a table, or of one resolution. All but the first three is None where it is not known.

    kept: None if rows are not deleted by age. bytes: with indexes.
    """

    name: str
    title: str
    kept: timedelta | None
    rows: int | None = None
    bytes: int | None = None
    oldest: datetime | None = None
    measured_at: datetime | None = None
    growth_bytes_per_day: float | None = None

    @property
    def bytes_per_row(self) -> float | None:
        """The mean size of a row with its part of the indexes."""
        return self.bytes / self.rows if self.bytes is not None and self.rows else None

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "rows": self.rows,
            "bytes": self.bytes,
            "bytes_per_row": _rounded(self.bytes_per_row, 1),
            "oldest": _iso(self.oldest),
            "kept_seconds": None if self.kept is None else round(self.kept.total_seconds()),
            "growth_bytes_per_day": _rounded(self.growth_bytes_per_day),
            "measured_at": _iso(self.measured_at),
        }


@dataclass(frozen=True)
class Storage:
    """The statistics. MB are 2**20 bytes.

    redis_memory_usage: None without Redis. free_page_bytes, free_pages: of SQLite's file, without content; new rows use
    them. room_bytes: the growth until the limit of the store, or of the disk, is reached. growth_bytes_per_day: of all
    tables, over the last week; None until six hours were measured. days_until_full: None if the store does not grow,
    never becomes full because rows are deleted by their age, or its growth is not known. history: the size without free
    pages as (time, bytes), of each hour of the last week and each day before.
    """

    at: datetime
    inference_metrics_count: int
    system_metrics_count: int
    error_metrics_count: int
    alert_history_count: int
    database_size_mb: float
    redis_memory_usage: float | None
    measured_at: datetime | None
    tables: tuple[TableStorage, ...]
    used_bytes: int
    free_page_bytes: int | None
    free_pages: int | None
    write_ahead_log_bytes: int | None
    disk_free_bytes: int | None
    max_bytes: int
    room_bytes: int
    growth_bytes_per_day: float | None
    days_until_full: float | None
    history: tuple[tuple[datetime, int], ...]

    @property
    def size_bytes(self) -> int:
        """The size on the disk, with indexes, free pages and, on SQLite, the write-ahead log."""
        return round(self.database_size_mb * MIB)

    def as_dict(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return {
            "at": iso(self.at),
            "inference_metrics_count": self.inference_metrics_count,
            "system_metrics_count": self.system_metrics_count,
            "error_metrics_count": self.error_metrics_count,
            "alert_history_count": self.alert_history_count,
            "database_size_mb": _rounded(self.database_size_mb, 3),
            "redis_memory_usage": _rounded(self.redis_memory_usage, 3),
            "measured_at": _iso(self.measured_at),
            "tables": [table.as_dict() for table in self.tables],
            "used_bytes": self.used_bytes,
            "free_page_bytes": self.free_page_bytes,
            "free_pages": self.free_pages,
            "write_ahead_log_bytes": self.write_ahead_log_bytes,
            "disk_free_bytes": self.disk_free_bytes,
            "max_bytes": self.max_bytes,
            "room_bytes": self.room_bytes,
            "growth_bytes_per_day": _rounded(self.growth_bytes_per_day),
            "days_until_full": _rounded(self.days_until_full, 1),
            "history": [[round(at.timestamp() * 1000), size] for at, size in self.history],
        }


def storage(now: datetime, measured: Mapping[str, Measured] | None = None) -> Storage:
    """Return the statistics, at most CACHE_SECONDS or CACHE_TIMES the time of their query old. Raises QueryStopped.

    With a measurement that was just taken, they are read now, without a limit of time.
    """
    if measured is not None:
        return _compute(now, measured)
    entry: tuple[float, Storage] | None = caches["queries"].get(KEY)
    if entry is not None and timedelta(0) <= now - entry[1].at <= timedelta(seconds=entry[0]):
        return entry[1]
    started = monotonic()
    with query_budget():
        result = _compute(now, {})
    seconds = max(CACHE_SECONDS, CACHE_TIMES * (monotonic() - started))
    caches["queries"].set(KEY, (seconds, result), seconds)
    return result


def _compute(now: datetime, measured: Mapping[str, Measured]) -> Storage:
    tables, history, size = stored_tables(), _measurements(measured), database_size()
    max_disk, disk_floor = settings.LLMMONITOR.max_disk, settings.LLMMONITOR.disk_floor
    room, redis_bytes = size.room(max_disk, disk_floor), redis_memory_bytes()
    growths = {table.name: growth_of(history[table.name], table.kept) for table in tables}
    total = growth_of(history[TOTAL], None)
    return Storage(
        at=now,
        inference_metrics_count=InferenceMetrics.objects.count(),
        system_metrics_count=SystemMetrics.objects.count(),
        error_metrics_count=ErrorMetrics.objects.count(),
        alert_history_count=sum(table.count() for table in tables if table.name == ALERT_HISTORY),
        database_size_mb=size.total / MIB,
        redis_memory_usage=None if redis_bytes is None else redis_bytes / MIB,
        measured_at=history[TOTAL][-1].at if history[TOTAL] else None,
        tables=tuple(_table(table, history[table.name], growths[table.name]) for table in tables),
        used_bytes=size.used,
        free_page_bytes=size.free,
        free_pages=size.free_pages,
        write_ahead_log_bytes=size.write_ahead_log,
        disk_free_bytes=size.disk_free,
        max_bytes=max_disk,
        room_bytes=room,
        growth_bytes_per_day=total.bytes_per_day if total else None,
        days_until_full=_days_until_full(room, total, [*growths.values()]),
        history=_sizes(measured),
    )


def _table(table: StoredTable, history: list[Measured], growth: Growth | None) -> TableStorage:
    of_table = TableStorage(table.name, table.title, table.kept)
    if not history:
        return of_table
    last = history[-1]
    return TableStorage(
        table.name,
        table.title,
        table.kept,
        last.rows,
        last.bytes,
        last.oldest,
        last.at,
        growth.bytes_per_day if growth else None,
    )


def _days_until_full(room: int, total: Growth | None, growths: list[Growth | None]) -> float | None:
    if room > 0 and (total is None or total.bytes_per_day <= 0):
        return None
    known = [growth for growth in growths if growth is not None]
    # Where SQLite cannot tell the bytes of tables, the growth of the whole continues as it is.
    return days_until_full(room, known or ([total] if total else []))


def _measurements(measured: Mapping[str, Measured]) -> dict[str, list[Measured]]:
    """Return those of the week that ends with the newest, by table in the order of time. The new ones are the last."""
    history: dict[str, list[Measured]] = defaultdict(list)
    rows = TableSize.objects.order_by("at")
    newest = max((one.at for one in measured.values()), default=None) or rows.values_list("at", flat=True).last()
    if newest is not None:
        of_week = rows.filter(at__gte=newest - SPAN, at__lte=newest)
        for name, at, number, size, oldest in of_week.values_list("table", "at", "rows", "bytes", "oldest"):
            history[name].append(Measured(at, number, size, oldest))
    for name, one in measured.items():
        history[name].append(one)
    return history


def _sizes(measured: Mapping[str, Measured]) -> tuple[tuple[datetime, int], ...]:
    """Return the size of the database over time, the new measurement last."""
    stored = TableSize.objects.filter(table=TOTAL).order_by("at").values_list("at", "bytes")
    new = [(one.at, one.bytes) for name, one in measured.items() if name == TOTAL]
    return tuple((at, size) for at, size in (*stored, *new) if size is not None)


def _rounded(value: float | None, digits: int | None = None) -> float | None:
    return None if value is None else round(value, digits)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else iso(at)
