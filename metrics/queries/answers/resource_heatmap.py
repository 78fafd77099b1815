"""Averages of a gauge of hosts or GPUs: by device and time, and by weekday and hour of the day.

The values are those of a series: of one for each device, or of one over all selected devices in steps of an hour. Of a
counter, they are its rate.

Rollups are of whole hours of UTC. By weekday, such an hour belongs to the local weekday and hour that contain its
middle. In a time zone with an offset of half or three quarters of an hour, its values are therefore moved by at most
half an hour. Where a clock is put back, two hours have the same local hour, which is the mean of both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from metrics import catalogue
from metrics.catalogue import Kind, Metric
from metrics.queries.answers.caching import cached
from metrics.queries.answers.hosts import real_hosts
from metrics.queries.answers.results import notes, round_figure
from metrics.queries.answers.series import Value, check_step_of_levels, read_lines, unit_of
from metrics.queries.exceptions import BadQuery
from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import gpu_number
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import COARSEST, Plan, Retention, plan_steps
from metrics.queries.time.window import Window

DEVICES = ("host", "gpu")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
HOURS = 24
MAX_ROWS = 64
MAX_COLUMNS = 120  # if the client sets no step
MAX_COLUMNS_OF_STEP = 400
METRICS = tuple(
    metric for metric in catalogue.of_type("system", "gpu", "monitor") if metric.kind in (Kind.GAUGE, Kind.COUNTER)
)
METRICS_OF_GPUS = catalogue.of_type("gpu")


@dataclass(frozen=True)
class DeviceHeatmap:
    """`values[row][column]`: the value of a device in a step. Devices without any value in the window have no row."""

    spec: SeriesSpec
    by: str
    plan: Plan
    labels: Sequence[dict[str, str]]
    values: Sequence[Sequence[Value]]
    omitted: int
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the heatmap ready for JSON."""
        return {
            **_head(self.spec, self.by, self.plan),
            "step_seconds": self.plan.step_seconds,
            "rows": [_name(labels) for labels in self.labels],
            "labels": list(self.labels),
            "columns": [start * 1000 for start in self.plan.starts],
            "values": [[round_figure(value) for value in row] for row in self.values],
            **({"rows_omitted": self.omitted} if self.omitted else {}),
            **notes(self.age_seconds, self.plan.retention_from),
        }


@dataclass(frozen=True)
class WeekHeatmap:
    """`values[weekday][hour]`: the mean of the hours with data, whose number is `hours[weekday][hour]`."""

    spec: SeriesSpec
    zone: str
    plan: Plan
    values: list[list[Value]]
    hours: list[list[int]]
    age_seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return the heatmap ready for JSON."""
        return {
            **_head(self.spec, "weekday", self.plan),
            "time_zone": self.zone,
            "rows": list(WEEKDAYS),
            "columns": list(range(HOURS)),
            "values": [[round_figure(value) for value in row] for row in self.values],
            "hours": self.hours,
            **notes(self.age_seconds, self.plan.retention_from),
        }


def device_heatmap(
    metric: Metric, by: str, window: Window, filters: Filters, *, step: int | None = None, now: datetime
) -> DeviceHeatmap:
    """Return the values of each host, or of each GPU, over the window. Raises BadQuery and QueryTooSlow.

    At most MAX_ROWS devices are returned: the first by name, hosts of demo data last.
    """
    spec = SeriesSpec(metric, metric.default_stat, (by,))
    if step is not None:
        check_step_of_levels([spec], step)
    plan = plan_steps(window, now, step, Retention.current(raw_samples=True), MAX_COLUMNS)
    if plan.points > MAX_COLUMNS_OF_STEP:
        raise BadQuery(
            "step",
            f"must be longer: {step} s would make {plan.points:,} columns, and the maximum is {MAX_COLUMNS_OF_STEP}.",
        )

    def compute() -> DeviceHeatmap:
        with query_budget():
            lines, omitted = read_lines([spec], plan, filters, now, MAX_ROWS)
            real = real_hosts()
        known = [line for line in lines[spec] if any(value is not None for value in line.values)]
        known.sort(key=lambda line: (line.labels["host"] not in real, *_order(line.labels)))
        labels, values = [line.labels for line in known], [line.values for line in known]
        return DeviceHeatmap(spec, by, plan, labels, values, omitted)

    return cached(("device heatmap", metric.name, by, filters, plan), window, now, compute)


def week_heatmap(metric: Metric, window: Window, filters: Filters, zone: ZoneInfo, now: datetime) -> WeekHeatmap:
    """Return the mean of each hour of the week over the window, for all selected devices. Raises QueryTooSlow."""
    spec = SeriesSpec(metric, metric.default_stat, ())
    plan = plan_steps(window, now, COARSEST, Retention.current(raw_samples=True))

    def compute() -> WeekHeatmap:
        with query_budget():
            lines, _ = read_lines([spec], plan, filters, now, limit=1)
        values = lines[spec][0].values if lines[spec] else [None] * plan.points
        means, hours = week_means(plan.starts, values, zone)
        return WeekHeatmap(spec, zone.key, plan, means, hours)

    return cached(("week heatmap", metric.name, filters, plan, zone.key), window, now, compute)


def week_means(
    starts: Sequence[int], values: Sequence[Value], zone: ZoneInfo
) -> tuple[list[list[Value]], list[list[int]]]:
    """Return the mean of the values of hours by local weekday and hour, and the number of hours with a value.

    starts: the start of each hour in unix seconds.
    """
    sums, counts = np.zeros((len(WEEKDAYS), HOURS)), np.zeros((len(WEEKDAYS), HOURS), dtype=np.int64)
    for start, value in zip(starts, values, strict=True):
        if value is not None:
            middle = datetime.fromtimestamp(start + COARSEST // 2, zone)
            sums[middle.weekday(), middle.hour] += value
            counts[middle.weekday(), middle.hour] += 1
    means: list[list[Value]] = [
        [float(total / count) if count else None for total, count in zip(*row, strict=True)]
        for row in zip(sums, counts, strict=True)
    ]
    return means, counts.tolist()


def _head(spec: SeriesSpec, by: str, plan: Plan) -> dict[str, Any]:
    unit = unit_of(spec.metric, spec.stat)
    return {**plan.window.as_dict(), "metric": spec.metric.name, "stat": spec.stat, "unit": unit, "by": by}


def _name(labels: dict[str, str]) -> str:
    return f"{labels['host']} GPU {labels['gpu']}" if "gpu" in labels else labels["host"]


def _order(labels: dict[str, str]) -> tuple[str, bool, int, str]:
    """Return the order of a device: by host, then by the number of the GPU, then by ids that are no numbers."""
    gpu = gpu_number(labels.get("gpu", ""))
    return (labels["host"], False, gpu, "") if isinstance(gpu, int) else (labels["host"], True, 0, gpu)
