"""Histograms that were decoded from their bytes, in few arrays, to be merged as often as needed.

They need about as much memory as the bytes objects that they were decoded from.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.packing import decode_many

_COUNT_TYPES: Final = (np.uint8, np.uint16, np.uint32)  # the narrowest that holds all counts, else 64 bits


@dataclass(frozen=True, slots=True)
class DecodedHistograms:
    """Many histograms. `sizes` has the number of buckets of each, whose codes and counts follow one another.

    `odd` has the positions and the bytes of those that need Python's integers, or are invalid. They have no buckets.
    """

    sizes: NDArray[np.int16]
    codes: NDArray[np.int16]
    counts: NDArray[Any]
    sums: NDArray[np.int64]
    minima: NDArray[np.float64]
    maxima: NDArray[np.float64]
    odd: tuple[tuple[int, bytes], ...] = ()

    @classmethod
    def of(cls, blobs: Sequence[bytes | memoryview]) -> DecodedHistograms:
        """Decode packed histograms. An invalid one raises an error when it is merged."""
        contents, odd = decode_many(blobs)
        number, of_bucket = len(blobs), contents.bucket_blob
        codes, counts = contents.bucket_code, contents.bucket_count
        if len(of_bucket) and (of_bucket[1:] < of_bucket[:-1]).any():
            order = np.argsort(of_bucket, kind="stable")
            codes, counts = codes[order], counts[order]
        sums = np.zeros(number, dtype=np.int64)
        sums[contents.blob] = contents.sum_thousandths
        minima, maxima = np.full(number, np.inf), np.full(number, -np.inf)
        minima[contents.blob], maxima[contents.blob] = contents.minimum, contents.maximum
        return cls(
            np.bincount(of_bucket, minlength=number).astype(np.int16),
            codes.astype(np.int16),
            _narrow(counts),
            sums,
            minima,
            maxima,
            tuple((position, bytes(blobs[position])) for position in odd),
        )

    @classmethod
    def of_columns(cls, columns: Sequence[Sequence[bytes | memoryview]]) -> list[DecodedHistograms]:
        """Decode several columns of equal length at once, which takes less time if they are short."""
        together = cls.of([blob for column in columns for blob in column])
        length = len(columns[0]) if columns else 0
        return together.split([length] * len(columns))

    @classmethod
    def joined(cls, parts: Sequence[DecodedHistograms]) -> DecodedHistograms:
        """Return the histograms of all parts; at least one part."""
        if len(parts) == 1:
            return parts[0]
        starts = np.cumsum([0, *map(len, parts)]).tolist()
        odd = [(start + at, blob) for start, part in zip(starts, parts, strict=False) for at, blob in part.odd]
        return cls(
            np.concatenate([part.sizes for part in parts]),
            np.concatenate([part.codes for part in parts]),
            np.concatenate([part.counts for part in parts]),
            np.concatenate([part.sums for part in parts]),
            np.concatenate([part.minima for part in parts]),
            np.concatenate([part.maxima for part in parts]),
            tuple(odd),
        )

    def split(self, lengths: Iterable[int]) -> list[DecodedHistograms]:
        """Return the histograms as parts of these lengths, which have arrays of their own."""
        edges = np.concatenate(([0], np.cumsum(self.sizes, dtype=np.int64))).tolist()
        parts, start = [], 0
        for length in lengths:
            end = start + length
            rows, buckets = slice(start, end), slice(edges[start], edges[end])
            parts.append(
                DecodedHistograms(
                    self.sizes[rows].copy(),
                    self.codes[buckets].copy(),
                    _narrow(self.counts[buckets]),
                    self.sums[rows].copy(),
                    self.minima[rows].copy(),
                    self.maxima[rows].copy(),
                    tuple((at - start, blob) for at, blob in self.odd if start <= at < end),
                )
            )
            start = end
        return parts

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def nbytes(self) -> int:
        """The size of the arrays."""
        arrays = (self.sizes, self.codes, self.counts, self.sums, self.minima, self.maxima)
        return sum(array.nbytes for array in arrays) + sum(len(blob) for _, blob in self.odd)


def _narrow(counts: NDArray[Any]) -> NDArray[Any]:
    """Return a copy in the narrowest type."""
    most = int(counts.max(initial=0))
    chosen = next((kind for kind in _COUNT_TYPES if most <= np.iinfo(kind).max), np.int64)
    return counts.astype(chosen)
