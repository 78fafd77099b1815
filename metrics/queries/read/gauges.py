"""Reading gauges: raw samples below a minute, rollups of a minute or an hour above.

A gauge is averaged within each instance (a host, a GPU, a queue's source) and bucket first, and combined over the
instances as its catalogue entry says after that, so that a host that reports twice as often does not count twice. The
greatest and least over instances are theirs for percentages, and added where levels are added.

Queues: of the kinds that speak for a model in a bucket, the first of engine, track and sdk is preferred_kind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import Count, Max, Min, Sum

from metrics.catalogue import Combine, Kind, Metric
from metrics.events import QueueKind
from metrics.models import EngineMetrics, GaugeLabels, GaugeRollup, GPUMetrics, QueueMetrics, SystemMetrics
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.sql import BucketOf, IntegerDivision, UnixSeconds, narrow
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.window import at_second

TABLES: dict[str, Any] = {
    "system": SystemMetrics,
    "monitor": SystemMetrics,
    "gpu": GPUMetrics,
    "queue": QueueMetrics,
    "engine": EngineMetrics,
}
# The labels that a type of gauge has. The number of a GPU means nothing without its host.
LABELS_OF: dict[str, tuple[str, ...]] = {
    "system": ("host",),
    "monitor": ("host",),
    "gpu": ("host", "gpu"),
    "queue": ("model", "source"),
    "engine": ("model", "source"),
}
# A rate is taken between samples that are this near, in seconds, by resolution: further apart something was down.
RATE_REACH = {1: 60, 60: 180, 3600: 7_200}
# A reading of a queue holds for three of its source's intervals, at least 15 s.
STALE_INTERVALS = 3
STALE_SECONDS = 15
LONGEST_HOLD = 180
HOLD_BELOW_STEP = 15
PRECEDENCE: dict[str, int] = {kind: number for number, kind in enumerate(QueueKind)}


class Labels(NamedTuple):
    """One instance of a gauge."""

    host: str
    gpu: str
    model: str
    kind: str
    source: str

    def of(self, names: Sequence[str]) -> dict[str, str]:
        """The labels of these names."""
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class Cell:
    """The samples of one instance in one bucket."""

    count: int = 0
    sum: float = 0.0
    min: float = float("inf")
    max: float = float("-inf")
    last: float | None = None
    grown: float = 0.0
    over_seconds: float = 0.0

    def add(self, count: int, total: float, least: float, most: float) -> None:
        """Add samples that were summed up."""
        self.count += count
        self.sum += total
        self.min = min(self.min, least)
        self.max = max(self.max, most)


# instance (id of its label set) and bucket number -> its samples
Cells = dict[tuple[int, int], Cell]


@dataclass(frozen=True)
class Grid:
    """Which buckets: of `step` seconds from `start` to `end`, read at `resolution`. A summary is a grid of one bucket.

    `holds`: whether a reading of a queue fills the short buckets after it in which its source said nothing.
    """

    resolution: int
    start: int
    end: int
    step: int
    holds: bool = True

    def index(self, seconds: float) -> int:
        """The number of the bucket that holds a unix time."""
        return int((seconds - self.start) // self.step)


def read_labels(ids: Iterable[int]) -> dict[int, Labels]:
    """The label sets of these ids."""
    rows = GaugeLabels.objects.filter(id__in=list(ids))
    return {
        one: Labels(*values)
        for one, *values in rows.values_list("id", "host", "gpu_id", "model_name", "kind", "source")
    }


def read_cells(specs: Sequence[SeriesSpec], grid: Grid, filters: Filters) -> dict[str, Cells]:
    """The cells of each metric by name, with what its statistics need. One pass over each table."""
    found: dict[str, Cells] = {spec.metric.name: {} for spec in specs}
    for kind in dict.fromkeys(spec.metric.type for spec in specs):
        ids = filters.gauge_label_ids(kind)
        if ids is not None and not ids:
            continue
        of_kind = [spec for spec in specs if spec.metric.type == kind]
        summed = {spec.metric.name: spec.metric for spec in of_kind if not _needs_samples(spec, grid)}
        singly = {spec.metric.name: spec.metric for spec in of_kind if _needs_samples(spec, grid)}
        # What is read singly has everything that the sums have.
        for name in singly:
            summed.pop(name, None)
        if summed:
            _read_sums(list(summed.values()), grid, ids, found)
        if singly:
            _read_samples(list(singly.values()), grid, ids, found)
        check_budget()
    return found


def _needs_samples(spec: SeriesSpec, grid: Grid) -> bool:
    return spec.stat in ("rate", "last") or _is_held(spec.metric, grid)


def _is_held(metric: Metric, grid: Grid) -> bool:
    return grid.holds and metric.type == "queue" and grid.resolution == 1 and grid.step < HOLD_BELOW_STEP


def _raw_rows(metrics: Sequence[Metric], start: int, end: int, ids: Sequence[int] | None) -> Any:
    rows = TABLES[metrics[0].type].objects.filter(timestamp__gte=at_second(start), timestamp__lt=at_second(end))
    return rows if ids is None else narrow(rows, "labels_id", ids)


def _rollup_rows(metrics: Sequence[Metric], grid: Grid, start: int, ids: Sequence[int] | None) -> Any:
    rows = GaugeRollup.objects.filter(
        resolution=grid.resolution, metric__in=[one.name for one in metrics], bucket__gte=start, bucket__lt=grid.end
    )
    return rows if ids is None else rows.filter(labels_id__in=ids)


def _read_sums(metrics: list[Metric], grid: Grid, ids: Sequence[int] | None, found: dict[str, Cells]) -> None:
    """Count, sum, least and greatest by instance and bucket, added up by the database."""
    if grid.resolution == 1:
        listed = [one for one in metrics if one.name == "system.load_1m"]
        if listed:  # a list in JSON: not summable by the database
            _read_samples(listed, grid, ids, found)
        metrics = [one for one in metrics if one not in listed]
        if not metrics:
            return
        parts: dict[str, Any] = {}
        for number, metric in enumerate(metrics):
            column = metric.column
            parts |= {
                f"c{number}": Count(column),
                f"s{number}": Sum(column),
                f"l{number}": Min(column),
                f"m{number}": Max(column),
            }
        # Bucket numbers count from 1970; steps of the grid begin at multiples of the step.
        rows = _raw_rows(metrics, grid.start, grid.end, ids)
        whole = grid.end - grid.start == grid.step
        keys: tuple[str, ...] = ("labels_id",) if whole else ("labels_id", "b")
        if not whole:
            rows = rows.annotate(b=BucketOf("timestamp", grid.step))
        for row in rows.values(*keys).annotate(**parts).order_by().values_list(*keys, *parts):
            index = 0 if whole else row[1] - grid.start // grid.step
            values = row[len(keys) :]
            for number, metric in enumerate(metrics):
                count, total, least, most = values[4 * number : 4 * number + 4]
                if count:
                    cells = found[metric.name]
                    cells.setdefault((row[0], index), Cell()).add(count, float(total), float(least), float(most))
        return
    rows = _rollup_rows(metrics, grid, grid.start, ids)
    whole = grid.end - grid.start == grid.step
    keys = ("metric", "labels_id") if whole else ("metric", "labels_id", "b")
    if not whole:
        rows = rows.annotate(b=IntegerDivision("bucket", grid.step))
    sums = {"c": Sum("count"), "s": Sum("sum"), "l": Min("min"), "m": Max("max")}
    for row in rows.values(*keys).annotate(**sums).order_by().values_list(*keys, *sums):
        index = 0 if whole else row[2] - grid.start // grid.step
        count, total, least, most = row[-4:]
        if count:
            cells = found[row[0]]
            cells.setdefault((row[1], index), Cell()).add(int(count), float(total), float(least), float(most))


def _samples(
    metrics: list[Metric], grid: Grid, ids: Sequence[int] | None, reach: int
) -> Iterator[tuple[str, int, float, tuple[int, float, float, float], float]]:
    """(metric, instance, unix time, (count, sum, min, max), last) by time, from `reach` seconds before the grid."""
    start = grid.start - reach
    if grid.resolution == 1:
        names = [metric.name for metric in metrics]
        rows = _raw_rows(metrics, start, grid.end, ids).annotate(u=UnixSeconds("timestamp")).order_by("timestamp", "id")
        columns = [metric.column for metric in metrics]
        for number, (instance, at, *values) in enumerate(rows.values_list("labels_id", "u", *columns).iterator(4_000)):
            if not number % 4_000:
                check_budget()
            for name, value in zip(names, values, strict=True):
                if isinstance(value, list):
                    value = value[0] if value else None
                if value is not None:
                    level = float(value)
                    yield name, instance, at, (1, level, level, level), level
        return
    rows = _rollup_rows(metrics, grid, start, ids).order_by("bucket", "last_at")
    for name, instance, at, last, *sums in rows.values_list(
        "metric", "labels_id", "last_at", "last", "count", "sum", "min", "max"
    ).iterator(4_000):
        yield name, instance, at / 1e6, (sums[0], sums[1], sums[2], sums[3]), last


def _read_samples(metrics: list[Metric], grid: Grid, ids: Sequence[int] | None, found: dict[str, Cells]) -> None:
    """Cells with everything: sums, the last value, growth since the sample before, and readings that still hold."""
    hold = _is_held(metrics[0], grid)
    # Far enough back that a bucket reads the same whether it is alone in the window or one of many.
    reach = (
        LONGEST_HOLD * 2 if hold else RATE_REACH[grid.resolution] if any(m.kind is Kind.COUNTER for m in metrics) else 0
    )
    before: dict[tuple[str, int], tuple[float, float, float]] = {}
    for name, instance, at, sums, last in _samples(metrics, grid, ids, reach):
        index = grid.index(at)
        key = (name, instance)
        previous = before.get(key)
        if hold and previous:
            _hold(found[name], instance, grid, previous, at)
        interval = at - previous[0] if previous else STALE_SECONDS / STALE_INTERVALS
        before[key] = (at, last, interval)
        if index < 0:
            continue
        cell = found[name].setdefault((instance, index), Cell())
        cell.add(*sums)
        cell.last = last
        if previous and 0 < at - previous[0] <= RATE_REACH[grid.resolution]:
            # A counter that went back was started anew: what it shows has grown since.
            cell.grown += last - previous[1] if last >= previous[1] else last
            cell.over_seconds += at - previous[0]
    if hold:
        for (name, instance), previous in before.items():
            _hold(found[name], instance, grid, previous, float(grid.end))


def hold_seconds(interval: float) -> float:
    """How long a reading of a queue holds whose source speaks at this interval."""
    return min(max(STALE_INTERVALS * interval, STALE_SECONDS), LONGEST_HOLD)


def _hold(cells: Cells, instance: int, grid: Grid, previous: tuple[float, float, float], until: float) -> None:
    """Put a reading into the empty buckets that begin while it holds, before the next one at `until`."""
    at, value, interval = previous
    limit = min(at + hold_seconds(interval), until)
    index = max(grid.index(at) + 1, 0)
    while grid.start + index * grid.step < min(limit, grid.end) and not (
        until < grid.end and grid.index(until) == index
    ):
        cell = Cell()
        cell.add(1, value, value, value)
        cell.last = value
        cells[(instance, index)] = cell
        index += 1


def preferred_kind(cells: Cells, labels: Mapping[int, Labels]) -> Cells:
    """Of a queue's cells, those of the kind that is preferred_kind for each model and bucket."""
    best: dict[tuple[str, int], int] = {}
    for instance, index in cells:
        own = labels.get(instance)
        if own:
            rank = PRECEDENCE.get(own.kind, len(PRECEDENCE))
            key = (own.model, index)
            best[key] = min(best.get(key, rank), rank)
    return {
        (instance, index): cell
        for (instance, index), cell in cells.items()
        if (own := labels.get(instance)) and best[(own.model, index)] == PRECEDENCE.get(own.kind, len(PRECEDENCE))
    }


