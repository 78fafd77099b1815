"""Merging of many packed histograms by group, and the figures of all groups at once, without a loop over buckets.

The figures are those of a ``Histogram`` of each group alone; tests compare them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.buckets import MIDDLES, MIN_INDEX
from metrics.histogram.decoded import DecodedHistograms
from metrics.histogram.histogram import Histogram
from metrics.histogram.packing import MAX_CODE, decode

CODES: Final = MAX_CODE + 1
_MIDDLES: Final = np.array([0.0, *MIDDLES])  # by code
_DENSE_CELLS: Final = 2**22  # 32 MiB of counts: 1,637 groups of all codes; for more, counts are summed by sorting
_PART_BUCKETS: Final = 2**18  # added at a time
_PART_BLOBS: Final = 4_000  # decoded at a time: arrays of some megabytes, where 100,000 blobs need hundreds
_MAX_VALUES: Final = 2.0**62  # sums of counts in 64-bit arrays stay below this


def middles_of(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The middles of the buckets with these codes."""
    return _MIDDLES[codes]


class HistogramGroups(Sequence[Histogram]):
    """The histograms of groups 0…n-1. An item is the histogram of a group.

    Figures are lists with an item for each group, None if nothing was recorded.
    """

    def __init__(
        self,
        cells: NDArray[np.int64],
        counts: NDArray[Any],
        sums: Sequence[int],
        minima: NDArray[np.float64],
        maxima: NDArray[np.float64],
    ) -> None:
        """``cells`` are group * CODES + code of the buckets that are not empty, ascending, and ``counts`` their values.

        ``sums`` are in thousandths. The last three have an item for each group.
        """
        self._cells, self._buckets = cells, counts
        self._sums, self._minima, self._maxima = sums, minima, maxima
        self._edges = np.searchsorted(cells, np.arange(len(sums) + 1) * CODES)
        self._cumulative = np.concatenate((np.zeros(1, dtype=counts.dtype), np.cumsum(counts)))
        self.counts: list[int] = np.diff(self._cumulative[self._edges]).tolist()

    def __len__(self) -> int:
        return len(self._sums)

    @overload
    def __getitem__(self, item: int) -> Histogram: ...
    @overload
    def __getitem__(self, item: slice) -> list[Histogram]: ...
    def __getitem__(self, item: int | slice) -> Histogram | list[Histogram]:
        if isinstance(item, slice):
            return [self[number] for number in range(*item.indices(len(self)))]
        group = range(len(self))[item]
        histogram = Histogram()
        if self.counts[group]:
            own = slice(self._edges[group], self._edges[group + 1])
            histogram._fill((self._cells[own] % CODES).tolist(), self._buckets[own].tolist())
            histogram.sum_thousandths = self._sums[group]
            histogram.minimum, histogram.maximum = float(self._minima[group]), float(self._maxima[group])
        return histogram

    def buckets(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]:
        """The group, the index and the count of each bucket that is not empty. Values of 0 are in MIN_INDEX - 1."""
        groups, codes = np.divmod(self._cells, CODES)
        return groups, codes + MIN_INDEX - 1, self._buckets

    def total(self) -> HistogramGroups:
        """The histogram of all groups together, as one group."""
        cells, counts = _sums(self._cells % CODES, self._buckets)
        minimum = self._minima.min(initial=np.inf, keepdims=True)
        return HistogramGroups(
            cells, counts, [sum(self._sums)], minimum, self._maxima.max(initial=-np.inf, keepdims=True)
        )

    def sums_thousandths(self) -> list[int]:
        """The sums of the recorded values in thousandths, which are exact; 0 if nothing was recorded."""
        return list(self._sums)

    def sums(self) -> list[float | None]:
        """The sums of the recorded values."""
        return [total / 1000 if count else None for total, count in zip(self._sums, self.counts, strict=True)]

    def means(self) -> list[float | None]:
        """The means of the recorded values."""
        return [total / (1000 * count) if count else None for total, count in zip(self._sums, self.counts, strict=True)]

    def minima(self) -> list[float | None]:
        """The smallest recorded values."""
        return self._known(self._minima)

    def maxima(self) -> list[float | None]:
        """The largest recorded values."""
        return self._known(self._maxima)

    def quantiles(self, q: float) -> list[float | None]:
        """``Histogram.quantile`` of each group; ``q`` is 0…1."""
        if not len(self._cells):
            return [None] * len(self)
        counts = np.array(self.counts, dtype=self._buckets.dtype)
        rank = np.array([math.ceil(q * count) for count in self.counts], dtype=self._buckets.dtype)
        position = np.searchsorted(self._cumulative[1:], self._cumulative[self._edges[:-1]] + rank)
        middles = _MIDDLES[self._cells[np.minimum(position, len(self._cells) - 1)] % CODES]
        within = np.minimum(np.maximum(middles, self._minima), self._maxima)
        return self._known(np.where(rank <= 1, self._minima, np.where(rank >= counts, self._maxima, within)))

    def _known(self, figures: NDArray[np.float64]) -> list[float | None]:
        return [figure if count else None for figure, count in zip(figures.tolist(), self.counts, strict=True)]


