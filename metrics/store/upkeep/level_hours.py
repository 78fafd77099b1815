"""Turns the minutes of levels into rows of hours (`metrics.levels`) when their retention is over.

The hours of a metric are converted in their order. First the raw floor rises to the end of the hour, so that no later
sample belongs to it. Its rows are read and computed outside of a transaction, because those of a thousand hosts take
most of a second. The transaction that stores them begins with a check that the minutes are still the same: `forget` and
the folding of queues change them, too, and another process may have converted the hour.

Queries ignore the minutes of a converted hour, except that readings are held in the next hour. They are deleted
afterwards, and the last ones when the next hour is converted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Max, Min

from metrics.levels import COUNTERS, HOUR, columns_of, hour_rows
from metrics.models import GaugeLabels, GaugeRollup
from metrics.models.checksum import Checksum
from metrics.readings import LOOKBACK_SECONDS, MINUTE, of_preferred_kind, spans_of, with_held
from metrics.store.raw_floors import raise_floor, raw_floor
from metrics.store.upkeep.deleting import Steps, matching_rows
from metrics.store.upkeep.tables import manager
from metrics.store.write_lock import upkeep_transaction
from metrics.store.writing.statements import Insert, Row

LEVEL_ROWS = Insert(
    GaugeRollup,
    ("resolution", "metric", "bucket", "labels", "count", "sum", "min", "max", "last", "last_at", "minutes"),
)


class _Hour(NamedTuple):
    """An hour to convert.

    end_of_converted: that of the metric when it was read. minutes: those that were read. rows: to store.
    """

    metric: str
    start: int
    end_of_converted: int | None
    minutes: Checksum
    rows: tuple[Row, ...]


def convert_and_delete(metric: str, before: int, steps: Steps) -> int:
    """Convert the hours of a metric that end by `before` (unix seconds), delete their minutes, and return how many."""
    while (hour := _read_next(metric, before)) is not None:
        if not steps.run(partial(_store, hour), until=lambda: True) or steps.is_over:
            break
    end = _end_of_converted(metric)
    if end is None:
        return 0
    query = _rows(metric, MINUTE).filter(bucket__lt=end - LOOKBACK_SECONDS)
    return steps.run(matching_rows(query.order_by("bucket")))


def _read_next(metric: str, before: int) -> _Hour | None:
    """Return the oldest hour that has not been converted, with its rows; None if none ends by `before`."""
    end = _end_of_converted(metric)
    minutes = _rows(metric, MINUTE)
    if end is not None:
        minutes = minutes.filter(bucket__gte=end - LOOKBACK_SECONDS)
    oldest = minutes.aggregate(oldest=Min("bucket"))["oldest"]
    if oldest is None:
        return None
    # The readings before `end` are held in the hour after it.
    start = max(oldest - oldest % HOUR, end or 0)
    if start + HOUR > before:
        return None
    kind = metric.split(".", 1)[0]
    _raise_floor(kind if kind in ("queue", "engine") else "system", datetime.fromtimestamp(start + HOUR, UTC))
    columns = columns_of(metric)
    rows = list(_minutes_of(metric, start).values_list("pk", *columns))
    read = np.array([values for _, *values in rows], dtype=np.float64).reshape(-1, len(columns))
    values = spans_of(read, metric in COUNTERS)
    if metric not in COUNTERS:
        values = with_held(values, start + HOUR)
    if kind == "queue":
        queues = manager(GaugeLabels).exclude(model_name="").values_list("id", "model_name", "kind")
        values = of_preferred_kind(values, {labels: (model, name) for labels, model, name in queues})
    hours = tuple((HOUR, metric, start, *row) for row in hour_rows(values, start))
    return _Hour(metric, start, end, Checksum.of(pk for pk, *_ in rows), hours)


def _raise_floor(kind: str, at: datetime) -> None:
    floor = raw_floor(kind)
    if floor is None or floor < at:
        with upkeep_transaction():
            raise_floor(kind, at)


def _store(hour: _Hour, rows: int) -> int:
    """Store the rows of an hour, in a transaction. Return 1, or 0 if its minutes have changed."""
    is_same = Checksum.stored(_minutes_of(hour.metric, hour.start)) == hour.minutes
    if not is_same or _end_of_converted(hour.metric) != hour.end_of_converted:
        return 0
    LEVEL_ROWS.run(hour.rows)
    if not hour.rows:  # no reading is held in this hour, and no growth of a counter is known
        matching_rows(_rows(hour.metric, MINUTE).filter(bucket__lt=hour.start + HOUR))(rows)
    return 1


def _minutes_of(metric: str, start: int) -> Any:
    """Return the minutes of an hour, and those before it whose readings are held in it."""
    return _rows(metric, MINUTE).filter(bucket__gte=start - LOOKBACK_SECONDS, bucket__lt=start + HOUR)


def _end_of_converted(metric: str) -> int | None:
    """Return the end of the newest hour that has been converted, in unix seconds."""
    newest = _rows(metric, HOUR).aggregate(newest=Max("bucket"))["newest"]
    return None if newest is None else newest + HOUR


def _rows(metric: str, resolution: int) -> Any:
    return manager(GaugeRollup).filter(resolution=resolution, metric=metric)
