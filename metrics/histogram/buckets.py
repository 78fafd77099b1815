"""The buckets of histograms: the bucket of a value, and the edges of a bucket.

Base-2 exponential buckets with OpenTelemetry's semantics (opentelemetry-proto, ExponentialHistogram): bucket ``i``
holds the values in (BASE**i, BASE**(i+1)], so a value at an edge belongs to the lower bucket, and values below 1 have
negative indices. At scale 5 there are 32 buckets per power of two, and the geometric middle of a bucket is within
1.09 % of each of its values.

The scalar and the numpy code use the same table of 32 correctly rounded edges. So the result is the same for every
double on every platform; a logarithm would differ in its last bit at the edges.

The range is limited: positive values up to 2**-30 (about 1e-9) are in the lowest bucket, and values above 2**50 (about
1.1e15) count as 2**50. That makes 2,560 buckets.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from decimal import Decimal, localcontext
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SCALE: Final = 5
BASE: Final = float(2 ** (2**-SCALE))
RELATIVE_ERROR: Final = BASE**0.5 - 1  # 0.01089: from the geometric middle of a bucket to its edges

PER_OCTAVE: Final = 2**SCALE
MIN_INDEX: Final = -30 * PER_OCTAVE
MAX_INDEX: Final = 50 * PER_OCTAVE - 1
MAX_VALUE: Final = 2.0**50
N_BUCKETS: Final = MAX_INDEX - MIN_INDEX + 1


def _octave_edges() -> list[float]:
    """2**(k/32) / 2 for k = 0…31, each rounded once from 40 digits: the same doubles on every platform."""
    with localcontext() as context:
        context.prec = 40
        return [float(Decimal(2) ** (Decimal(k) / PER_OCTAVE) / 2) for k in range(PER_OCTAVE)]


# Halved, because frexp returns a mantissa in [0.5, 1).
_EDGES: Final = _octave_edges()
_EDGES_ARRAY: Final = np.array(_EDGES)


def _edge(index: int) -> float:
    octave, step = divmod(index, PER_OCTAVE)
    return math.ldexp(_EDGES[step], octave + 1)


# Position 0 is bucket MIN_INDEX. A quantile is the geometric middle of a bucket.
UPPERS: Final = [_edge(index + 1) for index in range(MIN_INDEX, MAX_INDEX + 1)]
MIDDLES: Final = [math.sqrt(_edge(index) * _edge(index + 1)) for index in range(MIN_INDEX, MAX_INDEX + 1)]


def bucket_index(value: float) -> int:
    """The index of the bucket that holds ``value`` (> 0): ceil(log(value) / log(BASE)) - 1, exact at every edge.

    The result is limited to MIN_INDEX…MAX_INDEX. Raises ValueError for 0 (its bucket has no index), negative values,
    NaN and infinities.
    """
    if not 0 < value < math.inf:
        raise ValueError(f"a bucket index needs a finite value above 0, got {value!r}")
    mantissa, exponent = math.frexp(value)
    index = (exponent - 1) * PER_OCTAVE + bisect_left(_EDGES, mantissa) - 1
    return min(max(index, MIN_INDEX), MAX_INDEX)


def bucket_indices(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """``bucket_index`` of each value of an array. The values must be finite and above 0; this is not checked."""
    mantissas, exponents = np.frexp(values)
    indices = (exponents.astype(np.int64) - 1) * PER_OCTAVE + np.searchsorted(_EDGES_ARRAY, mantissas, side="left") - 1
    clamped: NDArray[Any] = np.clip(indices, MIN_INDEX, MAX_INDEX)
    return clamped.astype(np.int64, copy=False)


def bucket_bounds(index: int) -> tuple[float, float]:
    """The edges (lower, upper] of bucket ``index``, in the recorded unit. Raises ValueError outside the index range."""
    if not MIN_INDEX <= index <= MAX_INDEX:
        raise ValueError(f"bucket index {index} is outside {MIN_INDEX}…{MAX_INDEX}")
    return _edge(index), UPPERS[index - MIN_INDEX]


def bucket_middle(index: int) -> float:
    """The geometric middle of bucket ``index`` (within the index range), in the recorded unit."""
    return MIDDLES[index - MIN_INDEX]
