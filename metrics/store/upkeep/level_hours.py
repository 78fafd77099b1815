"""Turns the minutes of levels into rows of hours (`metrics.levels`) when their retention is over.

The hours of a metric are converted in their order, each in one transaction. It raises the raw floor to the end of the
hour, so that no later sample belongs to it. Queries ignore the minutes of a converted hour, except that readings are
held in the next hour. They are deleted afterwards, and the last ones when the next hour is converted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from django.db.models import Max, Min

from metrics.levels import COUNTERS, HOUR, columns_of, hour_rows
from metrics.models import GaugeLabels, GaugeRollup
from metrics.readings import LOOKBACK_SECONDS, MINUTE, of_preferred_kind, spans_of, with_held
from metrics.store.raw_floors import raise_floor
from metrics.store.upkeep.deleting import Steps, matching_rows
from metrics.store.upkeep.tables import manager
from metrics.store.writing.statements import Insert

LEVEL_ROWS = Insert(
    GaugeRollup,
    ("resolution", "metric", "bucket", "labels", "count", "sum", "min", "max", "last", "last_at", "minutes"),
)


def convert_and_delete(metric: str, before: int, steps: Steps) -> int:
    """Convert the hours of a metric that end by `before` (unix seconds), delete their minutes, and return how many."""
    steps.run(partial(_convert_next_hour, metric, before))
    end = _end_of_converted(metric)
    if end is None:
        return 0
    query = _rows(metric, MINUTE).filter(bucket__lt=end - LOOKBACK_SECONDS)
    return steps.run(matching_rows(query.order_by("bucket")))


def _convert_next_hour(metric: str, before: int, rows: int) -> int:
    """Convert the oldest hour that has not been converted. Return 0 if there is none, else `rows`."""
    end = _end_of_converted(metric)
    minutes = _rows(metric, MINUTE)
    if end is not None:
        minutes = minutes.filter(bucket__gte=end - LOOKBACK_SECONDS)
    oldest = minutes.aggregate(oldest=Min("bucket"))["oldest"]
    if oldest is None:
        return 0
    # The readings before `end` are held in the hour after it.
    hour = max(oldest - oldest % HOUR, end or 0)
    if hour + HOUR > before:
        return 0
    kind = metric.split(".", 1)[0]
    raise_floor(kind if kind in ("queue", "engine") else "system", datetime.fromtimestamp(hour + HOUR, UTC))
    read = _rows(metric, MINUTE).filter(bucket__gte=hour - LOOKBACK_SECONDS, bucket__lt=hour + HOUR)
    columns = columns_of(metric)
    read = np.array(list(read.values_list(*columns)), dtype=np.float64).reshape(-1, len(columns))
    values = spans_of(read, metric in COUNTERS)
    if metric not in COUNTERS:
        values = with_held(values, hour + HOUR)
    if kind == "queue":
        queues = manager(GaugeLabels).exclude(model_name="").values_list("id", "model_name", "kind")
        values = of_preferred_kind(values, {labels: (model, name) for labels, model, name in queues})
    inserted = [(HOUR, metric, hour, *row) for row in hour_rows(values, hour)]
    LEVEL_ROWS.run(inserted)
    if not inserted:  # no reading is held in this hour, and no growth of a counter is known
        matching_rows(_rows(metric, MINUTE).filter(bucket__lt=hour + HOUR))(rows)
    return rows


def _end_of_converted(metric: str) -> int | None:
    """Return the end of the newest hour that has been converted, in unix seconds."""
    newest = _rows(metric, HOUR).aggregate(newest=Max("bucket"))["newest"]
    return None if newest is None else newest + HOUR


def _rows(metric: str, resolution: int) -> Any:
    return manager(GaugeRollup).filter(resolution=resolution, metric=metric)
