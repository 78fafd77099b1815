"""The values of a metric over a window that moves: at each of many moments, what `evaluate` returns for it.

What is read, is read once for all moments. Windows that overlap are differences of running sums, so the cost grows with
the number of rows and of moments, not with the length of the window times the number of moments.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from metrics.aggregation import RESOLUTIONS
from metrics.catalogue import Metric
from metrics.queries.answers.evaluation import Labels
from metrics.queries.answers.series import error_values, label_names, read_errors
from metrics.queries.read import gauges
from metrics.queries.read.budget import check_budget, count_rows, query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.request_rollups import columns_for, series_labels
from metrics.queries.read.rollup_cache import read_rows
from metrics.queries.read.sliding_gauges import Windows, read_moving_gauges, read_presence
from metrics.queries.read.sliding_rollups import SlidingRollups
from metrics.queries.series_spec import SeriesSpec
from metrics.queries.time.plan import Plan, Retention
from metrics.queries.time.window import end_of_now

MAX_VALUES = 4_000_000  # of all groups: 64 MB of values and counts
VALUES_PER_ROW = 5  # that are computed, and judged, in about the time of reading a row


@dataclass(frozen=True, slots=True)
class Moving:
    """The values of a group at each moment: NaN without one, the number of requests, and whether the group has data."""

    values: NDArray[np.float64]
    requests: NDArray[np.int64]
    present: NDArray[np.bool_]


class TooManyGroups(Exception):
    """The groups have more than MAX_VALUES values. `groups` is their number."""

    def __init__(self, groups: int) -> None:
        super().__init__(groups)
        self.groups = groups


def moving(spec: SeriesSpec, windows: Windows, filters: Filters) -> dict[Labels, Moving]:
    """Return the values of each group in the windows. Without labels, there is one group, which always has data.

    The windows must consist of whole buckets, which must be kept. Raises QueryStopped, TooManyGroups.
    """
    ends, first, place = np.unique(windows.ends, return_index=True, return_inverse=True)
    windows = windows._replace(starts=windows.starts[first], ends=ends)
    names = label_names(spec.metric, spec.group_by)
    with query_budget():
        if not len(ends):
            found = {}
        elif spec.metric.type in gauges.TABLES:
            ones = np.ones(len(ends), dtype=np.int64)
            read = read_moving_gauges(spec, names, windows, filters, _check_size)
            found = {group: Moving(values, ones, present) for group, (values, present) in read.items()}
        else:
            found = _requests(spec, names, windows, filters)
    if len(place) > len(ends):
        _check_size(len(found), len(place))
    return {
        tuple(zip(names, group, strict=True)): Moving(
            own.values[place], own.requests[place], own.present[place] | (not names)
        )
        for group, own in found.items()
    }


def presence(spec: SeriesSpec, windows: Windows, filters: Filters) -> dict[Labels, NDArray[np.bool_]]:
    """Return in which of the windows each group has data. Raises QueryStopped, TooManyGroups."""
    if spec.metric.type not in gauges.TABLES:
        return {labels: own.present for labels, own in moving(spec, windows, filters).items()}
    names = label_names(spec.metric, spec.group_by)
    with query_budget():
        read = read_presence(spec, names, windows, filters, _check_size)
    return {tuple(zip(names, group, strict=True)): present | (not names) for group, present in read.items()}


def kept_from(metric: Metric, now: datetime) -> dict[int, int]:
    """Return the start (unix seconds) of the oldest complete bucket of the metric by resolution.

    Of gauges, the resolution of a second stands for raw samples.
    """
    is_gauge = metric.type in gauges.TABLES
    retention, now_s = Retention.current(raw_samples=is_gauge), end_of_now(now) - 1
    return {resolution: retention.oldest_complete(resolution, now_s) for resolution in RESOLUTIONS}


def _check_size(groups: int, moments: int) -> None:
    """Raise TooManyGroups if the values are too many. Few rows may have many, which make a query heavy, too."""
    if groups * moments > MAX_VALUES:
        raise TooManyGroups(groups)
    count_rows(groups * moments // VALUES_PER_ROW, 0)


def _requests(
    spec: SeriesSpec, names: Sequence[str], windows: Windows, filters: Filters
) -> dict[tuple[str, ...], Moving]:
    starts, ends, resolution = windows
    plan = Plan(resolution, resolution, int(starts[0]), int(ends[-1]))
    ids = filters.series_ids()
    rows = read_rows([plan.segment], sorted(columns_for(spec.metric, spec.stat, filters.outcome)), ids)
    errors = read_errors(plan, ids) if spec.metric.type == "error" else []
    of_series = {*rows.series_ids, *(series_id for _, series_id, _ in errors)}
    labels_of: Mapping[int, tuple[str, ...]] = (
        series_labels(of_series, names) if names else dict.fromkeys(of_series, ())
    )
    groups = sorted(set(labels_of.values())) if names else [()]
    _check_size(len(groups), len(ends))
    number_of = {group: number for number, group in enumerate(groups)}
    numbers = rows.group_numbers({series_id: number_of[group] for series_id, group in labels_of.items()}, -1)
    errors_of: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for step, series_id, count in errors:
        if series_id in labels_of:
            errors_of[number_of[labels_of[series_id]]].append((plan.start + step * resolution, count))
    found = {}
    for group, number in number_of.items():
        check_budget()
        rollups = SlidingRollups(rows, numbers == number, starts, ends)
        requests, seconds = rollups.requests, ends - starts
        counts = _sums(errors_of[number], starts, ends)
        if spec.metric.type == "error":
            values = error_values(counts, spec.stat, requests, seconds)
        else:
            values = list(rollups.values(spec.metric, spec.stat, filters.outcome, seconds))
        found[group] = Moving(np.array(values, dtype=np.float64), requests, (counts > 0) | (requests > 0))
    return found


def _sums(counted: list[tuple[int, int]], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the sums of counts, given with their unix times, in each window."""
    times, counts = np.array(sorted(counted), dtype=np.int64).reshape(-1, 2).T
    before = np.concatenate(([0], np.cumsum(counts)))
    sums: NDArray[np.int64] = before[np.searchsorted(times, ends)] - before[np.searchsorted(times, starts)]
    return sums
