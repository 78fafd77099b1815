"""Gauges and counters in windows that overlap, as `gauge_values` has them in the steps of a chart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.aggregation import max_counter_gap
from metrics.catalogue import Combine, Metric
from metrics.histogram.sliding import reduced
from metrics.levels import COUNTERS, LEVELS, MINUTES_OF_HOUR
from metrics.queries.read.budget import check_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_cache import NO_ROWS
from metrics.queries.read.gauge_samples import read_samples
from metrics.queries.read.gauge_values import combined, of_labels
from metrics.queries.read.gauges import InstanceLabels, InstanceSpans, read_labels, read_spans
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Plan
from metrics.readings import (
    LOOKBACK_SECONDS,
    MINUTE,
    Floats,
    Integers,
    SourceReadings,
    Spans,
    joined,
    rank_of_kind,
    rows_of_samples,
    spans_of,
    with_held,
)

Booleans = NDArray[np.bool_]
Group = tuple[str, ...]


class Windows(NamedTuple):
    """The starts and the ends of windows, ascending, in unix seconds, and the buckets that they are read from."""

    starts: Integers
    ends: Integers
    resolution: int

    @property
    def plan(self) -> Plan:
        """All windows. The step is as long as the longest of them, which decides whether readings are held."""
        longest = int((self.ends - self.starts).max())
        return Plan(longest, self.resolution, int(self.starts[0]), int(self.ends[-1]))


class _Figure(NamedTuple):
    """The value of an instance in each window, and in which it has one."""

    values: Floats
    known: Booleans


def read_moving_gauges(
    spec: SeriesSpec, names: Sequence[str], windows: Windows, filters: Filters, check_size: Callable[[int, int], None]
) -> dict[Group, tuple[Floats, Booleans]]:
    """Return the values of each group by the values of these labels, NaN without one, and in which windows it has data.

    `check_size` is called with the numbers of instances and of windows, and may raise.
    """
    metric, stat = spec.metric, spec.stat
    count = len(windows.ends)
    if windows.resolution == 1:
        samples = _samples_by_instance(metric, windows.plan, filters)
        labels = read_labels(samples)
        check_size(len(labels), count)
        figure = partial(_of_counter, max_counter_gap(metric)) if metric.name in COUNTERS else _of_samples
        figures = {number: figure(samples[number], windows, stat) for number in labels}
        if metric.type == "queue":
            figures = _of_preferred_kind(figures, labels)
        return _combined(metric, stat, figures, _groups(labels, names), count)
    read = read_spans([(metric, stat)], windows.plan, filters, windows.plan.end)[metric.name]
    labels = read_labels(read.instances)
    spans = _by_minute(of_labels(metric, read, labels))
    check_size(len(labels), count)
    groups = _groups(labels, names)
    if metric.combine is not Combine.SUM:
        is_level = metric.name in LEVELS
        figures = {number: _of_spans(own, windows, stat, is_level) for number, own in _by_instance(spans)}
        return _combined(metric, stat, figures, groups, count)
    return {group: _sum(spans, members, windows, stat) for group, members in groups.items()}


def read_presence(
    spec: SeriesSpec, names: Sequence[str], windows: Windows, filters: Filters, check_size: Callable[[int, int], None]
) -> dict[Group, Booleans]:
    """Return in which windows each group has data. Of levels, readings that are held in minutes are data, too.

    A queue has data in the minutes in which no preferred kind of its model has some.
    """
    metric, plan = spec.metric, windows.plan
    samples: dict[int, tuple[Integers, Floats]] = {}
    if windows.resolution == 1:
        samples = _samples_by_instance(metric, plan, filters)
        read = InstanceSpans.without_hours(_minutes_of(samples, metric, plan.end))
    else:
        read = read_spans([(metric, spec.stat)], plan, filters, plan.end)[metric.name]
    labels = read_labels(read.instances)
    times: dict[int, Integers] = {}
    for number, own in _by_instance(_by_minute(of_labels(metric, read, labels))):
        times[number] = own.start
        if number in samples:
            at = samples[number][0] // 1_000_000
            sampled = at[np.isin(at // MINUTE * MINUTE, own.start[own.count > 0])]
            times[number] = np.sort(np.concatenate((sampled, own.start[own.count == 0])))
    labels = {number: labels[number] for number in times}
    check_size(len(labels), len(windows.ends))
    return {
        group: np.any([_between(times[number], windows) for number in members], axis=0)
        for group, members in _groups(labels, names).items()
        if members
    }


def _minutes_of(samples: Mapping[int, tuple[Integers, Floats]], metric: Metric, end: int) -> Spans:
    """Return the minutes in which instances have samples; of a level, also those in which a reading is held."""
    if not samples:
        return spans_of(NO_ROWS.values)
    instance = np.repeat(np.array(list(samples)), [len(at) for at, _ in samples.values()])
    at = np.concatenate([at for at, _ in samples.values()])
    minutes = spans_of(rows_of_samples(instance, at // 1_000_000 // MINUTE * MINUTE, np.ones(len(at)), at))
    return with_held(minutes, end) if metric.name in LEVELS and metric.name not in COUNTERS else minutes


def _between(times: Integers, windows: Windows) -> Booleans:
    is_between: Booleans = np.searchsorted(times, windows.ends) > np.searchsorted(times, windows.starts)
    return is_between


def _groups(labels: Mapping[int, InstanceLabels], names: Sequence[str]) -> dict[Group, list[int]]:
    """Return the instances of each group. Without names, there is one group of all."""
    groups: dict[Group, list[int]] = {} if names else {(): []}
    for number, of in labels.items():
        groups.setdefault(tuple(getattr(of, name) for name in names), []).append(number)
    return groups


def _samples_by_instance(metric: Metric, plan: Plan, filters: Filters) -> dict[int, tuple[Integers, Floats]]:
    """Return the times (unix microseconds) and the values of each instance's samples, with those that may be held."""
    # The minute of the first reading that may be held, and those that its interval is known from.
    start = plan.start - 2 * LOOKBACK_SECONDS
    samples = read_samples([metric], plan, start - start % MINUTE, filters.gauge_label_ids(metric.type))[metric.name]
    samples = samples[np.lexsort((samples[:, 2], samples[:, 1], samples[:, 0]))]
    instances, first = np.unique(samples[:, 0].astype(np.int64), return_index=True)
    parts = np.split(samples, first[1:])
    return {
        number: (part[:, 1].astype(np.int64), part[:, 2])
        for number, part in zip(instances.tolist(), parts, strict=False)
    }