def merge_packed(blobs: Iterable[bytes | memoryview]) -> Histogram:
    """Merge packed histograms: the same result as merging them one by one, in a fraction of the time.

    Raises ValueError, with the position, for a blob that is not a packed histogram.
    """
    blobs = list(blobs)
    return merge_packed_groups(blobs, np.zeros(len(blobs), dtype=np.int64), 1)[0]


def merge_packed_groups(
    blobs: Sequence[bytes | memoryview], groups: Sequence[int] | NDArray[np.int64], n_groups: int
) -> HistogramGroups:
    """``merge_packed`` for many groups at once: blob i belongs to group ``groups[i]`` of 0…n_groups-1.

    A chart of 360 points needs one call. Groups without blobs are empty histograms. Raises ValueError as
    ``merge_packed`` does, and if the groups do not match the blobs.
    """
    group = np.asarray(groups, dtype=np.int64)
    if len(group) and int(group.min()) < 0:
        raise ValueError(f"groups are 0…{n_groups - 1}, got {int(group.min())}…{int(group.max())}")
    parts = [DecodedHistograms.of(blobs[first : first + _PART_BLOBS]) for first in range(0, len(blobs), _PART_BLOBS)]
    return merge_decoded_groups(parts, group, n_groups)


def merge_decoded_groups(
    parts: Sequence[DecodedHistograms], group: NDArray[np.int64], n_groups: int
) -> HistogramGroups:
    """Merge the histograms of all parts by group. Those of negative groups are omitted.

    Raises ValueError, with the position, for one that is invalid, and if the groups do not match the histograms.
    """
    number = sum(map(len, parts))
    if group.shape != (number,):
        raise ValueError(f"{number} blobs need as many groups, got shape {group.shape}")
    if len(group) and int(group.max()) >= n_groups:
        raise ValueError(f"groups are 0…{n_groups - 1}, got {int(group.min())}…{int(group.max())}")
    merge = _Merge(n_groups, *_codes_of(parts))
    first = 0
    for part in _of_suitable_size(parts):
        merge.add(part, group[first : first + len(part)], first)
        first += len(part)
    return merge.result()


def _of_suitable_size(parts: Sequence[DecodedHistograms]) -> Iterator[DecodedHistograms]:
    """Join short parts, so that arrays are neither many nor large."""
    pending: list[DecodedHistograms] = []
    buckets = 0
    for part in parts:
        pending.append(part)
        buckets += len(part.codes)
        if buckets >= _PART_BUCKETS:
            yield DecodedHistograms.joined(pending)
            pending, buckets = [], 0
    if pending:
        yield DecodedHistograms.joined(pending)


def _codes_of(parts: Sequence[DecodedHistograms]) -> tuple[int, int]:
    """The lowest code, and the number of codes up to the highest; all codes if a histogram is odd."""
    filled = [part.codes for part in parts if len(part.codes)]
    if any(part.odd for part in parts):
        return 0, CODES
    if not filled:
        return 0, 1
    low = min(int(codes.min()) for codes in filled)
    return low, max(int(codes.max()) for codes in filled) - low + 1


