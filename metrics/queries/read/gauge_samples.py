"""Reading gauges and counters from raw samples, in steps below a minute.

What is held at the start of a window, and how long each reading is valid, is read from the rollups of minutes, which
are few: raw samples from so long before the window would be more than those of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from metrics.aggregation import MAX_COUNTER_GAP, max_counter_gap
from metrics.catalogue import Metric
from metrics.levels import COUNTERS
from metrics.models import EngineMetrics, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.queries.read.budget import CHECK_ROWS, count_rows
from metrics.queries.read.gauge_cache import NO_ROWS, ROWS_PER_ROW
from metrics.queries.read.gauge_rollups import read_minutes
from metrics.queries.read.sql import Microseconds, one_of, unix_microseconds
from metrics.queries.time.plan import Plan
from metrics.queries.time.window import at_second
from metrics.readings import (
    COUNT,
    LOOKBACK_SECONDS,
    MINUTE,
    SUM,
    Floats,
    Spans,
    rows_of_samples,
    spans_of,
    spread_growth,
    with_held_in_steps,
)

FETCHED_ROWS = 4_000  # from the database at once
TABLES: dict[str, Any] = {
    "system": SystemMetrics,
    "monitor": SystemMetrics,
    "gpu": GPUMetrics,
    "queue": QueueMetrics,
    "engine": EngineMetrics,
}


def read_steps(metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None, hold: bool = True) -> dict[str, Spans]:
    """Return the steps of metrics of one table. `hold`: also those of readings that are held."""
    # With the minute before: the validity of the readings in the first minute of a source depends on its samples.
    start = plan.start - plan.start % MINUTE - MINUTE
    samples = read_samples(metrics, plan, start, ids)
    counters = [metric for metric in metrics if metric.name in COUNTERS]
    others = [metric for metric in metrics if metric.name not in COUNTERS]
    earlier = read_minutes(counters, start - LOOKBACK_SECONDS, start, ids) if counters else {}
    steps = {
        metric.name: _steps_of_counter(metric, samples[metric.name], earlier[metric.name], plan) for metric in counters
    }
    minutes = read_minutes(others, start - LOOKBACK_SECONDS, plan.end, ids) if others and hold else {}
    for metric in others:
        rows = _rows(samples[metric.name], plan)
        held = (minutes[metric.name], plan.start, plan.step_seconds, plan.end) if hold else None
        steps[metric.name] = with_held_in_steps(rows, *held) if held else spans_of(rows)
    return {name: own.where((own.start >= plan.start) & (own.start < plan.end)) for name, own in steps.items()}


def read_samples(metrics: Sequence[Metric], plan: Plan, start: int, ids: Sequence[int] | None) -> dict[str, Floats]:
    """Return the raw samples of each metric: arrays with columns for the instance, the time (unix µs) and the value.

    Of counters, those after the end are read, too, because the growth up to them is spread over the last steps.
    """
    end = plan.end + (MAX_COUNTER_GAP if any(metric.name in COUNTERS for metric in metrics) else 0)
    rows = TABLES[metrics[0].type].objects.filter(timestamp__gte=at_second(start), timestamp__lt=at_second(end))
    if ids is not None:
        rows = rows.filter(one_of("labels_id", ids))
    columns = [metric.column for metric in metrics]
    found = rows.annotate(at=Microseconds("timestamp")).values_list("labels_id", "at", *columns)
    samples: dict[str, list[Floats]] = {metric.name: [np.empty((0, 3))] for metric in metrics}
    rows_read = found.iterator(FETCHED_ROWS)
    while chunk := list(islice(rows_read, CHECK_ROWS)):
        instance, at, *values = zip(*chunk, strict=True)
        size = 0
        for metric, column in zip(metrics, values, strict=True):
            # The column of the load has lists.
            is_list = metric.name == "system.load_1m"
            numbers = [value[0] if value else None for value in column] if is_list else column
            array = np.column_stack((instance, unix_microseconds(at), np.array(numbers, dtype=np.float64)))
            samples[metric.name].append(array[~np.isnan(array[:, 2])])
            size += array.nbytes
        count_rows(len(chunk) // ROWS_PER_ROW, size)
    return {name: np.concatenate(parts) for name, parts in samples.items()}


def _rows(samples: Floats, plan: Plan) -> Floats:
    """Return rows for `spans_of`, with the start of the step of each sample."""
    instance, at, value = samples[:, 0].astype(np.int64), samples[:, 1].astype(np.int64), samples[:, 2]
    step = (at - plan.start * 1_000_000) // (plan.step_seconds * 1_000_000)
    return rows_of_samples(instance, plan.start + step * plan.step_seconds, value, at)


def _steps_of_counter(metric: Metric, samples: Floats, earlier: Spans, plan: Plan) -> Spans:
    """Return the steps of a counter. earlier: the minutes before the samples."""
    before = np.column_stack((earlier.instance, earlier.last_at, earlier.last))
    instance, at, value = np.concatenate((before, samples)).T
    order = np.lexsort((at, instance))
    growth = spread_growth(
        instance[order].astype(np.int64),
        at[order].astype(np.int64),
        value[order],
        plan.start,
        plan.step_seconds,
        max_counter_gap(metric),
    )
    rows = _rows(samples, plan)
    rows[:, [COUNT, SUM]] = 0.0  # only the time and the growth between samples count
    return spans_of(np.concatenate((NO_ROWS.values, rows, growth)), is_counter=True)
