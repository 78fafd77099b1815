"""Reading levels, the gauges whose values are added over their instances (`metrics.levels`).

The newest days are read from rows of minutes, older ones from rows of hours, which have the minutes in which an
instance counts. One statement reads both, so that each hour is in its result once, also while upkeep turns it into rows
of hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from metrics.catalogue import Kind, Metric
from metrics.levels import (
    HOUR,
    LOOKBACK_SECONDS,
    MINUTE,
    MINUTES_OF_HOUR,
    Floats,
    Integers,
    Minutes,
    minute_columns,
    minutes_of,
    of_preferred_kind,
    with_held,
)
from metrics.models import GaugeRollup
from metrics.queries.read.budget import CHECK_ROWS, count_rows
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_buckets import InstanceLabels
from metrics.queries.read.sql import one_of
from metrics.queries.time.plan import Plan

CHUNK_ROWS = 4_000
ROWS_PER_ROW = 4  # of these rows take about as long as a row of requests, which has histograms


@dataclass(frozen=True, slots=True)
class Levels:
    """The levels of a metric's instances: in the newest minutes, and in the hours before them.

    In `hours`, `start` is the start of the hour and `level` is the mean over the minutes in `masks`.
    """

    minutes: Minutes
    hours: Minutes
    masks: Integers

    @property
    def instances(self) -> set[int]:
        """The ids of the label sets."""
        return {*self.minutes.instance.tolist(), *self.hours.instance.tolist()}


def read_levels(metric: Metric, start: int, end: int, filters: Filters, now_s: int) -> Levels:
    """Return the levels from `start` to `end`, which are whole minutes. Readings are held until `now_s` at most."""
    ids = filters.gauge_label_ids(metric.type)
    rows = GaugeRollup.objects.filter(resolution__in=(MINUTE, HOUR), metric=metric.name)
    rows = rows.filter(bucket__gte=start - LOOKBACK_SECONDS, bucket__lt=end)
    if ids is not None:
        rows = rows.filter(one_of("labels_id", ids))
    columns = minute_columns(metric.name)
    width = len(columns)
    of_minutes, of_hours = [np.empty((0, width))], [np.empty((0, width + 4))]
    masks: list[int] = []
    found = rows.values_list(*columns, "count", "sum", "resolution", "minutes").iterator(CHUNK_ROWS)
    while chunk := list(islice(found, CHECK_ROWS)):
        values = np.array(chunk, dtype=np.float64)  # None becomes NaN
        is_hour = values[:, -2] == HOUR
        of_minutes.append(values[~is_hour, :width])
        of_hours.append(values[is_hour])
        masks += [row[-1] or 0 for row in chunk if row[-2] == HOUR]
        count_rows(len(chunk) // ROWS_PER_ROW, values.nbytes)
    minutes = minutes_of(np.concatenate(of_minutes), metric.name)
    if metric.kind is Kind.GAUGE:
        minutes = with_held(minutes, min(end, now_s))
    hours, mask = np.concatenate(of_hours), np.array(masks, dtype=np.int64)
    known = (hours[:, 1] >= start) & (mask != 0)
    hours, mask = hours[known], mask[known]
    # The last minutes of an hour that has become rows of hours are kept for a while, to be held in the next hour.
    begin = max(start, int(hours[:, 1].max()) + HOUR) if len(hours) else start
    instance, hour, last_at, count = (hours[:, n].astype(np.int64) for n in (0, 1, 7, width))
    least, most, last, total = (hours[:, n] for n in (4, 5, 6, width + 1))
    return Levels(
        minutes.where(minutes.start >= begin),
        Minutes(instance, hour, count, total / np.maximum(count, 1), least, most, last, last_at),
        mask,
    )


class LevelSums:
    """A statistic of the combined levels of groups of instances, by step. Arrays by group and step.

    weight: the number of minutes that have a level. total: for `avg` and the `rate` of a counter, the sum of these
    levels; otherwise the statistic.
    """

    def __init__(self, levels: Levels, groups: Mapping[int, int], count: int, plan: Plan, stat: str) -> None:
        """Add up the levels of the instances in `groups`, which maps them to the numbers of `count` groups."""
        stat = "avg" if stat == "rate" else stat
        self._plan, self._stat = plan, stat
        self.weight = np.zeros(count * plan.points, dtype=np.int64)
        self.total = np.full(count * plan.points, {"min": np.inf, "max": -np.inf}.get(stat, 0.0))
        self._newest = np.full(count * plan.points, -1, dtype=np.int64)
        minutes = levels.minutes if stat == "last" else levels.minutes.where(~np.isnan(levels.minutes.level))
        self._add_minutes(minutes, _numbers(minutes.instance, groups))
        self._add_hours(levels.hours, levels.masks, _numbers(levels.hours.instance, groups))

    def _add_minutes(self, rows: Minutes, group: Integers) -> None:
        cells, starts, minute = self._cells(rows.start, group)
        np.add.at(self.weight, cells, 1)
        self._merge(cells, starts, np.bincount(minute, self._values(rows), len(cells)).astype(float))

    def _add_hours(self, rows: Minutes, masks: Integers, group: Integers) -> None:
        cells, starts, hour = self._cells(rows.start, group)
        of_any = np.zeros(len(cells), dtype=np.int64)
        np.bitwise_or.at(of_any, hour, masks)
        np.add.at(self.weight, cells, np.bitwise_count(of_any))
        if self._stat == "avg":
            np.add.at(self.total, cells, np.bincount(hour, rows.level * rows.count, len(cells)))
            return
        values = self._values(rows)
        for number in range(MINUTES_OF_HOUR):
            # The instances with this bit count in the same minute of their hour.
            sums = np.bincount(hour, values * ((masks >> number) & 1), len(cells))
            known = (of_any >> number) & 1 == 1
            self._merge(cells[known], starts[known] + number * MINUTE, sums[known])

    def _cells(self, start: Integers, group: Integers) -> tuple[Integers, Integers, Integers]:
        """Return the cell and the start of each span of a group, and the number of its span for each row."""
        seconds = start - self._plan.start
        length = self._plan.end - self._plan.start
        keys, span = np.unique(group * length + seconds, return_inverse=True)
        groups, starts = keys // length, keys % length
        return groups * self._plan.points + starts // self._plan.step_seconds, starts, span

    def _values(self, rows: Minutes) -> Floats:
        return {"avg": rows.level, "min": rows.min, "max": rows.max, "last": rows.last}[self._stat]

    def _merge(self, cells: Integers, starts: Integers, values: Floats) -> None:
        """Add the combined values of minutes to their cells."""
        match self._stat:
            case "avg":
                np.add.at(self.total, cells, values)
            case "min":
                np.minimum.at(self.total, cells, values)
            case "max":
                np.maximum.at(self.total, cells, values)
            case _:
                np.maximum.at(self._newest, cells, starts)
                newest = self._newest[cells] == starts
                self.total[cells[newest]] = values[newest]

    def values(self) -> list[list[float | None]]:
        """Return the statistic for each group and step."""
        values = self.total / np.maximum(self.weight, 1) if self._stat == "avg" else self.total
        listed = [value if known else None for value, known in zip(values.tolist(), self.weight > 0, strict=True)]
        points = self._plan.points
        return [listed[start : start + points] for start in range(0, len(listed), points)]


def _numbers(instances: Integers, groups: Mapping[int, int]) -> Integers:
    """Return the number of the group of each instance."""
    known, own = np.unique(instances, return_inverse=True)
    return np.array([groups[instance] for instance in known.tolist()], dtype=np.int64)[own]


def level_lines(
    metric: Metric,
    stat: str,
    levels: Levels,
    labels: Mapping[int, InstanceLabels],
    names: Sequence[str],
    plan: Plan,
    limit: int,
) -> tuple[dict[tuple[str, ...], list[float | None]], int]:
    """Return the values of each step by the values of these labels, and the number of groups without a limit."""
    levels = of_labels(metric, levels, labels)
    values = {instance: tuple(getattr(labels[instance], name) for name in names) for instance in levels.instances}
    groups = sorted(set(values.values())) if names else [()]
    number_of = {group: number for number, group in enumerate(groups[:limit])}
    numbers = {instance: number_of[group] for instance, group in values.items() if group in number_of}
    if len(groups) > limit:
        levels = _with_instances(levels, numbers)
    sums = LevelSums(levels, numbers, len(number_of), plan, stat)
    return dict(zip(number_of, sums.values(), strict=True)), len(groups)


def of_labels(metric: Metric, levels: Levels, labels: Mapping[int, InstanceLabels]) -> Levels:
    """Return the levels of the instances with labels; of queues, those of the preferred kind in each minute.

    The rows of hours have only the minutes in which the kind of the queue was preferred.
    """
    levels = _with_instances(levels, labels)
    if metric.type != "queue":
        return levels
    queues = {instance: (of.model, of.kind) for instance, of in labels.items()}
    return replace(levels, minutes=of_preferred_kind(levels.minutes, queues))


def _with_instances(levels: Levels, ids: Iterable[int]) -> Levels:
    chosen = np.array(list(ids), dtype=np.int64)
    is_known = np.isin(levels.hours.instance, chosen)
    minutes = levels.minutes.where(np.isin(levels.minutes.instance, chosen))
    return Levels(minutes, levels.hours.where(is_known), levels.masks[is_known])
