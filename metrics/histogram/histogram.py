"""The histogram: counts by bucket, with exact count, sum, minimum and maximum; merging of many packed histograms."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final, Self

import numpy as np

from metrics.histogram.buckets import (
    MAX_VALUE,
    MIN_INDEX,
    bucket_bounds,
    bucket_index,
    bucket_middle,
)
from metrics.histogram.folding import check_counts, check_limits, spread_explicit, spread_exponential, sum_of
from metrics.histogram.packing import MAX_CODE, MAX_COUNT, Content, decode, decode_many, encode

_CODES: Final = MAX_CODE + 1
_DENSE_CELLS: Final = 2**22  # 32 MiB of counts: 1,637 groups; for more groups, counts are summed by sorting
_PART_BLOBS: Final = 4_000  # decoded at a time: arrays of some megabytes, where 100,000 blobs need hundreds


class Histogram:
    """Counts of recorded values by bucket, with their exact count, sum, minimum and maximum.

    ``counts`` maps the index of a bucket to its count, without empty buckets; values of exactly 0 are in
    ``zero_count``. ``minimum`` and ``maximum`` are None if nothing was recorded. If a histogram of another
    source was added that has no minimum or maximum, they are estimates (the middle of its lowest and highest bucket).
    Histograms with equal contents are equal.
    """

    __slots__ = ("count", "counts", "maximum", "minimum", "sum_thousandths", "zero_count")
    __hash__ = None  # type: ignore[assignment]  # mutable

    counts: dict[int, int]
    zero_count: int
    count: int
    sum_thousandths: int
    minimum: float | None
    maximum: float | None

    def __init__(self) -> None:
        self.counts = {}
        self.zero_count = 0
        self.count = 0
        self.sum_thousandths = 0
        self.minimum = None
        self.maximum = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """The histogram of the values. Raises ValueError as ``add`` does."""
        histogram = cls()
        for value in values:
            histogram.add(value)
        return histogram

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return (
            self.counts == other.counts
            and self.zero_count == other.zero_count
            and self.sum_thousandths == other.sum_thousandths
            and self.minimum == other.minimum
            and self.maximum == other.maximum
        )

    def __repr__(self) -> str:
        if not self.count:
            return "<Histogram: empty>"
        return f"<Histogram: {self.count} values, {self.minimum:g}…{self.maximum:g}, mean {self.mean:g}>"

    def add(self, value: float, n: int = 1) -> None:
        """Record ``value`` ``n`` times. A value above MAX_VALUE counts as MAX_VALUE.

        Raises ValueError for a negative value, NaN or an infinity, for n < 1 and for more than 2**50 values.
        """
        value = float(value)
        if not 0 <= value < math.inf:
            raise ValueError(f"a histogram holds finite values of 0 or more, got {value!r}")
        if n < 1 or self.count + n > MAX_COUNT:
            raise ValueError(
                f"cannot record a value {n} times in a histogram of {self.count}: 1…2**50 values are possible"
            )
        if value > MAX_VALUE:
            value = MAX_VALUE
        if value:
            index = bucket_index(value)
            self.counts[index] = self.counts.get(index, 0) + n
        else:
            value = 0.0  # not -0.0
            self.zero_count += n
        self.count += n
        self.sum_thousandths += round(value * 1000) * n
        if self.minimum is None or value < self.minimum:
            self.minimum = value
        if self.maximum is None or value > self.maximum:
            self.maximum = value

    def merge(self, other: Histogram) -> None:
        """Add the contents of ``other``. The result is the same as recording both sets of values, in any order."""
        counts = self.counts
        for index, count in other.counts.items():
            counts[index] = counts.get(index, 0) + count
        self.zero_count += other.zero_count
        self.count += other.count
        self.sum_thousandths += other.sum_thousandths
        if other.minimum is not None and (self.minimum is None or other.minimum < self.minimum):
            self.minimum = other.minimum
        if other.maximum is not None and (self.maximum is None or other.maximum > self.maximum):
            self.maximum = other.maximum

    @property
    def sum(self) -> float:
        """The sum of the recorded values, in the recorded unit."""
        return self.sum_thousandths / 1000

    @property
    def mean(self) -> float | None:
        """The mean of the recorded values, in the recorded unit; None if nothing was recorded."""
        return self.sum_thousandths / (1000 * self.count) if self.count else None

    def quantile(self, q: float) -> float | None:
        """The value that a share ``q`` (0…1) of the recorded values does not exceed, in the recorded unit.

        None if nothing was recorded. The result is the geometric middle of the bucket of the value of rank
        ``ceil(q · n)``, limited to minimum…maximum; it is exact for the first and the last rank. Raises ValueError if q
        is outside 0…1.
        """
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> list[float | None]:
        """``quantile`` of each of ``qs``, in their order, in one pass over the buckets."""
        for q in qs:
            if not 0 <= q <= 1:
                raise ValueError(f"a quantile is 0…1 (the 95th percentile is 0.95), got {q!r}")
        if self.minimum is None or self.maximum is None:
            return [None] * len(qs)
        indices = sorted(self.counts)
        cumulative = list(accumulate((self.counts[index] for index in indices), initial=self.zero_count))
        quantiles: list[float | None] = []
        for q in qs:
            rank = math.ceil(q * self.count)  # as numpy's inverted_cdf, including the rounding of the product
            if rank <= 1:
                quantiles.append(self.minimum)
            elif rank >= self.count:
                quantiles.append(self.maximum)
            elif rank <= self.zero_count:
                quantiles.append(0.0)
            else:
                middle = bucket_middle(indices[bisect_left(cumulative, rank) - 1])
                quantiles.append(min(max(middle, self.minimum), self.maximum))
        return quantiles

    def buckets(self) -> list[tuple[float, float, int]]:
        """(lower, upper, count) of each bucket that is not empty, ascending. Values of 0 are first, as (0, 0, n)."""
        buckets = [(0.0, 0.0, self.zero_count)] if self.zero_count else []
        buckets.extend((*bucket_bounds(index), self.counts[index]) for index in sorted(self.counts))
        return buckets

    def pack(self) -> bytes:
        """The histogram as bytes (``metrics.histogram.packing``); an empty histogram has no bytes.

        Equal histograms have equal bytes. Raises ValueError for more than 2**50 values.
        """
        if self.minimum is None or self.maximum is None:
            return b""
        indices = sorted(self.counts)
        codes = [index - MIN_INDEX + 1 for index in indices]
        counts = [self.counts[index] for index in indices]
        if self.zero_count:
            codes.insert(0, 0)
            counts.insert(0, self.zero_count)
        return encode(Content(codes, counts, self.sum_thousandths, self.minimum, self.maximum))

    @classmethod
    def unpack(cls, data: bytes | memoryview) -> Self:
        """The histogram from the bytes of ``pack``. Raises ValueError for other data."""
        histogram = cls()
        if not len(data):
            return histogram
        codes, counts, histogram.sum_thousandths, histogram.minimum, histogram.maximum = decode(bytes(data))
        histogram._fill(codes, counts)
        return histogram

    def _fill(self, codes: list[int], counts: list[int]) -> None:
        self.counts = {code + MIN_INDEX - 1: count for code, count in zip(codes, counts, strict=True)}
        self.count = sum(counts)
        self.zero_count = self.counts.pop(MIN_INDEX - 1, 0)

    def add_exponential(
        self,
        *,
        scale: int,
        zero_count: int,
        positive_offset: int,
        positive_counts: Sequence[int],
        total: float | None,
        minimum: float | None,
        maximum: float | None,
        factor: float = 1.0,
    ) -> None:
        """Add an OTLP exponential histogram. ``factor`` converts its unit into the recorded unit.

        ``total``, ``minimum`` and ``maximum`` are in the source's unit, or None if unknown. With factor 1 and scale ≥
        5, no accuracy is lost. Raises ValueError, and adds nothing, if the arguments are not a histogram of values ≥ 0.
        """
        values = check_counts(positive_counts, zero_count)
        minimum, maximum, total = _scaled(minimum, factor), _scaled(maximum, factor), _scaled(total, factor)
        check_limits(minimum, maximum)
        counts = spread_exponential(
            positive_counts, scale=scale, offset=positive_offset, factor=factor, minimum=minimum, maximum=maximum
        )
        self._fold(zero_count, counts, values, total, minimum, maximum)

    def add_explicit(
        self,
        bounds: Sequence[float],
        counts: Sequence[int],
        total: float | None,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> None:
        """Add a histogram with explicit upper-inclusive ``bounds`` (Prometheus, OTLP), in the recorded unit.

        ``counts`` has one entry more than ``bounds``. Each is the count of one bucket, not cumulative over buckets. If
        the counts of the source grow over time (Prometheus), pass their increase. The quantiles agree with Prometheus'
        ``histogram_quantile`` within RELATIVE_ERROR if a bucket holds enough values to interpolate. Raises ValueError,
        and adds nothing, if the arguments are not a histogram.
        """
        values = check_counts(counts)
        check_limits(minimum, maximum)
        mean = total / values if total is not None and values else None
        zeros, spread = spread_explicit(bounds, counts, mean=mean, minimum=minimum, maximum=maximum)
        self._fold(zeros, spread, values, total, minimum, maximum)

    def _fold(
        self,
        zeros: int,
        counts: dict[int, int],
        values: int,
        total: float | None,
        minimum: float | None,
        maximum: float | None,
    ) -> None:
        thousandths = sum_of(total, counts, values)
        if self.count + values > MAX_COUNT:
            raise ValueError(f"cannot add {values} values to a histogram of {self.count}: at most 2**50")
        if not values:
            return
        folded = Histogram()
        folded.counts, folded.zero_count, folded.count, folded.sum_thousandths = counts, zeros, values, thousandths
        low = 0.0 if zeros else bucket_middle(min(counts))
        high = bucket_middle(max(counts)) if counts else 0.0
        # If the source gives one of the two, the estimate of the other is limited by it.
        folded.minimum = min(low if minimum is None else minimum, MAX_VALUE if maximum is None else maximum, MAX_VALUE)
        folded.maximum = min(max(high if maximum is None else maximum, folded.minimum), MAX_VALUE)
        self.merge(folded)


def _scaled(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def merge_packed(blobs: Iterable[bytes | memoryview]) -> Histogram:
    """Merge packed histograms: the same result as merging them one by one, in a fraction of the time.

    Raises ValueError, with the position, for a blob that is not a packed histogram.
    """
    blobs = list(blobs)
    return merge_packed_groups(blobs, np.zeros(len(blobs), dtype=np.int64), 1)[0]  # type: ignore[arg-type]


def merge_packed_groups(blobs: Sequence[bytes | memoryview], groups: Sequence[int], n_groups: int) -> list[Histogram]:
    """``merge_packed`` for many groups at once: blob i belongs to group ``groups[i]`` of 0…n_groups-1.

    A chart of 360 points needs one call. Groups without blobs are empty histograms. Raises ValueError as
    ``merge_packed`` does, and if the groups do not match the blobs.
    """
    group = np.asarray(groups, dtype=np.int64)
    if group.shape != (len(blobs),):
        raise ValueError(f"{len(blobs)} blobs need as many groups, got shape {group.shape}")
    if len(group) and not 0 <= int(group.min()) <= int(group.max()) < n_groups:
        raise ValueError(f"groups are 0…{n_groups - 1}, got {int(group.min())}…{int(group.max())}")
    is_dense = n_groups * _CODES <= _DENSE_CELLS
    table = np.zeros(n_groups * _CODES if is_dense else 0, dtype=np.int64)
    sparse_cells: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    sparse_counts: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    low_sums, high_sums = np.zeros(n_groups, dtype=np.int64), np.zeros(n_groups, dtype=np.int64)
    minima, maxima = np.full(n_groups, np.inf), np.full(n_groups, -np.inf)
    odd: list[int] = []
    values = 0.0
    for first in range(0, len(blobs), _PART_BLOBS):
        part = group[first : first + _PART_BLOBS]
        contents, odd_in_part = decode_many(blobs[first : first + _PART_BLOBS])
        odd += [first + position for position in odd_in_part]
        values += float(contents.bucket_count.sum(dtype=np.float64))
        if values > 2**62:
            return _merge_each(blobs, group.tolist(), range(len(blobs)), [Histogram() for _ in range(n_groups)])
        # `np.add.at` adds integers; `np.bincount` would add floats. Sums are added in two halves, so that they do not
        # overflow.
        keys = part[contents.bucket_blob] * _CODES + contents.bucket_code
        if is_dense:
            np.add.at(table, keys, contents.bucket_count)
        else:
            cells, counts = _sums(keys, contents.bucket_count)
            sparse_cells.append(cells)
            sparse_counts.append(counts)
        of_blob = part[contents.blob]
        np.add.at(low_sums, of_blob, contents.sum_thousandths & 0xFFFFFFFF)
        np.add.at(high_sums, of_blob, contents.sum_thousandths >> 32)
        np.minimum.at(minima, of_blob, contents.minimum)
        np.maximum.at(maxima, of_blob, contents.maximum)
    if is_dense:
        cells = np.flatnonzero(table)
        counts = table[cells]
    else:
        cells, counts = _sums(np.concatenate(sparse_cells), np.concatenate(sparse_counts))

    edges = np.searchsorted(cells, np.arange(n_groups + 1) * _CODES).tolist()
    codes, numbers = (cells % _CODES).tolist(), counts.tolist()
    totals = zip(low_sums.tolist(), high_sums.tolist(), minima.tolist(), maxima.tolist(), strict=True)
    merged: list[Histogram] = []
    for start, end, (low_sum, high_sum, minimum, maximum) in zip(edges, edges[1:], totals, strict=False):
        histogram = Histogram()
        if end > start:
            histogram._fill(codes[start:end], numbers[start:end])
            histogram.sum_thousandths = (high_sum << 32) + low_sum
            histogram.minimum, histogram.maximum = minimum, maximum
        merged.append(histogram)
    return _merge_each(blobs, group.tolist(), odd, merged)


def _sums(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct keys, ascending, and the sum of the counts of each."""
    distinct, inverse = np.unique(keys, return_inverse=True)
    sums = np.zeros(len(distinct), dtype=np.int64)
    np.add.at(sums, inverse, counts)
    return distinct, sums


def _merge_each(
    blobs: Sequence[bytes | memoryview], groups: list[int], positions: Iterable[int], merged: list[Histogram]
) -> list[Histogram]:
    """Merge the blobs at ``positions`` into their groups one by one, for blobs that ``decode_many`` does not decode."""
    for position in positions:
        try:
            merged[groups[position]].merge(Histogram.unpack(blobs[position]))
        except ValueError as error:
            raise ValueError(f"blob {position}: {error}") from error
    return merged
