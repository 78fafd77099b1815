"""The binary format of histograms: encoding, decoding, and decoding of thousands at a time.

A rollup row holds ten histograms, and at a resolution of one second most hold a single value. So a single value takes
2 to 9 bytes, and many rows are decoded without a Python loop. The first byte is version 1 (high nibble) and the form
(low nibble); integers are unsigned LEB128 varints; a thousandth is a thousandth of the recorded unit (µs for ms):

    0x11  one value: thousandths                                                  12.345 ms → 3 bytes
    0x12  one value that is not a whole number of thousandths: float64            9 bytes
    0x13  sum in thousandths, minimum, maximum - minimum (thousandths), buckets   58 buckets, 10,000 values: 155 bytes
    0x14  float64 minimum, float64 maximum, sum in thousandths, buckets           the same: 165 bytes

The empty histogram has no bytes. Buckets are pairs (gap, count) up to the end: the code of a bucket is 0 for the zero
bucket, otherwise index - MIN_INDEX + 1, and the gap is the number of codes skipped since the previous bucket. The
number of buckets is not stored, so the length of the blob limits the memory for decoding.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from metrics.histogram.buckets import MAX_VALUE, MIN_INDEX, N_BUCKETS, bucket_index, bucket_indices

ONE_EXACT: Final = 0x11
ONE_FLOAT: Final = 0x12
MANY_EXACT: Final = 0x13
MANY_FLOAT: Final = 0x14

MAX_COUNT: Final = 2**50  # 1e15 values: the sum of 2,561 such counts fits into 63 bits
MAX_SUM_BYTES: Final = 17  # MAX_COUNT values of MAX_VALUE: 50 + 50 + 10 bits, 16 varint bytes and one to spare
MAX_EXACT: Final = 2**53  # thousandths below this convert to float64 and back without loss
MAX_PACKED_BYTES: Final = 32 * 2**10  # 2,561 buckets of two-byte gaps and eight-byte counts, and the header
MAX_CODE: Final = N_BUCKETS

_LEAD: Final = {ONE_EXACT: 1, ONE_FLOAT: 9, MANY_EXACT: 1, MANY_FLOAT: 17}
LEADS: Final = np.array([_LEAD.get(form, 0) for form in range(256)], dtype=np.int64)


class Content(NamedTuple):
    """The contents of a blob: ascending bucket codes with their counts, and the exact sum, minimum and maximum."""

    codes: list[int]
    counts: list[int]
    sum_thousandths: int
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of many blobs, as arrays: one row per (blob, bucket) and one row per blob. A blob is identified by
    its position in the input."""

    bucket_blob: NDArray[np.int64]
    bucket_code: NDArray[np.int64]
    bucket_count: NDArray[np.int64]
    blob: NDArray[np.int64]
    sum_thousandths: NDArray[np.int64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]


def code_of(value: float) -> int:
    """The bucket code of a finite value of 0 or more."""
    return bucket_index(value) - MIN_INDEX + 1 if value else 0


def thousandths(value: float) -> int:
    """``value`` in whole thousandths, rounded half to even."""
    return round(value * 1000)


def _varint(out: bytearray, number: int) -> None:
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)


def _exact(value: float) -> int | None:
    """``value`` in thousandths if that is exact, otherwise None."""
    whole = thousandths(value)
    return whole if whole < MAX_EXACT and whole / 1000 == value else None


def encode(content: Content) -> bytes:
    """The blob of a non-empty histogram. Raises ValueError for more than MAX_COUNT values."""
    codes, counts, total, minimum, maximum = content
    if sum(counts) > MAX_COUNT:
        raise ValueError(f"a packed histogram holds at most 2**50 values, got {sum(counts)}")
    low = _exact(minimum)
    # The one-value forms hold only the value, so everything else must follow from it.
    if counts == [1] and minimum == maximum and total == thousandths(minimum) and codes[0] == code_of(minimum):
        if low is None:
            return struct.pack("<Bd", ONE_FLOAT, minimum)
        out = bytearray((ONE_EXACT,))
        _varint(out, low)
        return bytes(out)
    high = _exact(maximum)
    if low is None or high is None:
        out = bytearray(struct.pack("<Bdd", MANY_FLOAT, minimum, maximum))
        _varint(out, total)
    else:
        out = bytearray((MANY_EXACT,))
        _varint(out, total)
        _varint(out, low)
        _varint(out, high - low)
    following = 0
    for code, count in zip(codes, counts, strict=True):
        _varint(out, code - following)
        _varint(out, count)
        following = code + 1
    return bytes(out)


