"""The values of gauges and counters in the steps of a chart: the spans of instances, combined into groups.

Levels that are added are added span by span, and then averaged over the spans of a step (`LevelSums`). Of other gauges,
each instance has an average of its samples in the step, and these are combined as the catalogue says
(`means_and_maxima`). A host that sends twice as many samples therefore does not count twice. `min` and `max` are the
smallest and the largest of the instances' values, or the sums of these where the catalogue adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from metrics.catalogue import Combine, Metric
from metrics.levels import LEVELS, MINUTES_OF_HOUR
from metrics.queries.read.gauges import InstanceLabels, InstanceSpans
from metrics.queries.time.plan import Plan
from metrics.readings import MINUTE, Floats, Integers, Spans, joined, of_preferred_kind

Values = list[float | None]
Group = tuple[str, ...]


class Grouped:
    """A statistic of the instances of a metric, grouped by the values of some labels.

    groups: the values of the labels, in order; without labels, one group of all instances.
    """

    def __init__(
        self,
        metric: Metric,
        stat: str,
        read: InstanceSpans,
        labels: Mapping[int, InstanceLabels],
        names: Sequence[str],
        plan: Plan,
    ) -> None:
        self._metric, self._stat, self._plan = metric, stat, plan
        self._read = of_labels(metric, read, labels)
        self._group_of: dict[int, Group] = {
            instance: tuple(getattr(labels[instance], name) for name in names) for instance in self._read.instances
        }
        self.groups: list[Group] = sorted(set(self._group_of.values())) if names else [()]

    def ranked(self) -> list[Group]:
        """Return the groups by their value over all steps together, the largest first."""
        whole = replace(self._plan, step_seconds=self._plan.end - self._plan.start)
        values = {group: value or 0.0 for group, [value] in self._listed(self.groups, None, whole).items()}
        return sorted(values, key=lambda group: (-values[group], group))

    def lines(self, groups: Sequence[Group], others: Group | None = None) -> dict[Group, Values]:
        """Return the values of each step of these groups. `others`: the name of all the other groups together."""
        return self._listed(groups, others, self._plan)

    def _listed(self, groups: Sequence[Group], others: Group | None, plan: Plan) -> dict[Group, Values]:
        number_of = {group: number for number, group in enumerate((*groups, *([] if others is None else [others])))}
        rest = None if others is None else number_of[others]
        numbers = {
            instance: number
            for instance, group in self._group_of.items()
            if (number := number_of.get(group, rest)) is not None
        }
        read = self._read if len(numbers) == len(self._group_of) else self._read.of_instances(numbers)
        if self._metric.combine is Combine.SUM:
            listed = LevelSums(read, numbers, len(number_of), plan, self._stat).values()
        else:
            listed = means_and_maxima(self._metric, read, numbers, len(number_of), plan, self._stat)
        return dict(zip(number_of, listed, strict=True))


def of_labels(metric: Metric, read: InstanceSpans, labels: Mapping[int, InstanceLabels]) -> InstanceSpans:
    """Return the values of the instances with labels; of queues, those of the preferred kind in each span.

    The rows of hours have only the minutes in which the kind of the queue was preferred.
    """
    read = read.of_instances(labels)
    if metric.type != "queue":
        return read
    queues = {instance: (of.sent_model, of.kind) for instance, of in labels.items()}
    return replace(read, spans=of_preferred_kind(read.spans, queues))


def means_and_maxima(
    metric: Metric, read: InstanceSpans, groups: Mapping[int, int], count: int, plan: Plan, stat: str
) -> list[Values]:
    """Return a statistic of a gauge that is not added, for each of `count` groups and each step.

    groups: the number of the group of each instance. An average is over the samples; that of a level, which is stored
    by minute, is over the minutes. A held reading counts only in a step in which the instance has nothing else.
    """
    spans = joined([read.spans, read.hours])
    instances, own = np.unique(spans.instance, return_inverse=True)
    group = np.array([groups[instance] for instance in instances.tolist()], dtype=np.int64)
    cells, cell = np.unique(own * plan.points + (spans.start - plan.start) // plan.step_seconds, return_inverse=True)
    if metric.name in LEVELS:
        weight = np.r_[np.ones(len(read.spans)), read.hours.count.astype(np.float64)]
    else:
        weight = spans.count.astype(np.float64)
        is_sampled = np.bincount(cell, weight, len(cells)) > 0
        weight[~is_sampled[cell]] = 1
    kept = weight > 0
    values = _by_cell(spans.where(kept), weight[kept], cell[kept], len(cells), stat)
    group_of_cell, step = group[cells // plan.points], cells % plan.points
    return _combined(metric, stat, values, group_of_cell * plan.points + step, count, plan.points)


def _by_cell(spans: Spans, weight: Floats, cell: Integers, count: int, stat: str) -> Floats:
    """Return the statistic of the spans of each cell. Each cell has a span."""
    if stat == "avg":
        return np.bincount(cell, spans.level * weight, count) / np.bincount(cell, weight, count)
    values = np.full(count, {"min": np.inf, "max": -np.inf}.get(stat, 0.0))
    if stat == "last":
        order = np.argsort(spans.start, kind="stable")
        values[cell[order]] = spans.last[order]  # of repeated cells, the last value is assigned
    else:
        (np.minimum if stat == "min" else np.maximum).at(values, cell, spans.min if stat == "min" else spans.max)
    return values


def _combined(metric: Metric, stat: str, values: Floats, cell: Integers, count: int, points: int) -> list[Values]:
    """Return the values of instances, combined in the cells of `count` groups."""
    size = count * points
    number = np.bincount(cell, minlength=size)
    return _listed(combined(metric, stat, values, cell, size), number, points)


def combined(metric: Metric, stat: str, values: Floats, cell: Integers, size: int) -> Floats:
    """Return the values of instances, combined in each of `size` cells. A cell without an instance has no meaning."""
    number = np.bincount(cell, minlength=size)
    if stat == "min" or (metric.combine is Combine.MIN and stat != "max"):
        result = np.full(size, np.inf)
        np.minimum.at(result, cell, values)
    elif stat == "max" or metric.combine is Combine.MAX:
        result = np.full(size, -np.inf)
        np.maximum.at(result, cell, values)
    else:
        result = np.bincount(cell, values, size) / np.maximum(number, 1)
    return result


def _listed(values: Floats, known: Integers, points: int) -> list[Values]:
    """Return the values of each group as a list, None where `known` is 0."""
    listed = [value if is_known else None for value, is_known in zip(values.tolist(), known > 0, strict=True)]
    return [listed[start : start + points] for start in range(0, len(listed), points)]


class LevelSums:
    """A statistic of the combined levels of groups of instances, by step. Arrays by group and step.

    weight: the number of spans that have a level. total: for `avg` and the `rate` of a counter, the sum of these
    levels; otherwise the statistic.
    """

    def __init__(self, read: InstanceSpans, groups: Mapping[int, int], count: int, plan: Plan, stat: str) -> None:
        """Add up the levels of the instances in `groups`, which maps them to the numbers of `count` groups."""
        stat = "avg" if stat == "rate" else stat
        self._plan, self._stat = plan, stat
        self.weight = np.zeros(count * plan.points, dtype=np.int64)
        self.total = np.full(count * plan.points, {"min": np.inf, "max": -np.inf}.get(stat, 0.0))
        self._newest = np.full(count * plan.points, -1, dtype=np.int64)
        spans = read.spans if stat == "last" else read.spans.where(~np.isnan(read.spans.level))
        self._add_spans(spans, _numbers(spans.instance, groups))
        self._add_hours(read.hours, read.masks, _numbers(read.hours.instance, groups))

    def _add_spans(self, rows: Spans, group: Integers) -> None:
        cells, starts, span = self._cells(rows.start, group)
        np.add.at(self.weight, cells, 1)
        self._merge(cells, starts, np.bincount(span, self._values(rows), len(cells)).astype(float))

    def _add_hours(self, rows: Spans, masks: Integers, group: Integers) -> None:
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

    def _values(self, rows: Spans) -> Floats:
        return {"avg": rows.level, "min": rows.min, "max": rows.max, "last": rows.last}[self._stat]

    def _merge(self, cells: Integers, starts: Integers, values: Floats) -> None:
        """Add the combined values of spans to their cells."""
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

    def values(self) -> list[Values]:
        """Return the statistic for each group and step."""
        values = self.total / np.maximum(self.weight, 1) if self._stat == "avg" else self.total
        return _listed(values, self.weight, self._plan.points)


def _numbers(instances: Integers, groups: Mapping[int, int]) -> Integers:
    """Return the number of the group of each instance."""
    known, own = np.unique(instances, return_inverse=True)
    return np.array([groups[instance] for instance in known.tolist()], dtype=np.int64)[own]