def combine(metric: Metric, stat: str, cells: Iterable[Cell]) -> float | None:
    """One figure out of the instances' cells of one bucket; None when there is nothing to say."""
    match stat:
        case "avg":
            values = [cell.sum / cell.count for cell in cells if cell.count]
        case "min":
            values = [cell.min for cell in cells if cell.count]
        case "max":
            values = [cell.max for cell in cells if cell.count]
        case "last":
            values = [cell.last for cell in cells if cell.last is not None]
        case _:
            values = [cell.grown / cell.over_seconds for cell in cells if cell.over_seconds]
    if not values:
        return None
    if metric.combine is Combine.SUM:
        return sum(values)
    if stat in ("min", "max"):
        return min(values) if stat == "min" else max(values)
    return max(values) if metric.combine is Combine.MAX else sum(values) / len(values)


def by_group(
    metric: Metric, cells: Cells, labels: Mapping[int, Labels], names: Sequence[str]
) -> dict[tuple[str, ...], dict[int, list[Cell]]]:
    """The cells by the values of these labels, and by bucket."""
    if metric.type == "queue":
        cells = preferred_kind(cells, labels)
    found: dict[tuple[str, ...], dict[int, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for (instance, index), cell in cells.items():
        own = labels.get(instance)
        if own:
            found[tuple(own.of(names).values())][index].append(cell)
    return found


def totals(
    specs: Sequence[SeriesSpec], segments: Iterable[tuple[int, int, int]], filters: Filters
) -> list[float | None]:
    """The figures of a whole window."""
    merged: dict[str, Cells] = {spec.metric.name: {} for spec in specs}
    for resolution, start, end in segments:
        for name, cells in read_cells(specs, Grid(resolution, start, end, end - start, holds=False), filters).items():
            for key, cell in cells.items():
                if cell.count:
                    # Each segment is one bucket; the window is one, too.
                    merged[name].setdefault((key[0], 0), Cell()).add(cell.count, cell.sum, cell.min, cell.max)
    labels = read_labels(
        {instance for name, cells in merged.items() if name.startswith("queue.") for instance, _ in cells}
    )
    figures: list[float | None] = []
    for spec in specs:
        metric, stat = spec.metric, spec.stat
        cells = merged[metric.name]
        figures.append(
            combine(metric, stat, (preferred_kind(cells, labels) if metric.type == "queue" else cells).values())
        )
    return figures