def _varints(body: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in body:
        if byte < 128:
            numbers.append(number | byte << shift)
            number = shift = 0
        else:
            number |= (byte & 127) << shift
            shift += 7
            if shift >= 7 * MAX_SUM_BYTES:
                raise ValueError(f"packed histogram: an integer of more than {MAX_SUM_BYTES} bytes")
    if shift:
        raise ValueError("packed histogram: cut off within an integer")
    return numbers


def decode(blob: bytes) -> Content:
    """The contents of a non-empty blob. Raises ValueError for bytes that ``encode`` cannot have written."""
    if len(blob) > MAX_PACKED_BYTES:
        raise ValueError(f"packed histogram: {len(blob)} bytes; the maximum is {MAX_PACKED_BYTES}")
    form = blob[0]
    lead = _LEAD.get(form)
    if lead is None:
        raise ValueError(f"packed histogram: unknown first byte 0x{form:02x}; from a newer version, or not a histogram")
    if len(blob) < lead:
        raise ValueError(f"packed histogram: cut off after {len(blob)} bytes; its header has {lead}")
    numbers = _varints(blob[lead:])
    if form in (ONE_EXACT, ONE_FLOAT):
        if len(numbers) != (form == ONE_EXACT):
            raise ValueError(f"packed histogram: {len(numbers)} integers in the one-value form 0x{form:02x}")
        value = _float(numbers[0]) if form == ONE_EXACT else struct.unpack_from("<d", blob, 1)[0]
        _check_range(value, value)
        return Content([code_of(value)], [1], thousandths(value), value, value)
    head = 3 if form == MANY_EXACT else 1
    if len(numbers) < head + 2 or (len(numbers) - head) % 2:
        raise ValueError(f"packed histogram: {len(numbers)} integers are not a header and (gap, count) pairs")
    if form == MANY_EXACT:
        minimum, maximum = _float(numbers[1]), _float(numbers[1] + numbers[2])
    else:
        minimum, maximum = struct.unpack_from("<dd", blob, 1)
    _check_range(minimum, maximum)
    codes: list[int] = []
    following = 0
    for gap in numbers[head::2]:
        codes.append(following + gap)
        following += gap + 1
    counts = numbers[head + 1 :: 2]
    if codes[-1] > MAX_CODE:
        raise ValueError(f"packed histogram: bucket code {codes[-1]}; the maximum is {MAX_CODE}")
    if 0 in counts or sum(counts) > MAX_COUNT:
        raise ValueError("packed histogram: an empty bucket, or more than 2**50 values")
    return Content(codes, counts, numbers[0], minimum, maximum)


def _float(whole: int) -> float:
    if whole >= MAX_EXACT:
        raise ValueError(f"packed histogram: {whole} thousandths; the limit of this form is 2**53")
    return whole / 1000


def _check_range(minimum: float, maximum: float) -> None:
    if not 0 <= minimum <= maximum <= MAX_VALUE:  # also for NaN
        raise ValueError(f"packed histogram: minimum {minimum!r} and maximum {maximum!r} are not 0 ≤ min ≤ max ≤ 2**50")


def decode_many(blobs: Sequence[bytes | memoryview]) -> tuple[Contents, list[int]]:
    """The contents of many blobs, and the positions of the blobs that need ``decode``.

    Those are blobs that may be invalid, so that only ``decode`` raises errors, and blobs with sums of more than 63
    bits. Empty blobs are in neither result. There is no Python loop over blobs, buckets or bytes.
    """
    lengths = np.fromiter(map(len, blobs), dtype=np.int64, count=len(blobs))
    where = np.flatnonzero(lengths)
    data = np.frombuffer(b"".join(blobs), dtype=np.uint8)
    if len(data) != int(lengths.sum()):
        raise ValueError("packed histogram: a memoryview of something other than bytes")
    if not len(data):
        return _no_contents(), []
    lengths = lengths[where]
    starts = np.cumsum(lengths) - lengths
    leads = LEADS[data[starts]]
    # A blob that ends within an integer would run into the next blob, so such blobs are removed first.
    plain = (leads > 0) & (lengths >= leads) & (lengths <= MAX_PACKED_BYTES)
    plain &= (data[starts + lengths - 1] < 128) | (lengths == leads)
    plain_lengths = lengths[plain]
    if not plain.all():
        data = data[np.repeat(plain, lengths)]
    contents, good = _decode_plain(data, plain_lengths, where[plain])
    odd = sorted([*where[~plain].tolist(), *where[plain][~good].tolist()])
    return contents, odd


def _no_contents() -> Contents:
    whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Contents(whole, whole, whole, whole, whole, real, real)


def _ranges(starts: NDArray[np.int64], lengths: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
    """A mask of ``size`` that is true within each of the disjoint ascending ranges."""
    edges = np.concatenate(([0], np.column_stack((starts, starts + lengths)).ravel(), [size]))
    inside = np.arange(2 * len(starts) + 1) % 2 == 1
    return np.repeat(inside, np.diff(edges))


def _decode_plain(
    data: NDArray[np.uint8], lengths: NDArray[np.int64], where: NDArray[np.int64]
) -> tuple[Contents, NDArray[np.bool_]]:
    """Decode blobs with a complete header and a complete last integer. Also returns a mask of the valid blobs."""
    if not len(lengths):
        return _no_contents(), np.zeros(0, dtype=bool)
    starts = np.cumsum(lengths) - lengths
    forms = data[starts]
    leads = LEADS[forms]
    body = data[~_ranges(starts, leads, len(data))]
    body_ends = np.cumsum(lengths - leads)
    body_starts = body_ends - (lengths - leads)

    # All integers of all blobs. Almost all have one byte; further bytes are added to those that have them.
    last_bytes = np.flatnonzero(body < 128)
    first_bytes = np.concatenate(([0], last_bytes[:-1] + 1)).astype(np.int64)[: len(last_bytes)]
    n_bytes = last_bytes - first_bytes + 1
    numbers = (body[first_bytes] & 127).astype(np.int64)
    longer = np.flatnonzero(n_bytes > 1)
    for k in range(1, 9):
        if not len(longer):
            break
        numbers[longer] |= (body[first_bytes[longer] + k] & 127).astype(np.int64) << (7 * k)
        longer = longer[n_bytes[longer] > k + 1]
    integers_before = np.concatenate(([0], np.cumsum(body < 128)))
    at = integers_before[body_starts]  # the first integer of each blob
    n_numbers = integers_before[body_ends] - at

    one_exact, one_float = forms == ONE_EXACT, forms == ONE_FLOAT
    many = ~(one_exact | one_float)
    heads = np.where(forms == MANY_EXACT, 3, 1)
    good = np.where(many, (n_numbers >= heads + 2) & ((n_numbers - heads) % 2 == 0), n_numbers == one_exact)
    if len(longer):  # more than nine bytes do not fit into 63 bits
        good[np.searchsorted(body_ends, first_bytes[longer], side="right")] = False

    # Minimum and maximum, only of blobs that are valid so far: others may be too short.
    minimum, maximum = np.zeros(len(lengths)), np.zeros(len(lengths))
    for form, offset, target in ((ONE_FLOAT, 1, minimum), (MANY_FLOAT, 1, minimum), (MANY_FLOAT, 9, maximum)):
        chosen = np.flatnonzero((forms == form) & good)
        raw = data[starts[chosen, None] + np.arange(offset, offset + 8)]
        target[chosen] = raw.view("<f8")[:, 0]
    chosen = np.flatnonzero(one_exact & good)
    low = numbers[at[chosen]]
    minimum[chosen] = low / 1000
    good[chosen[low >= MAX_EXACT]] = False
    chosen = np.flatnonzero((forms == MANY_EXACT) & good)
    low, span = numbers[at[chosen] + 1], numbers[at[chosen] + 2]
    minimum[chosen], maximum[chosen] = low / 1000, (low + span) / 1000
    good[chosen[low + span >= MAX_EXACT]] = False  # a sum of more than 63 bits is a negative maximum
    maximum[~many] = minimum[~many]
    good &= (minimum >= 0) & (minimum <= maximum) & (maximum <= MAX_VALUE)  # also false for NaN

    # Buckets of the other forms: codes are running sums of the gaps of each blob.
    chosen = np.flatnonzero(many & good)
    n_pairs = (n_numbers[chosen] - heads[chosen]) // 2
    pairs = numbers[_ranges(at[chosen] + heads[chosen], 2 * n_pairs, len(numbers))]
    gaps, counts = np.minimum(pairs[0::2], MAX_CODE + 1), pairs[1::2]
    ends = np.cumsum(n_pairs)
    running = np.cumsum(gaps + 1)
    before = np.concatenate(([0], running))[ends - n_pairs]
    codes = running - np.repeat(before, n_pairs) - 1
    sane = (codes <= MAX_CODE) & (counts >= 1) & (counts <= MAX_COUNT)
    if len(sane):
        fine = np.logical_and.reduceat(sane, ends - n_pairs)
        totals = np.add.reduceat(counts.astype(np.float64), ends - n_pairs)
        # Totals are rounded floats here: `decode` checks blobs near the limit with exact integers.
        good[chosen[~fine | (totals > MAX_COUNT // 2)]] = False
    kept = np.repeat(good[chosen], n_pairs)

    ones = np.flatnonzero(~many & good)
    values = minimum[ones]
    one_codes = np.zeros(len(ones), dtype=np.int64)
    one_codes[values > 0] = bucket_indices(values[values > 0]) - MIN_INDEX + 1
    sums = np.zeros(len(lengths), dtype=np.int64)
    sums[ones] = np.rint(values * 1000).astype(np.int64)
    chosen_good = chosen[good[chosen]]
    sums[chosen_good] = numbers[at[chosen_good]]
    contents = Contents(
        bucket_blob=np.concatenate((np.repeat(where[chosen], n_pairs)[kept], where[ones])),
        bucket_code=np.concatenate((codes[kept], one_codes)),
        bucket_count=np.concatenate((counts[kept], np.ones(len(ones), dtype=np.int64))),
        blob=where[good],
        sum_thousandths=sums[good],
        minimum=minimum[good],
        maximum=maximum[good],
    )
    return contents, good