class _Merge:
    """Histograms that are added up by group. Of the codes, only `n_codes` from `low` on occur."""

    def __init__(self, n_groups: int, low: int, n_codes: int) -> None:
        self._low, self._n_codes = low, n_codes
        self._is_dense = n_groups * n_codes <= _DENSE_CELLS
        self._table: NDArray[Any] = np.zeros(n_groups * n_codes if self._is_dense else 0, dtype=np.int64)
        self._sparse: list[tuple[NDArray[np.int64], NDArray[Any]]] = []
        self._low_sums, self._high_sums = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
        self._odd_sums: Counter[int] = Counter()
        self._minima, self._maxima = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
        self._values = 0.0
        self._integer: type[Any] = np.int64  # or Python's, for too many values

    def add(self, part: DecodedHistograms, group: NDArray[np.int64], first: int) -> None:
        """Add a part. `first` is the position of its first histogram, for error messages."""
        cells = np.repeat(group * self._n_codes - self._low, part.sizes) + part.codes
        counts, sums, minima, maxima = part.counts, part.sums, part.minima, part.maxima
        if len(group) and int(group.min()) < 0:
            chosen = np.repeat(group >= 0, part.sizes)
            cells, counts = cells[chosen], counts[chosen]
            rows = group >= 0
            own, sums, minima, maxima = group[rows], sums[rows], minima[rows], maxima[rows]
        else:
            own = group
        self._add_cells(cells, counts)
        # Sums are added in two halves, so that they do not overflow.
        np.add.at(self._low_sums, own, sums & 0xFFFFFFFF)
        np.add.at(self._high_sums, own, sums >> 32)
        np.minimum.at(self._minima, own, minima)
        np.maximum.at(self._maxima, own, maxima)
        for position, blob in part.odd:
            if group[position] >= 0:
                self._add_odd(int(group[position]), blob, first + position)

    def _add_odd(self, group: int, blob: bytes, position: int) -> None:
        """Add a blob that is invalid, or has a sum of more than 63 bits."""
        try:
            content = decode(blob)
        except ValueError as error:
            raise ValueError(f"blob {position}: {error}") from error
        codes = np.array(content.codes, dtype=np.int64)
        self._add_cells(group * self._n_codes - self._low + codes, np.array(content.counts, dtype=np.int64))
        self._odd_sums[group] += content.sum_thousandths
        self._minima[group] = min(self._minima[group], content.minimum)
        self._maxima[group] = max(self._maxima[group], content.maximum)

    def _add_cells(self, cells: NDArray[np.int64], counts: NDArray[Any]) -> None:
        self._values += float(counts.sum(dtype=np.float64))
        if self._values > _MAX_VALUES and self._integer is np.int64:
            self._integer = object
            self._table = self._table.astype(object)
            self._sparse = [(known, own.astype(object)) for known, own in self._sparse]
        # `np.add.at` adds integers; `np.bincount` would add floats.
        counts = counts.astype(np.int64).astype(self._integer, copy=False)
        if self._is_dense:
            np.add.at(self._table, cells, counts)
        else:
            self._sparse.append(_sums(cells, counts))

    def result(self) -> HistogramGroups:
        """The sums of all parts."""
        if self._is_dense:
            cells = np.flatnonzero(self._table)
            counts = self._table[cells]
        else:
            cells, counts = _sums(*(np.concatenate(arrays) for arrays in zip(*self._sparse, strict=True)))
        group, code = np.divmod(cells, self._n_codes)
        halves = zip(self._high_sums.tolist(), self._low_sums.tolist(), strict=True)
        sums = [(high << 32) + low + self._odd_sums[number] for number, (high, low) in enumerate(halves)]
        return HistogramGroups(group * CODES + code + self._low, counts, sums, self._minima, self._maxima)


def _sums(keys: NDArray[np.int64], counts: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The distinct keys, ascending, and the sum of the counts of each."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=counts.dtype)
    np.add.at(sums, inverse, counts)
    return distinct, sums
