"""The histograms of windows that overlap, such as the five minutes before each of a thousand moments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.groups import CODES, HistogramGroups, middles_of

Integers = NDArray[np.int64]

_CELLS: Final = 2**22  # of the table of counts by bin and bucket: 32 MiB


def reduced(reduce: Any, values: NDArray[Any], first: Integers, end: Integers, empty: Any) -> NDArray[Any]:
    """Return the reduction (such as `np.add`) of `values[first:end]` of each window, `empty` of an empty one."""
    padded = np.append(values, values[:1] if len(values) else np.zeros(1, dtype=values.dtype))
    result: NDArray[Any] = reduce.reduceat(padded, np.column_stack((first, end)).ravel())[::2]
    return np.where(first < end, result, empty)


class SlidingHistograms(HistogramGroups):
    """The histograms of windows that consist of bins, each with an item for each window."""

    def __init__(
        self, of_bins: HistogramGroups, windows: tuple[Integers, Integers], check: Callable[[], None] = lambda: None
    ) -> None:
        """`windows`: the first bin of each window, and the one after its last.

        `check` is called between steps of work, and may raise.
        """
        self._first, self._end, self._check = *windows, check
        self._bin, code = np.divmod(of_bins._cells, CODES)
        self._codes, self._column = np.unique(code, return_inverse=True)
        self._count = of_bins._buckets
        self.counts = self._between(of_bins._cumulative[of_bins._edges])
        self._sums = self._between(np.cumsum(np.array([0, *of_bins._sums], dtype=object)))  # may have more than 63 bits
        self._minima = reduced(np.minimum, of_bins._minima, *windows, np.inf)
        self._maxima = reduced(np.maximum, of_bins._maxima, *windows, -np.inf)

    def _between(self, before: NDArray[Any]) -> list[int]:
        """Return the amount in each window. before: in the bins before each bin."""
        amounts: list[int] = (before[self._end] - before[self._first]).tolist()
        return amounts

    def quantiles(self, q: float) -> list[float | None]:
        """``Histogram.quantile`` of each window; ``q`` is 0…1."""
        counts = np.array(self.counts, dtype=np.int64)
        rank = np.ceil(q * counts).astype(np.int64)
        middles = np.zeros(len(counts))
        known = np.flatnonzero(counts)
        width = max(1, len(self._codes))
        longest = int((self._end - self._first).max(initial=0))
        size = max(256, _CELLS // width - longest)
        for start in range(0, len(known), size):  # windows are in the order of time, so that a part has few bins
            self._check()
            own = known[start : start + size]
            codes = self._codes[self._columns_at(own, rank[own], width)]
            middles[own] = middles_of(codes)
        within = np.minimum(np.maximum(middles, self._minima), self._maxima)
        return self._known(np.where(rank <= 1, self._minima, np.where(rank >= counts, self._maxima, within)))

    def _columns_at(self, windows: Integers, rank: Integers, width: int) -> Integers:
        """Return which of the codes has the value of this rank in each window."""
        first, end = self._first[windows], self._end[windows]
        begin, stop = int(first.min()), int(end.max())
        inside = slice(*np.searchsorted(self._bin, (begin, stop)))
        table = np.zeros((stop - begin + 1, width), dtype=np.int64)
        np.add.at(table, (self._bin[inside] - begin + 1, self._column[inside]), self._count[inside])
        np.cumsum(table, axis=0, out=table)
        of_window = table[end - begin] - table[first - begin]
        np.cumsum(of_window, axis=1, out=of_window)
        columns: Integers = np.minimum((of_window < rank[:, None]).sum(axis=1), width - 1)
        return columns
