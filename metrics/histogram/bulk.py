"""Packing and merging thousands of histograms at once, without a Python loop over values, buckets or bytes.

The blobs are those that `Histogram.pack` returns for each histogram alone; tests compare them byte by byte. Histograms
that do not fit into 63-bit integers are packed one at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.buckets import MAX_VALUE, MIN_INDEX, bucket_indices
from metrics.histogram.groups import CODES, merge_packed
from metrics.histogram.histogram import Histogram
from metrics.histogram.packing import (
    LEADS,
    MANY_EXACT,
    MANY_FLOAT,
    MAX_EXACT,
    ONE_EXACT,
    ONE_FLOAT,
    decode_many,
)

# The integers before the buckets, by form.
_HEADS: Final = np.zeros(256, dtype=np.int64)
_HEADS[[ONE_EXACT, MANY_EXACT, MANY_FLOAT]] = 1, 3, 1
_VARINT_LIMITS: Final = 2 ** np.arange(7, 63, 7, dtype=np.int64)  # a varint has a byte more from each limit on
_MAX_SUM: Final = 2.0**62  # thousandths; the sums of 64-bit arrays stay below this

Integers = NDArray[np.int64]


class Values:
    """Values of many histograms, with their buckets. They can be packed several times in different groups."""

    def __init__(self, values: NDArray[np.float64]) -> None:
        """Raises ValueError for a value that is negative, NaN or infinite."""
        if not bool(((values >= 0) & (values < np.inf)).all()):
            raise ValueError("a histogram holds finite values of 0 or more")
        self._values = np.minimum(values, MAX_VALUE) + 0.0  # not -0.0
        self._codes = np.zeros(len(values), dtype=np.int64)
        positive = self._values > 0
        self._codes[positive] = bucket_indices(self._values[positive]) - MIN_INDEX + 1
        self._thousandths = np.rint(self._values * 1000)

    def _select(self, positions: Integers) -> Values:
        selected = Values.__new__(Values)
        selected._values, selected._codes = self._values[positions], self._codes[positions]
        selected._thousandths = self._thousandths[positions]
        return selected

    def pack(self, groups: Integers, n_groups: int) -> list[bytes]:
        """Return the packed histogram of each group of 0…n_groups-1.

        `groups` has the group of each value; values of group -1 are omitted.
        """
        chosen = np.flatnonzero(groups >= 0)
        if len(chosen) < len(groups):
            return self._select(chosen).pack(groups[chosen], n_groups)
        large = np.flatnonzero(np.bincount(groups, weights=self._thousandths, minlength=n_groups) >= _MAX_SUM)
        if len(large):
            packed = self.pack(np.where(np.isin(groups, large), -1, groups), n_groups)
            for group in large.tolist():  # needs Python's integers
                packed[group] = Histogram.of(self._values[groups == group].tolist()).pack()
            return packed
        cells, counts = np.unique(groups * CODES + self._codes, return_counts=True)
        totals = np.zeros(n_groups, dtype=np.int64)
        np.add.at(totals, groups, self._thousandths.astype(np.int64))
        minima, maxima = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
        np.minimum.at(minima, groups, self._values)
        np.maximum.at(maxima, groups, self._values)
        packed = [b""] * n_groups
        _encode(_Contents(cells, counts, totals, minima, maxima), packed)
        return packed


def merge_blobs(blobs: Sequence[bytes | memoryview], groups: Integers, n_groups: int) -> list[bytes]:
    """Return the packed sum of each group of packed histograms. `groups` has the group of each blob.

    Raises ValueError for a blob that is not a packed histogram.
    """
    merged = [b""] * n_groups
    filled = np.fromiter(map(len, blobs), dtype=np.int64, count=len(blobs)) > 0
    parts = np.bincount(groups[filled], minlength=n_groups)
    for position in np.flatnonzero(filled & (parts[groups] == 1)).tolist():
        merged[groups[position]] = bytes(blobs[position])
    several = np.flatnonzero(filled & (parts[groups] > 1))
    if not len(several):
        return merged
    group = groups[several]
    contents, odd = decode_many([blobs[position] for position in several.tolist()])
    of_blob = group[contents.blob]
    # Histograms that need Python's integers, or an error message: those with an odd blob or a large sum.
    sums = np.bincount(of_blob, weights=contents.sum_thousandths, minlength=n_groups)
    alone = set(group[odd].tolist()) | set(np.flatnonzero(sums >= _MAX_SUM).tolist())
    for number in alone:
        merged[number] = merge_packed([blobs[p] for p in several[group == number].tolist()]).pack()
    of_bucket = group[contents.bucket_blob]
    if alone:
        taken = np.isin(np.arange(n_groups), list(alone))
        of_bucket, keep = of_bucket[~taken[of_bucket]], ~taken[of_bucket]
        codes, numbers = contents.bucket_code[keep], contents.bucket_count[keep]
    else:
        codes, numbers = contents.bucket_code, contents.bucket_count
    cells, inverse = np.unique(of_bucket * CODES + codes, return_inverse=True)
    counts = np.zeros(len(cells), dtype=np.int64)
    np.add.at(counts, inverse, numbers)
    totals = np.zeros(n_groups, dtype=np.int64)
    np.add.at(totals, of_blob, contents.sum_thousandths)
    minima, maxima = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
    np.minimum.at(minima, of_blob, contents.minimum)
    np.maximum.at(maxima, of_blob, contents.maximum)
    _encode(_Contents(cells, counts, totals, minima, maxima), merged)
    return merged


class _Contents(NamedTuple):
    """Histograms by group. `cells` are group * CODES + code, ascending. The last three have an item for each group."""

    cells: Integers
    counts: Integers
    totals: Integers
    minima: NDArray[np.float64]
    maxima: NDArray[np.float64]


def _encode(contents: _Contents, packed: list[bytes]) -> None:
    """Set the blobs of the groups that have cells, as `packing.encode` does for one."""
    if not len(contents.cells):
        return
    group, codes = np.divmod(contents.cells, CODES)
    first = np.flatnonzero(np.concatenate(([True], group[1:] != group[:-1])))
    groups = group[first]
    n_buckets = np.diff(np.append(first, len(group)))
    low, high, totals = contents.minima[groups], contents.maxima[groups], contents.totals[groups]
    low_whole, low_exact = _exact(low)
    high_whole, high_exact = _exact(high)

    one = (n_buckets == 1) & (contents.counts[first] == 1)
    forms = np.where(
        one,
        np.where(low_exact, ONE_EXACT, ONE_FLOAT),
        np.where(low_exact & high_exact, MANY_EXACT, MANY_FLOAT),
    )
    leads, heads = LEADS[forms], _HEADS[forms]

    # All integers of all blobs: the head of each blob, then (gap, count) of each bucket.
    n_numbers = heads + np.where(one, 0, 2 * n_buckets)
    starts = np.cumsum(n_numbers) - n_numbers
    numbers = np.zeros(int(n_numbers.sum()), dtype=np.int64)
    numbers[starts[~one]] = totals[~one]
    exact = forms == ONE_EXACT
    numbers[starts[exact]] = low_whole[exact]
    exact = forms == MANY_EXACT
    numbers[starts[exact] + 1] = low_whole[exact]
    numbers[starts[exact] + 2] = high_whole[exact] - low_whole[exact]
    following = np.concatenate(([0], codes[:-1] + 1))
    following[first] = 0
    position = np.repeat(starts + heads - 2 * first, n_buckets) + 2 * np.arange(len(group))
    several = np.repeat(~one, n_buckets)
    numbers[position[several]] = (codes - following)[several]
    numbers[position[several] + 1] = contents.counts[several]

    # Their bytes, after the form and the floats of each blob.
    widths = np.searchsorted(_VARINT_LIMITS, numbers, side="right") + 1
    ends = np.concatenate(([0], np.cumsum(widths)))
    sizes = leads + ends[starts + n_numbers] - ends[starts]
    blob_ends = np.cumsum(sizes)
    blob_starts = blob_ends - sizes
    offsets = ends[:-1] + np.repeat(blob_starts + leads - ends[starts], n_numbers)
    data = np.zeros(int(blob_ends[-1]), dtype=np.uint8)
    data[blob_starts] = forms
    longer = np.arange(len(numbers))
    for byte in range(9):
        longer = longer[widths[longer] > byte]
        if not len(longer):
            break
        more = (widths[longer] > byte + 1) * 128
        data[offsets[longer] + byte] = (numbers[longer] >> 7 * byte) & 127 | more
    for form, offset, floats in ((ONE_FLOAT, 1, low), (MANY_FLOAT, 1, low), (MANY_FLOAT, 9, high)):
        chosen = np.flatnonzero(forms == form)
        if len(chosen):
            raw = floats[chosen].astype("<f8").view(np.uint8).reshape(-1, 8)
            data[blob_starts[chosen, None] + np.arange(offset, offset + 8)] = raw
    joined = data.tobytes()
    for number, start, end in zip(groups.tolist(), blob_starts.tolist(), blob_ends.tolist(), strict=True):
        packed[number] = joined[start:end]


def _exact(values: NDArray[np.float64]) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the values in thousandths, and whether these are exact."""
    whole = np.rint(values * 1000)
    return whole.astype(np.int64), (whole < MAX_EXACT) & (whole / 1000 == values)
