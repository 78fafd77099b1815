"""The rollups of requests, added up by windows that overlap."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from metrics.histogram import HistogramGroups
from metrics.histogram.sliding import SlidingHistograms
from metrics.queries.read.budget import check_budget
from metrics.queries.read.request_rollups import GroupedRollups, RollupRows


class SlidingRollups(GroupedRollups):
    """The figures of some rows in windows, each with an item for each window."""

    def __init__(self, rows: RollupRows, chosen: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
        """`chosen`: for each row whether it counts. `starts`, `ends`: of the windows, unix seconds, ascending."""
        super().__init__(rows, np.where(chosen, 0, -1), len(ends))
        bins, self._bin = np.unique(rows.buckets[self._included], return_inverse=True)
        self._n_bins = len(bins)
        self._windows = np.searchsorted(bins, starts), np.searchsorted(bins, ends)

    def _add_up(self, values: np.ndarray) -> np.ndarray:
        of_bins = np.zeros(self._n_bins, dtype=np.int64)
        np.add.at(of_bins, self._bin, values[self._included])
        before = np.concatenate(([0], np.cumsum(of_bins)))
        first, end = self._windows
        added: np.ndarray = before[end] - before[first]
        return added

    def _merged(self, columns: Sequence[str]) -> HistogramGroups:
        included = self._included.tolist()
        blobs = list(chain.from_iterable(map(self._rows.blobs(column).__getitem__, included) for column in columns))
        return SlidingHistograms(blobs, np.tile(self._bin, len(columns)), self._n_bins, self._windows, check_budget)
