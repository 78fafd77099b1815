"""Rollup rows are only inserted. A commit reads and locks none, so commits of several processes do not wait.

A bucket may therefore have several rows. Readers add them up, and `metrics.store.compaction` merges them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import models

from metrics import aggregation
from metrics.aggregation import Floors, GaugeBucket, Row
from metrics.levels import HOUR
from metrics.models import ErrorGroupRollup, GaugeRollup, InferenceRollup
from metrics.store.writing.statements import Insert

GaugeBucketKey = tuple[int, str, int, int]  # resolution, metric, bucket, labels
GroupKey = tuple[int, int, int]  # bucket, group, series


@dataclass(frozen=True, slots=True)
class RollupTable:
    """A table of rollups. A row is a tuple of the columns `key` and `values`.

    merge: returns the sums of the rows with the same key. end_of: returns the end of the bucket of a key, unix seconds.
    """

    model: type[models.Model]
    key: tuple[str, ...]
    values: tuple[str, ...]
    merge: Callable[[Sequence[Row]], list[Row]]
    end_of: Callable[[Row], int]
    insert: Insert = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "insert", Insert(self.model, self.key + self.values))


def _merge_gauges(rows: Sequence[Row]) -> list[Row]:
    merged: dict[Row, GaugeBucket] = {}
    for row in rows:
        key, bucket = row[: len(GAUGES.key)], GaugeBucket(*row[len(GAUGES.key) :])
        known = merged.setdefault(key, bucket)
        if known is not bucket:
            known.merge(bucket)
    return [(*key, *_gauge_values(bucket)) for key, bucket in merged.items()]


def _gauge_values(bucket: GaugeBucket) -> Row:
    return tuple(getattr(bucket, name) for name in GAUGES.values)


def _merge_groups(rows: Sequence[Row]) -> list[Row]:
    counts: dict[Row, int] = {}
    for *key, count in rows:
        counts[tuple(key)] = counts.get(tuple(key), 0) + count
    return [(*key, count) for key, count in counts.items() if count]


INFERENCE = RollupTable(
    InferenceRollup,
    ("resolution", "bucket", "series"),
    aggregation.INTEGER_COLUMNS + aggregation.HISTOGRAM_COLUMNS,
    aggregation.merge_rows,
    lambda key: key[1] + key[0],
)
GAUGES = RollupTable(
    GaugeRollup,
    ("resolution", "metric", "bucket", "labels"),
    ("count", "sum", "min", "max", "last", "last_at", "growth", "covered_seconds"),
    _merge_gauges,
    lambda key: key[2] + key[0],
)
GROUPS = RollupTable(
    ErrorGroupRollup,
    ("bucket", "group", "series"),
    ("count",),
    _merge_groups,
    lambda key: key[0] + HOUR,
)
TABLES = (INFERENCE, GAUGES, GROUPS)


def rows_of_gauges(buckets: Mapping[GaugeBucketKey, GaugeBucket]) -> list[Row]:
    """Return the rows of buckets of gauges."""
    return [(*key, *_gauge_values(bucket)) for key, bucket in sorted(buckets.items())]


def rows_of_groups(counts: Mapping[GroupKey, int], floors: Floors) -> list[Row]:
    """Return the rows of counts of error groups by hour, without hours below the floor."""
    return [(*key, count) for key, count in sorted(counts.items()) if count and key[0] >= floors[HOUR]]
