"""The tables of the storage statistics, as people think of them, in their order; other apps add theirs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Min, Model, QuerySet

from metrics import registers
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
    Series,
    SystemMetrics,
)
from metrics.retention_policy import RetentionPolicy

BUCKET = "bucket"
OTHER = "other"
TOTAL = "database"  # the name of all tables together among measurements


@dataclass(frozen=True)
class StoredTable:
    """Rows that are shown together: those of one table, of one resolution in it, or of several small tables.

    kept: how long a row is kept, the longest if it depends on the row; None if rows are not deleted by age.
    time: the field with the time of a row; None if there is none.
    parts: tables whose bytes belong to it, but whose rows are not counted.
    """

    name: str
    title: str
    models: tuple[type[Model], ...]
    kept: timedelta | None = None
    time: str | None = None
    resolution: int | None = None
    parts: tuple[type[Model], ...] = ()

    def count(self) -> int:
        """Return the number of rows."""
        return sum(self._rows(model).count() for model in self.models)

    def oldest(self) -> datetime | None:
        """Return the time of the oldest row; None if there are no rows or they have no time."""
        if self.time is None:
            return None
        oldest = self._rows(self.models[0]).aggregate(oldest=Min(self.time))["oldest"]
        return datetime.fromtimestamp(oldest, UTC) if self.time == BUCKET and oldest is not None else oldest

    def tables(self) -> tuple[str, ...]:
        """Return the names of its tables in the database."""
        return tuple(model._meta.db_table for model in (*self.models, *self.parts))

    def _rows(self, model: type[Model]) -> QuerySet[Any]:
        rows = model._default_manager.order_by()
        return rows if self.resolution is None else rows.filter(resolution=self.resolution)


def stored_tables() -> list[StoredTable]:
    """Return all tables, each in one of the rows; the last is for those that no other names."""
    policy = RetentionPolicy.from_settings()
    tables = _measurements(policy)
    for _, of_app in registers.stored_tables:
        tables += of_app()
    named = {name for table in tables for name in table.tables()}
    others = [model for model in apps.get_models(include_auto_created=True) if model._meta.db_table not in named]
    return [*tables, StoredTable(OTHER, "Everything else", tuple(others))]


def _measurements(policy: RetentionPolicy) -> list[StoredTable]:
    samples = (
        ("host_samples", "Samples of hosts", SystemMetrics),
        ("gpu_samples", "Samples of GPUs", GPUMetrics),
        ("queue_samples", "Samples of queues", QueueMetrics),
        ("engine_samples", "Samples of engines", EngineMetrics),
    )
    requests, gauges = ((InferenceRollup,), (GaugeRollup,))
    kept = policy.rollups
    return [
        StoredTable("requests", "Requests", (InferenceMetrics,), policy.raw_inferences, "timestamp"),
        StoredTable("errors", "Errors", (ErrorMetrics,), policy.errors, "timestamp"),
        *(StoredTable(name, title, (model,), policy.samples, "timestamp") for name, title, model in samples),
        StoredTable("rollups_1s", "Rollups of requests, 1 s", requests, kept[1], BUCKET, 1),
        StoredTable("rollups_1min", "Rollups of requests, 1 min", requests, kept[60], BUCKET, 60),
        StoredTable("rollups_1h", "Rollups of requests, 1 h", requests, kept[3600], BUCKET, 3600),
        StoredTable("gauge_rollups_1min", "Rollups of samples, 1 min", gauges, kept[60], BUCKET, 60),
        StoredTable("gauge_rollups_1h", "Rollups of samples, 1 h", gauges, kept[3600], BUCKET, 3600),
        StoredTable("error_rollups", "Errors by hour", (ErrorGroupRollup,), kept[3600], BUCKET),
        # They are deleted when no row refers to them.
        StoredTable("labels", "Label sets and groups of errors", (Series, GaugeLabels, ErrorGroup)),
    ]
