"""Reading gauges and counters: from raw samples below a minute, from rollups of a minute or an hour above.

A step below a minute has the readings that are held in it (`metrics.readings`). What is held at the start of a window,
and how long each reading is valid, is read from the rollups of minutes, which are few, and not from raw samples.

Levels (`metrics.levels`) are read from minutes, and those of older days from rows of hours, which have the minutes in
which an instance counts. One statement reads both, so that each hour is in its result once, also while upkeep turns it
into rows of hours.

`gauge_values` combines what is read here into the values of a chart or a summary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from metrics.aggregation import MAX_COUNTER_GAP
from metrics.catalogue import Metric
from metrics.levels import COUNTERS, HOUR, LEVELS, columns_of
from metrics.models import EngineMetrics, GaugeLabels, GaugeRollup, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.queries.read.budget import CHECK_ROWS, check_budget, count_rows
from metrics.queries.read.filters import Filters
from metrics.queries.read.sql import Microseconds, one_of, unix_microseconds
from metrics.queries.time.plan import Plan
from metrics.queries.time.window import at_second
from metrics.readings import (
    COLUMNS,
    COUNT,
    INSTANCE,
    LAST,
    LAST_AT,
    LOOKBACK_SECONDS,
    MAX,
    MAX_VALID_SECONDS,
    MIN,
    MINUTE,
    START,
    SUM,
    Floats,
    Integers,
    Spans,
    rows_of_samples,
    spans_of,
    spread_growth,
    with_held,
    with_held_in_steps,
)

TABLES: dict[str, Any] = {
    "system": SystemMetrics,
    "monitor": SystemMetrics,
    "gpu": GPUMetrics,
    "queue": QueueMetrics,
    "engine": EngineMetrics,
}

CHUNK_ROWS = 4_000
ROWS_PER_ROW = 4  # of these rows take about as long as a row of requests, which has histograms
BASE = (INSTANCE, START, COUNT, SUM)
# The columns that a statistic needs besides these.
OF_STAT: dict[str, tuple[int, ...]] = {"min": (MIN,), "max": (MAX,), "last": (LAST, LAST_AT)}
NO_ROWS = np.empty((0, COLUMNS))


class InstanceLabels(NamedTuple):
    """The labels of an instance. Those that it does not have are empty."""

    host: str
    gpu: str
    model: str
    kind: str
    source: str


@dataclass(frozen=True, slots=True)
class InstanceSpans:
    """The values of a metric's instances in steps, minutes or hours; of a level, also in the hours before its minutes.

    In `hours`, `start` is the start of the hour and `level` is the mean over the minutes in `masks`.
    """

    spans: Spans
    hours: Spans
    masks: Integers

    @property
    def instances(self) -> set[int]:
        """The ids of the label sets."""
        return {*self.spans.instance.tolist(), *self.hours.instance.tolist()}

    def of_instances(self, ids: Iterable[int]) -> InstanceSpans:
        """Return the values of these instances."""
        chosen = np.array(list(ids), dtype=np.int64)
        known = np.isin(self.hours.instance, chosen)
        spans = self.spans.where(np.isin(self.spans.instance, chosen))
        return InstanceSpans(spans, self.hours.where(known), self.masks[known])


def read_labels(ids: Iterable[int]) -> dict[int, InstanceLabels]:
    """Return the label sets with these ids."""
    rows = GaugeLabels.objects.filter(one_of("id", ids))
    return {
        labels_id: InstanceLabels(*values)
        for labels_id, *values in rows.values_list("id", "host", "gpu_id", "model_name", "kind", "source")
    }


def read_spans(
    wanted: Iterable[tuple[Metric, str]], plan: Plan, filters: Filters, now_s: int, hold: bool = True
) -> dict[str, InstanceSpans]:
    """Return the spans of each metric by its name, with what these statistics of it need.

    hold: also the readings that are held in spans without a sample, until `now_s` at most. Steps that are longer than
    the longest interval of a source contain a sample of every source that is up.
    """
    stats: dict[Metric, set[str]] = defaultdict(set)
    for metric, stat in wanted:
        stats[metric].add(stat)
    by_type: dict[str, list[Metric]] = defaultdict(list)
    for metric in stats:
        by_type[metric.type].append(metric)
    read: dict[str, InstanceSpans] = {}
    for kind, metrics in by_type.items():
        ids = filters.gauge_label_ids(kind)
        if plan.resolution == 1:
            samples = _read_samples(metrics, plan, ids)
            for metric in metrics:
                spans = _steps(metric, samples[metric.name], plan, ids, hold)
                read[metric.name] = InstanceSpans(spans, *_no_hours())
        else:
            for metric in metrics:
                read[metric.name] = _read_spans(metric, stats[metric], plan, ids, now_s, hold)
        check_budget()
    return read


def _read_samples(metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None) -> dict[str, Floats]:
    """Return the raw samples of each metric: arrays with columns for the instance, the time (unix µs) and the value.

    They begin with the minute of the start. Of counters, those after the end are read, too, because the growth up to
    them is spread over the last steps.
    """
    end = plan.end + (MAX_COUNTER_GAP if any(metric.name in COUNTERS for metric in metrics) else 0)
    rows = TABLES[metrics[0].type].objects.filter(
        timestamp__gte=at_second(plan.start - plan.start % MINUTE), timestamp__lt=at_second(end)
    )
    if ids is not None:
        rows = rows.filter(one_of("labels_id", ids))
    columns = [metric.column for metric in metrics]
    found = rows.annotate(at=Microseconds("timestamp")).values_list("labels_id", "at", *columns)
    samples: dict[str, list[Floats]] = {metric.name: [np.empty((0, 3))] for metric in metrics}
    for chunk in _chunks(found):
        instance, at, *values = zip(*chunk, strict=True)
        size = 0
        for metric, column in zip(metrics, values, strict=True):
            # The column of the load has lists.
            numbers = [value and value[0] for value in column] if metric.name == "system.load_1m" else column
            array = np.column_stack((instance, unix_microseconds(at), np.array(numbers, dtype=np.float64)))
            samples[metric.name].append(array[~np.isnan(array[:, 2])])
            size += array.nbytes
        count_rows(len(chunk) // ROWS_PER_ROW, size)
    return {name: np.concatenate(parts) for name, parts in samples.items()}


def _steps(metric: Metric, samples: Floats, plan: Plan, ids: Sequence[int] | None, hold: bool) -> Spans:
    """Return the steps of instances, from the raw samples of a metric and its minutes."""
    is_counter = metric.name in COUNTERS
    instance, at, value = samples[:, 0].astype(np.int64), samples[:, 1].astype(np.int64), samples[:, 2]
    length = plan.step_seconds
    start = plan.start + (at - plan.start * 1_000_000) // (length * 1_000_000) * length
    rows = rows_of_samples(instance, start, value, at)
    minutes = spans_of(NO_ROWS)
    if hold or is_counter:
        first = plan.start - plan.start % MINUTE
        minutes = _read_minutes(metric, first - LOOKBACK_SECONDS, first if is_counter else plan.end, ids)
    if is_counter:
        rows[:, COUNT : SUM + 1] = 0.0
        instance = np.concatenate((minutes.instance, instance))
        at = np.concatenate((minutes.last_at, at))
        value = np.concatenate((minutes.last, value))
        order = np.lexsort((at, instance))
        growth = spread_growth(instance[order], at[order], value[order], plan.start, length)
        steps = spans_of(np.concatenate((rows, growth)), is_counter=True)
    else:
        steps = spans_of(rows)
        if hold:
            steps = with_held_in_steps(steps, minutes, plan.start, length, plan.end)
    return steps.where((steps.start >= plan.start) & (steps.start < plan.end))


def _read_minutes(metric: Metric, start: int, end: int, ids: Sequence[int] | None) -> Spans:
    """Return the count and the last value of each minute and instance."""
    rows = GaugeRollup.objects.filter(resolution=MINUTE, metric=metric.name, bucket__gte=start, bucket__lt=end)
    if ids is not None:
        rows = rows.filter(one_of("labels_id", ids))
    columns = (INSTANCE, START, COUNT, LAST, LAST_AT)
    names = columns_of(metric.name)
    found = rows.values_list(*(names[column] for column in columns))
    return spans_of(np.concatenate([NO_ROWS, *(_spread_columns(chunk, columns) for chunk in _chunks(found, True))]))


def _read_spans(
    metric: Metric, stats: Iterable[str], plan: Plan, ids: Sequence[int] | None, now_s: int, hold: bool
) -> InstanceSpans:
    """Return the minutes or hours of a metric, with those of its columns that the statistics need."""
    is_level, is_counter = metric.name in LEVELS, metric.name in COUNTERS
    hold = (
        hold and not is_counter and (is_level or (plan.resolution == MINUTE and plan.step_seconds < MAX_VALID_SECONDS))
    )
    columns = sorted({*BASE, *(OF_STAT["last"] if hold else ()), *(c for stat in stats for c in OF_STAT.get(stat, ()))})
    rows = GaugeRollup.objects.filter(metric=metric.name, bucket__lt=plan.end)
    rows = rows.filter(bucket__gte=plan.start - (LOOKBACK_SECONDS if hold else 0))
    if ids is not None:
        rows = rows.filter(one_of("labels_id", ids))
    names = [columns_of(metric.name)[column] for column in columns]
    if not is_level:
        found = rows.filter(resolution=plan.resolution).values_list(*names)
        spans = spans_of(
            np.concatenate([NO_ROWS, *(_spread_columns(chunk, columns) for chunk in _chunks(found, True))])
        )
        if hold:
            spans = with_held(spans, min(plan.end, now_s))
        return InstanceSpans(spans.where(spans.start >= plan.start), *_no_hours())
    return _read_level(rows.filter(resolution__in=(MINUTE, HOUR)), names, columns, plan, now_s, is_counter)


def _read_level(
    rows: Any, names: Sequence[str], columns: Sequence[int], plan: Plan, now_s: int, is_counter: bool
) -> InstanceSpans:
    of_minutes, of_hours = [NO_ROWS], [NO_ROWS]
    masks: list[int] = []
    found = rows.values_list(*names, "count", "sum", "resolution", "minutes")
    for chunk in _chunks(found, True):
        values = np.array(chunk, dtype=np.float64)  # None becomes NaN
        is_hour = values[:, -2] == HOUR
        of_minutes.append(_spread_columns(values[~is_hour, :-4], columns))
        hours = _spread_columns(values[is_hour, :-4], columns)
        hours[:, [COUNT, SUM]] = values[is_hour, -4:-2]
        of_hours.append(hours)
        masks += [row[-1] or 0 for row in chunk if row[-2] == HOUR]
    minutes = spans_of(np.concatenate(of_minutes), is_counter)
    if not is_counter:
        minutes = with_held(minutes, min(plan.end, now_s))
    hours, mask = np.concatenate(of_hours), np.array(masks, dtype=np.int64)
    known = (hours[:, START] >= plan.start) & (mask != 0)
    hours, mask = hours[known], mask[known]
    # The last minutes of an hour that has become rows of hours are kept for a while, to be held in the next hour.
    begin = max(plan.start, int(hours[:, START].max()) + HOUR) if len(hours) else plan.start
    instance, start, count, last_at = (
        np.nan_to_num(hours[:, column]).astype(np.int64) for column in (INSTANCE, START, COUNT, LAST_AT)
    )
    level = hours[:, SUM] / np.maximum(count, 1)
    of_hour = Spans(instance, start, count, level, hours[:, MIN], hours[:, MAX], hours[:, LAST], last_at)
    return InstanceSpans(minutes.where(minutes.start >= begin), of_hour, mask)


def _no_hours() -> tuple[Spans, Integers]:
    return spans_of(NO_ROWS), np.empty(0, dtype=np.int64)


def _spread_columns(rows: Any, columns: Sequence[int]) -> Floats:
    """Return rows that have all COLUMNS, of rows with some of them."""
    values = np.full((len(rows), COLUMNS), np.nan)
    values[:, list(columns)] = np.array(rows, dtype=np.float64).reshape(-1, len(columns))  # None becomes NaN
    return values


def _chunks(rows: Any, count: bool = False) -> Iterator[list[Any]]:
    """Yield the rows of a query in lists; `count`: and count them and the memory of their arrays."""
    iterator = rows.iterator(CHUNK_ROWS)
    while chunk := list(islice(iterator, CHECK_ROWS)):
        yield chunk
        if count:
            count_rows(len(chunk) // ROWS_PER_ROW, 8 * COLUMNS * len(chunk))


def queue_kinds(labels: Mapping[int, InstanceLabels]) -> dict[int, tuple[str, str]]:
    """Return the model and the kind of each queue."""
    return {instance: (of.model, of.kind) for instance, of in labels.items()}
