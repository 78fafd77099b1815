"""The rollups of requests, added up by windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metrics.histogram import HistogramGroups
from metrics.histogram.sliding import SlidingHistograms
from metrics.queries.read.budget import check_budget
from metrics.queries.read.request_rollups import GroupedRollups
from metrics.queries.read.rollup_rows import RollupRows


class SlidingRollups(GroupedRollups):
    """The figures of some rows in windows, each with an item for each window."""

    def __init__(self, rows: RollupRows, chosen: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """`chosen`: for each row whether it counts. `starts`, `ends`: of the windows, unix seconds, ascending."""
        bins, own = np.unique(rows.buckets[chosen], return_inverse=True)
        bin_of_row = np.full(len(rows), -1)
        bin_of_row[chosen] = own
        super().__init__(rows, bin_of_row, len(bins))
        self._windows = np.searchsorted(bins, starts), np.searchsorted(bins, ends)

    def _add_up(self, values: np.ndarray) -> np.ndarray:
        before = np.concatenate(([0], np.cumsum(super()._add_up(values))))
        first, end = self._windows
        added: np.ndarray = before[end] - before[first]
        return added

    def _merged(self, columns: Sequence[str]) -> HistogramGroups:
        return SlidingHistograms(super()._merged(columns), self._windows, check_budget)
