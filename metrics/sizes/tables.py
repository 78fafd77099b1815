"""The tables of the storage statistics, as people think of them, in their order; other apps add theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Min, Model, QuerySet

from metrics import registers
from metrics.levels import HOUR
from metrics.models import (
    EngineMetrics,
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    RecentId,
    Series,
    SystemMetrics,
)
from metrics.retention_policy import kept

BUCKET = "bucket"
OTHER = "other"
TOTAL = "database"  # the name of all tables together among measurements


@dataclass(frozen=True)
class StoredTable:
    """Rows that are shown together: those of one table, of one resolution in it, or of several small tables.

    kept: how long a row is kept, the longest if it depends on the row; None if rows are not deleted by age.
    time: the field with the time of a row; None if there is none.
    parts: tables whose bytes belong to it, but whose rows are not counted.
    setting: that of its retention (`metrics.retention_policy`); None if it has none.
    """

    name: str
    title: str
    models: tuple[type[Model], ...]
    kept: timedelta | None = None
    time: str | None = None
    resolution: int | None = None
    parts: tuple[type[Model], ...] = ()
    setting: str | None = None

    def count(self) -> int:
        """Return the number of rows."""
        return sum(self._rows(model).count() for model in self.models)

    def oldest(self) -> datetime | None:
        """Return the time of the oldest row; None if there are no rows or they have no time."""
        if self.time is None:
            return None
        oldest = self._rows(self.models[0]).aggregate(oldest=Min(self.time))["oldest"]
        return datetime.fromtimestamp(oldest, UTC) if self.time == BUCKET and oldest is not None else oldest

    def count_before(self, at: datetime, limit: int) -> int:
        """Return the number of rows that are older than a time, at most `limit`."""
        before: Any = at
        if self.time == BUCKET:
            length = self.resolution or HOUR  # a table without resolutions has hours
            before = int(at.timestamp()) // length * length
        older = (self._rows(model).filter(**{f"{self.time}__lt": before}) for model in self.models)
        return min(limit, sum(rows[:limit].count() for rows in older))

    def tables(self) -> tuple[str, ...]:
        """Return the names of its tables in the database."""
        return tuple(model._meta.db_table for model in (*self.models, *self.parts))

    def _rows(self, model: type[Model]) -> QuerySet[Any]:
        rows = model._default_manager.order_by()
        return rows if self.resolution is None else rows.filter(resolution=self.resolution)


def stored_tables() -> list[StoredTable]:
    """Return all tables, each in one of the rows; the last is for those that no other names."""
    tables = _measurements()
    for _, of_app in registers.stored_tables:
        tables += of_app()
    named = {name for table in tables for name in table.tables()}
    others = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table not in named]
    return [*tables, StoredTable(OTHER, "Everything else", tuple(others))]


def _measurements() -> list[StoredTable]:
    samples = (
        ("host_samples", "Samples of hosts", SystemMetrics),
        ("gpu_samples", "Samples of GPUs", GPUMetrics),
        ("queue_samples", "Samples of queues", QueueMetrics),
        ("engine_samples", "Samples of engines", EngineMetrics),
    )
    second, minute, hour = "one_second_minutes", "one_minute_days", "one_hour_days"
    requests, gauges = InferenceRollup, GaugeRollup
    return [
        _kept("requests", "Requests", InferenceMetrics, "raw_inference_days", "timestamp"),
        _kept("errors", "Errors", ErrorMetrics, "errors_days", "timestamp"),
        *(_kept(name, title, model, "samples_hours", "timestamp") for name, title, model in samples),
        _kept("rollups_1s", "Rollups of requests, 1 s", requests, second, BUCKET, 1),
        _kept("rollups_1min", "Rollups of requests, 1 min", requests, minute, BUCKET, 60),
        _kept("rollups_1h", "Rollups of requests, 1 h", requests, hour, BUCKET, HOUR),
        _kept("gauge_rollups_1min", "Rollups of samples, 1 min", gauges, minute, BUCKET, 60),
        _kept("gauge_rollups_1h", "Rollups of samples, 1 h", gauges, hour, BUCKET, HOUR),
        _kept("error_rollups", "Errors by hour", ErrorGroupRollup, hour, BUCKET),
        _kept("recent_ids", "Ids of events without a timestamp", RecentId, "recent_id_minutes", "at"),
        # They are deleted when no row refers to them.
        StoredTable("labels", "Label sets and groups of errors", (Series, GaugeLabels, ErrorGroup)),
    ]


def _kept(
    name: str, title: str, model: type[Model], setting: str, time: str, resolution: int | None = None
) -> StoredTable:
    return StoredTable(name, title, (model,), kept(setting), time, resolution, setting=setting)