def _of_samples(samples: tuple[Integers, Floats], windows: Windows, stat: str) -> _Figure:
    """Return the statistic of the samples in each window; without any, the reading that is held at its start."""
    check_budget()
    at, value = samples
    first, end = np.searchsorted(at, windows.starts * 1_000_000), np.searchsorted(at, windows.ends * 1_000_000)
    values = _statistic(stat, value, np.ones(len(value)), (value, value, value), first, end)
    known = end > first
    open_ = np.flatnonzero(~known & (first > 0))
    reading = first[open_] - 1
    is_valid = SourceReadings(at).is_valid(reading, windows.starts[open_])
    values[open_[is_valid]] = value[reading[is_valid]]
    known[open_[is_valid]] = True
    return _Figure(values, known)


def _of_counter(max_gap: int, samples: tuple[Integers, Floats], windows: Windows, stat: str) -> _Figure:
    """Return the growth of a counter per second in each window, up to the last sample that was known at its end.

    Of `last`, return the value of this sample.
    """
    check_budget()
    at, value = samples
    if stat == "last":
        first, end = np.searchsorted(at, windows.starts * 1_000_000), np.searchsorted(at, windows.ends * 1_000_000)
        return _Figure(value[np.maximum(end - 1, 0)], end > first)
    whole = np.diff(at) / 1e6
    counts = (whole > 0) & (whole <= max_gap)
    grown = np.where(np.diff(value) >= 0, np.diff(value), value[1:])  # a lower value is a reset to 0
    growth = np.concatenate(([0.0], np.cumsum(np.where(counts, grown, 0.0))))
    covered = np.concatenate(([0.0], np.cumsum(np.where(counts, whole, 0.0))))
    last = np.searchsorted(at, windows.ends * 1_000_000) - 1
    seconds = (at - at[0]) / 1e6  # unix seconds are too large for a float to keep microseconds
    begin = np.minimum((windows.starts * 1_000_000 - at[0]) / 1e6, seconds[np.maximum(last, 0)])
    place = np.clip(np.searchsorted(seconds, begin, side="right") - 1, 0, len(at) - 1)
    following = np.minimum(place + 1, len(at) - 1)
    # Between two samples, both sums grow in proportion to the time.
    length = np.maximum(seconds[following] - seconds[place], 1e-9)
    share = np.clip((begin - seconds[place]) / length, 0, 1)
    amount = growth[last] - growth[place] - share * (growth[following] - growth[place])
    divisor = covered[last] - covered[place] - share * (covered[following] - covered[place])
    known = (last >= 0) & (divisor > 1e-6)
    return _Figure(np.where(known, amount / np.where(known, divisor, 1), np.nan), known)


