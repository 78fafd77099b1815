"""Rollup rows: read under their locks, merged with what is new, written back."""

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


class _Rows:
    """One rollup table: lock and read rows by key, write rows."""

    def __init__(self, model: type[models.Model], key: Sequence[str], values: Sequence[str]) -> None:
        self.model, self.key, self.values = model, tuple(key), tuple(values)
        columns = self.key + self.values
        self.upsert = Insert(model, columns, conflict=self.key, update=self.values)
        self._claim = Insert(model, columns, conflict=self.key)

    def load(
        self,
        keys: Sequence[tuple[Any, ...]],
        nothing: tuple[Any, ...],
        growing: Sequence[tuple[Any, ...]] | None = None,
    ) -> dict[tuple[Any, ...], tuple[Any, ...]]:
        """The values of those keys that are stored, locked until the commit.

        On PostgreSQL a missing row is first made with the values `nothing`, since without a row there is no lock: all,
        or those of `growing`. Keys must be sorted, so that no two transactions wait for each other.
        """
        postgres = connection.vendor == "postgresql"
        if postgres:
            self._claim.run([(*key, *nothing) for key in (keys if growing is None else growing)])
        quoted = ", ".join(column_of(self.model, name) for name in self.key)
        columns = ", ".join(column_of(self.model, name) for name in self.key + self.values)
        table = connection.ops.quote_name(self.model._meta.db_table)
        lock = f" ORDER BY {quoted} FOR UPDATE" if postgres else ""
        width = len(self.key)
        found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        for start in range(0, len(keys), _MAX_KEYS):
            some = keys[start : start + _MAX_KEYS]
            statement = (
                f"SELECT {columns} FROM {table} WHERE ({quoted}) IN {marks(connection.vendor, len(some), width)}{lock}"
            )
            for row in execute(statement, [part for key in some for part in key], True):
                found[row[:width]] = row[width:]
        return found


_INFERENCE = _Rows(InferenceRollup, INFERENCE_KEY, INFERENCE_VALUES)
_GAUGE = _Rows(GaugeRollup, GAUGE_KEY, GAUGE_VALUES)
_GROUP = _Rows(ErrorGroupRollup, GROUP_KEY, ("count",))

_NO_INFERENCE = (*(0 for _ in INTEGER_COLUMNS), *(b"" for _ in HISTOGRAM_COLUMNS))
# Infinite bounds: merging into the claimed row gives the new values.
_NO_GAUGE = (0, 0.0, float("inf"), float("-inf"), 0.0, -(2**62))


def add_inference(buckets: dict[BucketKey, InferenceBucket]) -> None:
    """Add these buckets to the stored ones. One that only takes counts back never makes a row or a negative figure."""
    keys = sorted(buckets)
    stored = _INFERENCE.load(keys, _NO_INFERENCE, [key for key in keys if _counts(buckets[key])])
    rows = []
    for key in keys:
        new, old = buckets[key], stored.get(key)
        if old is None and not _counts(new):
            continue
        rows.append((*key, *_merged(new, old)))
    _INFERENCE.upsert.run(rows)


def _counts(bucket: InferenceBucket) -> bool:
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
    """Add these buckets of gauges to the stored ones."""
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
    """Add to the hourly counts of error groups; a count that falls to nothing goes."""
    keys = sorted(key for key, count in counts.items() if count)
    stored = _GROUP.load(keys, (0,), [key for key in keys if counts[key] > 0])
    totals = {key: counts[key] + (stored[key][0] if key in stored else 0) for key in keys}
    _GROUP.upsert.run([(*key, total) for key, total in totals.items() if total > 0])
    for bucket, group, series in (key for key in keys if totals[key] <= 0):
        ErrorGroupRollup.objects.filter(bucket=bucket, group_id=group, series_id=series).delete()
