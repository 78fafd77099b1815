"""Merging of many packed histograms by group, and the figures of all groups at once, without a loop over buckets.

The figures are those of a ``Histogram`` of each group alone; tests compare them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.buckets import MIDDLES
from metrics.histogram.histogram import Histogram
from metrics.histogram.packing import MAX_CODE, decode, decode_many

CODES: Final = MAX_CODE + 1
_MIDDLES: Final = np.array([0.0, *MIDDLES])  # by code
_DENSE_CELLS: Final = 2**22  # 32 MiB of counts: 1,637 groups; for more groups, counts are summed by sorting
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

    def total(self) -> HistogramGroups:
        """The histogram of all groups together, as one group."""
        cells, counts = _sums(self._cells % CODES, self._buckets)
        minimum = self._minima.min(initial=np.inf, keepdims=True)
        return HistogramGroups(
            cells, counts, [sum(self._sums)], minimum, self._maxima.max(initial=-np.inf, keepdims=True)
        )

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
    if group.shape != (len(blobs),):
        raise ValueError(f"{len(blobs)} blobs need as many groups, got shape {group.shape}")
    if len(group) and not 0 <= int(group.min()) <= int(group.max()) < n_groups:
        raise ValueError(f"groups are 0…{n_groups - 1}, got {int(group.min())}…{int(group.max())}")
    try:
        return _merge(blobs, group, n_groups, np.int64)
    except OverflowError:
        return _merge(blobs, group, n_groups, object)


def _merge(
    blobs: Sequence[bytes | memoryview], group: NDArray[np.int64], n_groups: int, integer: type[Any]
) -> HistogramGroups:
    """Merge with counts of this type: 64-bit integers, or Python's. Raises OverflowError for too many values."""
    is_dense = n_groups * CODES <= _DENSE_CELLS
    table = np.zeros(n_groups * CODES if is_dense else 0, dtype=integer)
    sparse_cells: list[NDArray[np.int64]] = [np.zeros(0, dtype=np.int64)]
    sparse_counts: list[NDArray[Any]] = [np.zeros(0, dtype=integer)]
    low_sums, high_sums = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
    minima, maxima = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
    odd: list[int] = []
    values = 0.0

    def add(cells: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        nonlocal values
        values += float(counts.sum(dtype=np.float64))
        if values > _MAX_VALUES and integer is np.int64:
            raise OverflowError
        # `np.add.at` adds integers; `np.bincount` would add floats.
        if is_dense:
            np.add.at(table, cells, counts)
        else:
            cells, sums = _sums(cells, counts.astype(integer, copy=False))
            sparse_cells.append(cells)
            sparse_counts.append(sums)

    for first in range(0, len(blobs), _PART_BLOBS):
        part = group[first : first + _PART_BLOBS]
        contents, odd_in_part = decode_many(blobs[first : first + _PART_BLOBS])
        odd += [first + position for position in odd_in_part]
        add(part[contents.bucket_blob] * CODES + contents.bucket_code, contents.bucket_count)
        of_blob = part[contents.blob]
        # Sums are added in two halves, so that they do not overflow.
        np.add.at(low_sums, of_blob, contents.sum_thousandths & 0xFFFFFFFF)
        np.add.at(high_sums, of_blob, contents.sum_thousandths >> 32)
        np.minimum.at(minima, of_blob, contents.minimum)
        np.maximum.at(maxima, of_blob, contents.maximum)
    sums = [(high << 32) + low for high, low in zip(high_sums.tolist(), low_sums.tolist(), strict=True)]
    # Blobs that are invalid, or have sums of more than 63 bits
    for position in odd:
        try:
            content = decode(bytes(blobs[position]))
        except ValueError as error:
            raise ValueError(f"blob {position}: {error}") from error
        own = int(group[position])
        add(own * CODES + np.array(content.codes, dtype=np.int64), np.array(content.counts, dtype=np.int64))
        sums[own] += content.sum_thousandths
        minima[own], maxima[own] = min(minima[own], content.minimum), max(maxima[own], content.maximum)
    if is_dense:
        cells = np.flatnonzero(table)
        return HistogramGroups(cells, table[cells], sums, minima, maxima)
    return HistogramGroups(*_sums(np.concatenate(sparse_cells), np.concatenate(sparse_counts)), sums, minima, maxima)


def _sums(keys: NDArray[np.int64], counts: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The distinct keys, ascending, and the sum of the counts of each."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=counts.dtype)
    np.add.at(sums, inverse, counts)
    return distinct, sums