def _statistic(
    stat: str,
    level: Floats,
    weight: Floats,
    least_most_last: tuple[Floats, Floats, Floats],
    first: Integers,
    end: Integers,
) -> Floats:
    """Return the statistic of the rows from `first` to `end` of each window. That of an empty window has no meaning."""
    least, most, last = least_most_last
    if stat == "min":
        return reduced(np.minimum, least, first, end, np.nan)
    if stat == "max":
        return reduced(np.maximum, most, first, end, np.nan)
    if stat == "last":
        newest: Floats = np.append(last, np.nan)[np.where(end > first, end - 1, len(last))]
        return newest
    total = reduced(np.add, level * weight, first, end, np.nan)
    mean: Floats = total / np.maximum(reduced(np.add, weight, first, end, 1.0), 1e-9)
    return mean


def _of_spans(spans: Spans, windows: Windows, stat: str, is_level: bool) -> _Figure:
    """Return the statistic of an instance's minutes or hours in each window.

    A held reading counts only in a window in which the instance has nothing else; of a level, each minute counts alike.
    """
    check_budget()
    held = _figure_of(spans, np.ones(len(spans)), windows, stat)
    if is_level:
        return held
    sampled = spans.where(spans.count > 0)
    own = _figure_of(sampled, sampled.count.astype(np.float64), windows, stat)
    return _Figure(np.where(own.known, own.values, held.values), own.known | held.known)


def _figure_of(spans: Spans, weight: Floats, windows: Windows, stat: str) -> _Figure:
    first, end = np.searchsorted(spans.start, windows.starts), np.searchsorted(spans.start, windows.ends)
    values = _statistic(stat, spans.level, weight, (spans.min, spans.max, spans.last), first, end)
    return _Figure(values, end > first)


def _sum(spans: Spans, members: Sequence[int], windows: Windows, stat: str) -> tuple[Floats, Booleans]:
    """Return the statistic of the minutes of each window, each with the sum over the instances that have a level."""
    check_budget()
    is_known = np.ones(len(spans), dtype=bool) if stat == "last" else ~np.isnan(spans.level)
    own = spans.where(np.isin(spans.instance, np.array(members, dtype=np.int64)) & is_known)
    starts, minute = np.unique(own.start, return_inverse=True)
    level, least, most, last = (
        np.bincount(minute, column, len(starts)).astype(np.float64)
        for column in (own.level, own.min, own.max, own.last)
    )
    first, end = np.searchsorted(starts, windows.starts), np.searchsorted(starts, windows.ends)
    values = _statistic("avg" if stat == "rate" else stat, level, np.ones(len(starts)), (least, most, last), first, end)
    return values, end > first


def _by_minute(read: InstanceSpans) -> Spans:
    """Return the spans, with the hours of levels as their minutes, by instance and time."""
    masks = (read.masks[:, None] >> np.arange(MINUTES_OF_HOUR)) & 1
    hour, minute = np.nonzero(masks)
    hours = read.hours.where(hour)
    spans = joined([read.spans, replace(hours, start=hours.start + minute * MINUTE)])
    return spans.where(np.lexsort((spans.start, spans.instance)))


def _by_instance(spans: Spans) -> Iterator[tuple[int, Spans]]:
    instances, first = np.unique(spans.instance, return_index=True)
    for number, begin, end in zip(instances.tolist(), first, np.append(first, len(spans))[1:], strict=True):
        yield number, spans.where(np.arange(begin, end))


def _of_preferred_kind(figures: Mapping[int, _Figure], labels: Mapping[int, InstanceLabels]) -> dict[int, _Figure]:
    """Return the figures of queues in the windows in which no preferred kind of their model has one."""
    best: dict[str, Integers] = {}
    ranks: dict[int, Integers] = {}
    for number, figure in figures.items():
        model = labels[number].sent_model
        ranks[number] = np.where(figure.known, rank_of_kind(labels[number].kind), np.iinfo(np.int64).max)
        best[model] = np.minimum(best[model], ranks[number]) if model in best else ranks[number]
    return {
        number: _Figure(figure.values, figure.known & (ranks[number] == best[labels[number].sent_model]))
        for number, figure in figures.items()
    }


def _combined(
    metric: Metric, stat: str, figures: Mapping[int, _Figure], groups: Mapping[Group, Sequence[int]], count: int
) -> dict[Group, tuple[Floats, Booleans]]:
    """Return the values of the instances of each group, combined as the catalogue says."""
    found = {}
    for group, members in groups.items():
        own = [figures[number] for number in members if number in figures]
        known = np.array([figure.known for figure in own], dtype=bool).reshape(-1, count)
        values = np.array([figure.values for figure in own], dtype=np.float64).reshape(-1, count)
        _, window = np.nonzero(known)
        if metric.combine is Combine.SUM:
            result = np.bincount(window, values[known], count).astype(np.float64)
        else:
            result = combined(metric, stat, values[known], window, count)
        present: Booleans = np.any(known, axis=0)
        found[group] = np.where(present, result, np.nan), present
    return found
