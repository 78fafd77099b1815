"""The histograms of windows that overlap, such as the five minutes before each of a thousand moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.groups import CODES, HistogramGroups, middles_of
from metrics.histogram.packing import decode, decode_many

Integers = NDArray[np.int64]

_PART_BLOBS: Final = 4_000  # decoded at a time
_CELLS: Final = 2**22  # of the table of counts by bin and bucket: 32 MiB


def reduced(reduce: Any, values: NDArray[Any], first: Integers, end: Integers, empty: Any) -> NDArray[Any]:
    """Return the reduction (such as `np.add`) of `values[first:end]` of each window, `empty` of an empty one."""
    padded = np.append(values, values[:1] if len(values) else np.zeros(1, dtype=values.dtype))
    result: NDArray[Any] = reduce.reduceat(padded, np.column_stack((first, end)).ravel())[::2]
    return np.where(first < end, result, empty)


class SlidingHistograms(HistogramGroups):
    """The figures of windows over packed histograms in bins, each with an item for each window."""

    def __init__(
        self,
        blobs: Sequence[bytes | memoryview],
        bins: Integers,
        n_bins: int,
        windows: tuple[Integers, Integers],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """`bins`: the bin of each blob. `windows`: the first bin of each window, and the one after its last.

        `check` is called between steps of work, and may raise. Raises ValueError for a blob that is not a packed
        histogram.
        """
        self._first, self._end, self._check = *windows, check
        low, high = np.zeros(n_bins, dtype=np.int64), np.zeros(n_bins, dtype=np.int64)
        minima, maxima = np.full(n_bins, np.inf), np.full(n_bins, -np.inf)
        cells, counts = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for start in range(0, len(blobs), _PART_BLOBS):
            check()
            part, own = blobs[start : start + _PART_BLOBS], bins[start : start + _PART_BLOBS]
            contents, odd = decode_many(part)
            of_blob = own[contents.blob]
            # Sums are added in two halves, so that they do not overflow.
            np.add.at(low, of_blob, contents.sum_thousandths & 0xFFFFFFFF)
            np.add.at(high, of_blob, contents.sum_thousandths >> 32)
            np.minimum.at(minima, of_blob, contents.minimum)
            np.maximum.at(maxima, of_blob, contents.maximum)
            cells.append(own[contents.bucket_blob] * CODES + contents.bucket_code)
            counts.append(contents.bucket_count)
            for position in odd:  # invalid, or with sums of more than 63 bits
                content, number = decode(bytes(part[position])), own[position]
                low[number] += content.sum_thousandths & 0xFFFFFFFF
                high[number] += content.sum_thousandths >> 32
                minima[number] = min(minima[number], content.minimum)
                maxima[number] = max(maxima[number], content.maximum)
                cells.append(number * CODES + np.array(content.codes, dtype=np.int64))
                counts.append(np.array(content.counts, dtype=np.int64))
        cell, count = np.concatenate(cells), np.concatenate(counts)
        order = np.argsort(cell, kind="stable")
        self._bin, code = np.divmod(cell[order], CODES)
        self._codes, self._column = np.unique(code, return_inverse=True)
        self._count = count[order]
        per_bin = np.zeros(n_bins, dtype=np.int64)
        np.add.at(per_bin, self._bin, self._count)
        self.counts = self._added(per_bin).tolist()
        highs, lows = self._added(high).tolist(), self._added(low).tolist()
        self._sums = [(upper << 32) + lower for upper, lower in zip(highs, lows, strict=True)]
        self._minima = reduced(np.minimum, minima, *windows, np.inf)
        self._maxima = reduced(np.maximum, maxima, *windows, -np.inf)

    def _added(self, of_bins: Integers) -> Integers:
        before = np.concatenate(([0], np.cumsum(of_bins)))
        added: Integers = before[self._end] - before[self._first]
        return added

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
