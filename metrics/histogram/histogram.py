"""The histogram: counts by bucket, with exact count, sum, minimum and maximum."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Self

from metrics.histogram.buckets import (
    MAX_VALUE,
    MIN_INDEX,
    bucket_bounds,
    bucket_index,
    bucket_middle,
)
from metrics.histogram.folding import check_counts, check_limits, spread_explicit, spread_exponential, sum_of
from metrics.histogram.packing import MAX_COUNT, Content, decode, encode


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
