"""Rollup rows: locked, read, merged with new counts and written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

from metrics.aggregation import HISTOGRAM_COLUMNS, INTEGER_COLUMNS, BucketKey, GaugeBucket, InferenceBucket
from metrics.histogram import Histogram
from metrics.models import ErrorGroupRollup, GaugeRollup, InferenceRollup
from metrics.store.writing.statements import Insert, column_of, execute, marks

INFERENCE_KEY = ("resolution", "bucket", "series")
INFERENCE_VALUES = INTEGER_COLUMNS + HISTOGRAM_COLUMNS
GAUGE_KEY = ("resolution", "metric", "bucket", "labels")
GAUGE_VALUES = ("count", "sum", "min", "max", "last", "last_at")
GROUP_KEY = ("bucket", "group", "series")

GaugeBucketKey = tuple[int, str, int, int]  # resolution, metric, bucket, labels
GroupKey = tuple[int, int, int]  # bucket, group, series

_MAX_KEYS = 1_000  # in one SELECT


class _RollupTable:
    """Locks, reads and writes the rows of a rollup table by key."""

    def __init__(self, model: type[models.Model], key: Sequence[str], values: Sequence[str]) -> None:
        self.model, self.key, self.values = model, tuple(key), tuple(values)
        columns = self.key + self.values
        self.upsert = Insert(model, columns, conflict=self.key, update=self.values)
        self._insert = Insert(model, columns, conflict=self.key)

    def load(
        self,
        keys: Sequence[tuple[Any, ...]],
        empty: tuple[Any, ...],
        insert_keys: Sequence[tuple[Any, ...]] | None = None,
    ) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """Return the values of the keys that are stored, and lock their rows until the commit.

        PostgreSQL can only lock rows that exist, so missing rows are inserted there first, with the values `empty`:
        those of `insert_keys`, or of all keys. Keys must be sorted, so that transactions do not deadlock.
        """
        postgres = connection.vendor == "postgresql"
        if postgres:
            self._insert.run([(*key, *empty) for key in (keys if insert_keys is None else insert_keys)])
        quoted = ", ".join(column_of(self.model, name) for name in self.key)
        columns = ", ".join(column_of(self.model, name) for name in self.key + self.values)
        table = connection.ops.quote_name(self.model._meta.db_table)
        lock = f" ORDER BY {quoted} FOR UPDATE" if postgres else ""
        width = len(self.key)
        values: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for start in range(0, len(keys), _MAX_KEYS):
            chunk = keys[start : start + _MAX_KEYS]
            statement = (
                f"SELECT {columns} FROM {table} WHERE ({quoted}) IN {marks(connection.vendor, len(chunk), width)}{lock}"
            )
            for row in execute(statement, [part for key in chunk for part in key], True):
                values[row[:width]] = row[width:]
        return values


_INFERENCE = _RollupTable(InferenceRollup, INFERENCE_KEY, INFERENCE_VALUES)
_GAUGE = _RollupTable(GaugeRollup, GAUGE_KEY, GAUGE_VALUES)
_GROUP = _RollupTable(ErrorGroupRollup, GROUP_KEY, ("count",))

_NO_INFERENCE = (*(0 for _ in INTEGER_COLUMNS), *(b"" for _ in HISTOGRAM_COLUMNS))
# Minimum and maximum are infinite, so that merging into this row gives the new values.
_NO_GAUGE = (0, 0.0, float("inf"), float("-inf"), 0.0, -(2**62))


def add_inference(buckets: dict[BucketKey, InferenceBucket]) -> None:
    """Add buckets to the stored ones. A bucket that only subtracts counts inserts no row and makes none negative."""
    keys = sorted(buckets)
    stored = _INFERENCE.load(keys, _NO_INFERENCE, [key for key in keys if _adds(buckets[key])])
    rows = []
    for key in keys:
        new, old = buckets[key], stored.get(key)
        if old is None and not _adds(new):
            continue
        rows.append((*key, *_merged(new, old)))
    _INFERENCE.upsert.run(rows)


def _adds(bucket: InferenceBucket) -> bool:
    return bool(bucket.histograms) or any(value > 0 for value in bucket.integers.values())


def _merged(new: InferenceBucket, old: tuple[Any, ...] | None) -> list[Any]:
    total = InferenceBucket()
    if old is not None:
        total.integers = dict(zip(INTEGER_COLUMNS, old, strict=False))
    total.merge(InferenceBucket.of_integers(new.integers))
    row: list[Any] = list(total.integers.values())
    for position, column in enumerate(HISTOGRAM_COLUMNS, len(INTEGER_COLUMNS)):
        packed = old[position] if old is not None else b""
        histogram = new.histograms.get(column)
        if histogram is None:
            row.append(packed)
        elif not len(packed):
            row.append(histogram.pack())
        else:
            merged = Histogram.unpack(packed)
            merged.merge(histogram)
            row.append(merged.pack())
    return row


def add_gauges(buckets: dict[GaugeBucketKey, GaugeBucket]) -> None:
    """Add buckets of gauges to the stored ones."""
    keys = sorted(buckets)
    stored = _GAUGE.load(keys, _NO_GAUGE)
    rows = []
    for key in keys:
        bucket = buckets[key]
        old = stored.get(key)
        if old is not None:
            merged = GaugeBucket(*old)
            merged.merge(bucket)
            bucket = merged
        rows.append((*key, bucket.count, bucket.sum, bucket.min, bucket.max, bucket.last, bucket.last_at))
    _GAUGE.upsert.run(rows)


def add_groups(counts: dict[GroupKey, int]) -> None:
    """Add to the hourly counts of error groups. Delete the rows whose count becomes 0."""
    keys = sorted(key for key, count in counts.items() if count)
    stored = _GROUP.load(keys, (0,), [key for key in keys if counts[key] > 0])
    totals = {key: counts[key] + (stored[key][0] if key in stored else 0) for key in keys}
    _GROUP.upsert.run([(*key, total) for key, total in totals.items() if total > 0])
    for bucket, group, series in (key for key in keys if totals[key] <= 0):
        ErrorGroupRollup.objects.filter(bucket=bucket, group_id=group, series_id=series).delete()
