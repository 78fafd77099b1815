"""Reading gauges: from raw samples below a minute, from rollups of a minute or an hour above.

`metrics.queries.read.levels` reads the rollups of gauges whose values are added over instances.

`gauge_buckets` combines what is read here into the values of a chart or a summary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import Count, Max, Min, Q, Sum, Value

from metrics import catalogue
from metrics.aggregation import MAX_COUNTER_GAP, CounterReading
from metrics.catalogue import Kind, Metric
from metrics.levels import LOOKBACK_SECONDS, MAX_VALID_SECONDS, MINUTE, is_level
from metrics.models import EngineMetrics, GaugeLabels, GaugeRollup, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.queries.read.budget import CHECK_ROWS, check_budget, count_rows
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_buckets import (
    HeldReadings,
    InstanceBucket,
    InstanceBuckets,
    InstanceLabels,
    add_growth,
    combine,
    of_preferred_kind,
    validity,
)
from metrics.queries.read.levels import LevelSums, of_labels, read_levels
from metrics.queries.read.sql import BucketOf, IntegerDivision, UnixSeconds, filter_without_index, one_of
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Plan, Segment
from metrics.queries.time.window import at_second

TABLES: dict[str, Any] = {
    "system": SystemMetrics,
    "monitor": SystemMetrics,
    "gpu": GPUMetrics,
    "queue": QueueMetrics,
    "engine": EngineMetrics,
}

CHUNK_ROWS = 4_000
BUCKET_BYTES = 400  # of an InstanceBucket with its key and its numbers

Row = TypeVar("Row")
# (metric, instance, unix time, (count, sum, min, max), last value)
Reading = tuple[str, int, float, tuple[int, float, float, float], float]


def read_labels(ids: Iterable[int]) -> dict[int, InstanceLabels]:
    """Return the label sets with these ids."""
    rows = GaugeLabels.objects.filter(one_of("id", ids))
    return {
        labels_id: InstanceLabels(*values)
        for labels_id, *values in rows.values_list("id", "host", "gpu_id", "model_name", "kind", "source")
    }


def newest_samples(rows: Any, at: datetime) -> dict[int, tuple[datetime, timedelta]]:
    """Return the time of the newest sample of each instance, and how long it is valid.

    `rows` are raw samples. Only recent ones are read, but also those of sources whose clock is ahead.
    """
    ahead = timedelta(seconds=settings.LLMMONITOR.future_tolerance_seconds)
    recent = rows.filter(timestamp__gt=at - timedelta(seconds=MAX_VALID_SECONDS), timestamp__lte=at + ahead)
    # These columns are in the index, so the rows themselves are not read.
    aggregates = {"newest": Max("timestamp"), "oldest": Min("timestamp"), "count": Count("id")}
    return {
        instance: (newest, validity(newest, oldest, count))
        for instance, newest, oldest, count in recent.order_by()
        .values("labels_id")
        .annotate(**aggregates)
        .values_list("labels_id", *aggregates)
    }


def read_buckets(
    specs: Sequence[SeriesSpec], plan: Plan, filters: Filters, fill_gaps: bool = True
) -> dict[str, InstanceBuckets]:
    """Return the buckets of each metric by its name, with the values that its statistics need.

    Each table is read once. `fill_gaps`: a sample of a gauge also fills the empty steps after it, as long as it is
    valid. Steps of three minutes or more contain a sample of every source that is up.
    """
    buckets: dict[str, InstanceBuckets] = {spec.metric.name: {} for spec in specs}
    for kind in dict.fromkeys(spec.metric.type for spec in specs):
        ids = filters.gauge_label_ids(kind)
        if ids is not None and not ids:
            continue
        fill = fill_gaps and plan.step_seconds < MAX_VALID_SECONDS
        of_kind = [spec for spec in specs if spec.metric.type == kind]
        # Samples of queues are few, and are read singly so that the last value of a step is held, not its mean.
        is_single = plan.resolution == 1 and kind == "queue"
        singly = {spec.metric.name: spec.metric for spec in of_kind if is_single or spec.stat in ("rate", "last")}
        # Reading the samples singly also returns the sums.
        summed = {spec.metric.name: spec.metric for spec in of_kind if spec.metric.name not in singly}
        if plan.resolution == 1 and "system.load_1m" in summed:
            # The column is a list in JSON, which the database cannot add up.
            _read_samples([summed.pop("system.load_1m")], plan, ids, buckets, fill)
        if summed:
            read_sums = _read_raw_sums if plan.resolution == 1 else _read_rollup_sums
            is_aligned = plan.start % plan.step_seconds == 0
            read_sums(list(summed.values()), plan, ids, buckets, fill and is_aligned)
        if singly:
            _read_samples(list(singly.values()), plan, ids, buckets, fill)
        check_budget()
    return buckets


def _raw_rows(metrics: Sequence[Metric], start: int, end: int, ids: Sequence[int] | None) -> Any:
    rows = TABLES[metrics[0].type].objects.filter(timestamp__gte=at_second(start), timestamp__lt=at_second(end))
    return rows if ids is None else filter_without_index(rows, "labels_id", ids)


def _rollup_rows(metrics: Sequence[Metric], plan: Plan, start: int, ids: Sequence[int] | None) -> Any:
    names = [metric.name for metric in metrics]
    rows = GaugeRollup.objects.filter(resolution=plan.resolution, metric__in=names)
    rows = rows.filter(bucket__gte=start, bucket__lt=plan.end)
    return rows if ids is None else rows.filter(one_of("labels_id", ids))


def _read_raw_sums(
    metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None, buckets: dict[str, InstanceBuckets], fill: bool
) -> None:
    """Add the count, sum, minimum and maximum of raw samples, which the database computes by instance and step."""
    aggregates: dict[str, Any] = {}
    for number, metric in enumerate(metrics):
        for function in (Count, Sum, Min, Max):
            aggregates[f"{function.name}{number}"] = function(metric.column)
        if fill:
            present = Q(**{f"{metric.column}__isnull": False})
            aggregates[f"newest{number}"] = Max("timestamp", filter=present)
    size = 5 if fill else 4
    rows = _raw_rows(metrics, plan.start - (LOOKBACK_SECONDS if fill else 0), plan.end, ids)
    rows, first = _with_step(rows, BucketOf("timestamp", plan.step_seconds), plan)
    keys = ("labels_id", "step")
    sums = rows.values(*keys).annotate(**aggregates).order_by("step").values_list(*keys, *aggregates)
    held = HeldReadings(plan)
    for instance, step, *values in _counted(sums.iterator(CHUNK_ROWS), buckets):
        for number, metric in enumerate(metrics):
            count, total, least, most, *newest = values[size * number : size * (number + 1)]
            if count:
                bucket = InstanceBucket(int(count), float(total), float(least), float(most))
                if fill:
                    held.add(buckets[metric.name], instance, newest[0].timestamp(), bucket.sum / bucket.count, count)
                if step >= first:
                    buckets[metric.name][instance, step - first] = bucket
    held.fill_the_rest()


def _read_rollup_sums(
    metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None, buckets: dict[str, InstanceBuckets], fill: bool
) -> None:
    """Add the count, sum, minimum and maximum of rollups, which the database computes by metric, instance and step."""
    rows = _rollup_rows(metrics, plan, plan.start - (LOOKBACK_SECONDS if fill else 0), ids)
    rows, first = _with_step(rows, IntegerDivision("bucket", plan.step_seconds), plan)
    keys = ("metric", "labels_id", "step")
    aggregates = {"n": Sum("count"), "total": Sum("sum"), "least": Min("min"), "most": Max("max"), "at": Max("last_at")}
    sums = rows.values(*keys).annotate(**aggregates).order_by("step").values_list(*keys, *aggregates)
    held = HeldReadings(plan)
    for name, instance, step, count, total, least, most, at in _counted(sums.iterator(CHUNK_ROWS), buckets):
        if count:
            bucket = InstanceBucket(int(count), float(total), float(least), float(most))
            if fill:
                held.add(buckets[name], instance, at / 1e6, bucket.sum / bucket.count, bucket.count)
            if step >= first:
                buckets[name][instance, step - first] = bucket
    held.fill_the_rest()


def _counted(rows: Iterable[Row], buckets: Mapping[str, InstanceBuckets]) -> Iterator[Row]:
    """Yield rows, and count them and the memory of the buckets that the caller fills from them."""
    iterator = iter(rows)
    filled = sum(map(len, buckets.values()))
    while chunk := list(islice(iterator, CHECK_ROWS)):
        yield from chunk
        before, filled = filled, sum(map(len, buckets.values()))
        count_rows(len(chunk), (filled - before) * BUCKET_BYTES)


def _with_step(rows: Any, number: Any, plan: Plan) -> tuple[Any, int]:
    """Return the rows with `step`, and the `step` of the first step of the plan.

    `step` is the number of the step since 1970. The only step of a window may start at any second; its number is 0.
    """
    if plan.start % plan.step_seconds:
        return rows.annotate(step=Value(0)), 0
    return rows.annotate(step=number), plan.start // plan.step_seconds


def _read_samples(
    metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None, buckets: dict[str, InstanceBuckets], fill: bool
) -> None:
    """Add samples one at a time, with the last value and the growth of counters; `fill`: also to empty steps."""
    # Begin early enough, and end late enough, that a bucket has the same values whatever the window is.
    counters = {metric.name for metric in metrics if metric.kind is Kind.COUNTER}
    lookahead = MAX_COUNTER_GAP if counters else 0
    lookback = LOOKBACK_SECONDS if fill else lookahead
    held = HeldReadings(plan)
    newest: dict[tuple[str, int], CounterReading] = {}
    for name, instance, at, sums, value in _counted(_readings(metrics, plan, ids, lookback, lookahead), buckets):
        if name in counters:
            reading = CounterReading(round(at * 1e6), value)
            previous = newest.get((name, instance))
            if previous:
                add_growth(buckets[name], instance, plan, previous, reading)
            newest[name, instance] = reading
        elif fill and at < plan.end:
            held.add(buckets[name], instance, at, value, sums[0])
        step = plan.step_of(at)
        if 0 <= step < plan.points:
            bucket = buckets[name].setdefault((instance, step), InstanceBucket())
            bucket.add(*sums)
            bucket.last = value
    held.fill_the_rest()


def _readings(
    metrics: Sequence[Metric], plan: Plan, ids: Sequence[int] | None, lookback: int, lookahead: int
) -> Iterator[Reading]:
    """Yield the raw samples or rollups in the order of time, from before the plan until after it (seconds)."""
    start = plan.start - lookback
    if plan.resolution == 1:
        names, columns = [metric.name for metric in metrics], [metric.column for metric in metrics]
        rows = _raw_rows(metrics, start, plan.end + lookahead, ids).annotate(at=UnixSeconds("timestamp"))
        rows = rows.order_by("timestamp", "id").values_list("labels_id", "at", *columns)
        for instance, at, *values in rows.iterator(CHUNK_ROWS):
            for name, value in zip(names, values, strict=True):
                if isinstance(value, list):
                    value = value[0] if value else None
                if value is not None:
                    level = float(value)
                    yield name, instance, at, (1, level, level, level), level
        return
    # A bucket may have several rows. They are one reading, with the last of their values.
    rows = (
        _rollup_rows(metrics, plan, start, ids)
        .order_by("bucket", "last_at")
        .values_list("bucket", "metric", "labels_id", "last_at", "last", "count", "sum", "min", "max")
    )
    for _, of_bucket in groupby(rows.iterator(CHUNK_ROWS), itemgetter(0)):
        readings: dict[tuple[str, int], Reading] = {}
        for _, name, instance, at, last, count, total, least, most in of_bucket:
            before = readings.pop((name, instance), None)
            if before:
                sums = before[3]
                count, total, least, most = count + sums[0], total + sums[1], min(least, sums[2]), max(most, sums[3])
            readings[name, instance] = (name, instance, at / 1e6, (count, total, least, most), last)
        yield from readings.values()


def totals(
    specs: Sequence[SeriesSpec], segments: Iterable[Segment], filters: Filters, now_s: int
) -> list[float | None]:
    """Return the value of each spec over all the segments. Levels have averages only."""
    segments = list(segments)
    merged: dict[str, InstanceBuckets] = {spec.metric.name: {} for spec in specs}
    others = [spec for spec in specs if not is_level(spec.metric)]
    for resolution, start, end in segments:
        plan = Plan(end - start, resolution, start, end)
        for name, buckets in read_buckets(others, plan, filters, fill_gaps=False).items():
            for (instance, _), bucket in buckets.items():
                if bucket.count:
                    total = merged[name].setdefault((instance, 0), InstanceBucket())
                    total.add(bucket.count, bucket.sum, bucket.min, bucket.max)
    labels = read_labels(
        {instance for name, buckets in merged.items() if name.startswith("queue.") for instance, _ in buckets}
    )
    averages = _average_levels([spec.metric for spec in specs if is_level(spec.metric)], segments, filters, now_s)
    values = []
    for spec in specs:
        if is_level(spec.metric):
            values.append(averages[spec.metric.name])
            continue
        buckets = merged[spec.metric.name]
        if spec.metric.type == "queue":
            buckets = of_preferred_kind(buckets, labels)
        values.append(combine(spec.metric, spec.stat, buckets.values()))
    return values


def _average_levels(
    metrics: Sequence[Metric], segments: Sequence[Segment], filters: Filters, now_s: int
) -> dict[str, float | None]:
    """Return the average of each level over the segments.

    The incomplete minutes at the ends of a window are read from raw samples, each as one step that counts as the part
    of a minute that it is.
    """
    totals = dict.fromkeys((metric.name for metric in metrics), 0.0)
    weights = dict.fromkeys(totals, 0.0)
    for start, end in _parts_of_minutes(segments):
        specs = [SeriesSpec(metric, "avg") for metric in metrics]
        for name, buckets in read_buckets(specs, Plan(end - start, 1, start, end), filters).items():
            value = _combined(catalogue.get(name), buckets)
            if value is not None:
                weight = (end - start) / MINUTE
                totals[name] += value * weight
                weights[name] += weight
    whole = [segment for segment in segments if segment.resolution > 1]
    if whole:
        start, end = whole[0].start, whole[-1].end
        plan = Plan(end - start, MINUTE, start, end)
        for metric in metrics:
            levels = read_levels(metric, start, end, filters, now_s)
            levels = of_labels(metric, levels, read_labels(levels.instances))
            sums = LevelSums(levels, dict.fromkeys(levels.instances, 0), 1, plan, "avg")
            totals[metric.name] += float(sums.total[0])
            weights[metric.name] += float(sums.weight[0])
    return {name: totals[name] / weights[name] if weights[name] else None for name in totals}


def _parts_of_minutes(segments: Iterable[Segment]) -> Iterator[tuple[int, int]]:
    """Yield the starts and ends of the parts of minutes that are read from raw samples."""
    for resolution, start, end in segments:
        while resolution == 1 and start < end:
            stop = min(end, start - start % MINUTE + MINUTE)
            yield start, stop
            start = stop


def _combined(metric: Metric, buckets: InstanceBuckets) -> float | None:
    if metric.type == "queue":
        buckets = of_preferred_kind(buckets, read_labels({instance for instance, _ in buckets}))
    return combine(metric, "avg", buckets.values())
