"""The bytes of a histogram: nothing is lost, equal content is equal bytes, and what was not written here is refused."""

from __future__ import annotations

import math
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.histogram import MAX_VALUE, Histogram, groups, merge_packed, merge_packed_groups
from metrics.histogram.packing import MAX_COUNT, MAX_PACKED_BYTES, Content, encode

values = (
    st.floats(0, MAX_VALUE)
    | st.floats(0, 100_000).map(lambda value: round(value, 3))
    | st.integers(0, 200_000)
    | st.sampled_from([0, MAX_VALUE, 5e-324, 1e-9, 0.001, 1e300])
)
weighted = st.lists(st.tuples(values, st.integers(1, 300) | st.integers(1, 2**40)), max_size=30)


def of(content: list[tuple[float, int]]) -> Histogram:
    histogram = Histogram()
    for value, n in content:
        histogram.add(value, n)
    return histogram


histograms = weighted.map(of)


def one_by_one(blobs: list[bytes]) -> Histogram:
    merged = Histogram()
    for blob in blobs:
        merged.merge(Histogram.unpack(blob))
    return merged


class APackedHistogram:
    @given(histograms)
    def test_is_unpacked_as_it_was(self, histogram: Histogram) -> None:
        unpacked = Histogram.unpack(histogram.pack())

        assert unpacked == histogram
        assert unpacked.count == histogram.count
        assert unpacked.quantiles((0, 0.5, 0.99, 1)) == histogram.quantiles((0, 0.5, 0.99, 1))

    @given(weighted, st.randoms(use_true_random=False))
    def test_has_the_same_bytes_for_the_same_content(self, content: list[tuple[float, int]], chance: Any) -> None:
        mixed = list(content)
        chance.shuffle(mixed)

        assert of(mixed).pack() == of(content).pack()

    @given(histograms, histograms)
    def test_has_the_same_bytes_only_for_the_same_content(self, left: Histogram, right: Histogram) -> None:
        assert (left.pack() == right.pack()) == (left == right)

    def test_is_no_bytes_when_it_is_empty(self) -> None:
        assert Histogram().pack() == b""
        assert Histogram.unpack(b"") == Histogram()

    @pytest.mark.parametrize(("value", "size"), [(0, 2), (0.05, 2), (12.345, 3), (850, 4), (1 / 3, 9), (MAX_VALUE, 9)])
    def test_of_one_value_is_2_to_9_bytes(self, value: float, size: int) -> None:
        assert len(Histogram.of([value]).pack()) == size

    def test_of_ten_thousand_latencies_is_about_160_bytes(self) -> None:
        latencies = np.random.default_rng(1).lognormal(6, 0.17, 10_000)

        assert len(Histogram.of(np.round(latencies, 3).tolist()).pack()) < 170
        assert len(Histogram.of(latencies.tolist()).pack()) < 180

    def test_is_never_larger_than_stated(self) -> None:
        full = Histogram.of([0.1234567891])
        for index in range(-960, 1600):
            full.counts[index] = 2**38
        full.zero_count = 2**38
        full.count = sum(full.counts.values()) + full.zero_count
        full.sum_thousandths = full.count * 2**60
        full.minimum, full.maximum = 0.0, MAX_VALUE

        packed = full.pack()

        assert len(packed) <= MAX_PACKED_BYTES
        assert Histogram.unpack(packed) == full

    def test_of_the_first_version_stays_readable(self) -> None:
        written = {
            "11b960": [12.345],
            "1100": [0],
            "12555555555555d53f": [1 / 3],
        }

        for blob, recorded in written.items():
            assert Histogram.unpack(bytes.fromhex(blob)) == Histogram.of(recorded)
            assert Histogram.of(recorded).pack() == bytes.fromhex(blob)

    def test_reads_memoryviews_as_databases_give_them(self) -> None:
        packed = Histogram.of([1, 2, 3]).pack()

        assert Histogram.unpack(memoryview(packed)) == Histogram.of([1, 2, 3])
        assert merge_packed([memoryview(packed)]) == Histogram.of([1, 2, 3])

    def test_of_too_many_values_is_refused(self) -> None:
        content = Content([1, 2], [MAX_COUNT, 1], 1, 1.0, 2.0)

        with pytest.raises(ValueError, match=r"at most 2\*\*50 values"):
            encode(content)


GOOD = Histogram.of([1, 2, 3]).pack()
BAD = {
    "another version": (b"\x21\x05", "unknown first byte 0x21"),
    "text": (b"hello", "unknown first byte"),
    "one value without a value": (b"\x11", "0 integers"),
    "one value too many": (b"\x11\x05\x06", "2 integers"),
    "an integer that is cut off": (b"\x11\x85", "cut off within an integer"),
    "an integer that never ends": (b"\x11" + b"\x80" * 40, "more than 17 bytes"),
    "a float that is cut off": (b"\x12abc", "cut off after 4 bytes"),
    "a float and more": (struct.pack("<Bd", 0x12, 1.5) + b"\x01", "1 integers"),
    "not a number": (struct.pack("<Bd", 0x12, math.nan), "0 ≤ min ≤ max"),
    "infinity": (struct.pack("<Bd", 0x12, math.inf), "0 ≤ min ≤ max"),
    "a negative value": (struct.pack("<Bd", 0x12, -1.5), "0 ≤ min ≤ max"),
    "a value beyond the range": (struct.pack("<Bd", 0x12, 2.0**51), "0 ≤ min ≤ max"),
    "a head alone": (b"\x13\x05\x05\x00", "are not a header"),
    "half a pair": (b"\x13\x05\x05\x00\x01", "are not a header"),
    "a bucket without values": (b"\x13\x05\x05\x00\x01\x00", "an empty bucket"),
    "a pair and a half": (b"\x13\x05\x05\x00\x01\x01\x01", "are not a header"),
    "a maximum that is not exact": (b"\x13\x05" + b"\xff" * 7 + b"\x0f\x01\x01\x01", "9007199254740992 thousandths"),
    "a minimum that is not exact": (b"\x13\x05" + (b"\xff" * 8 + b"\x7f") * 2 + b"\x01\x01", r"thousandths; the limit"),
    "a bucket far beyond the last": (
        b"\x13\x05\x05\x00" + b"\xff" * 8 + b"\x7f\x01",
        "bucket code 9223372036854775807",
    ),
    "a bucket beyond the last": (b"\x13\x05\x05\x00\xff\x7f\x01", "bucket code 16383"),
    "too many values": (b"\x13\x05\x05\x00\x01" + b"\xff" * 8 + b"\x7f", r"more than 2\*\*50 values"),
    "too many values in two buckets": (
        b"\x13\x05\x05\x00" + (b"\x01" + b"\x80" * 7 + b"\x02") * 2,
        r"more than 2\*\*50 values",
    ),
    "minimum above maximum": (struct.pack("<Bdd", 0x14, 2.0, 1.0) + b"\x05\x01\x02", "0 ≤ min ≤ max"),
    "too long": (
        b"\x13\x05\x05\x00" + (b"\x80" * 8 + b"\x00" + b"\x81" + b"\x80" * 7 + b"\x00") * 2_000,
        "maximum is 32768",
    ),
}


class ABlobThatIsNoHistogram:
    @pytest.mark.parametrize("name", BAD)
    def test_is_refused_with_what_is_wrong(self, name: str) -> None:
        blob, message = BAD[name]

        with pytest.raises(ValueError, match=message):
            Histogram.unpack(blob)

    @pytest.mark.parametrize("name", BAD)
    def test_is_refused_among_others_with_its_position(self, name: str) -> None:
        blob, message = BAD[name]

        with pytest.raises(ValueError, match=message) as refused:
            merge_packed([GOOD, b"", GOOD, blob, GOOD])
        assert "3" in str(refused.value)

    @given(st.binary(max_size=80))
    def test_is_never_taken_by_one_reader_and_refused_by_the_other(self, blob: bytes) -> None:
        try:
            alone = Histogram.unpack(blob)
        except ValueError:
            with pytest.raises(ValueError, match="histogram"):
                merge_packed([GOOD, blob])
        else:
            expected = Histogram.unpack(GOOD)
            expected.merge(alone)
            assert merge_packed([GOOD, blob]) == expected

    @given(histograms.filter(lambda histogram: histogram.count > 0), st.data())
    def test_is_found_when_bytes_are_missing_or_changed_or_reads_as_some_histogram(
        self, histogram: Histogram, data: st.DataObject
    ) -> None:
        packed = bytearray(histogram.pack())
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
        cut = bytes(packed[: data.draw(st.integers(0, len(packed)))])

        try:
            read = Histogram.unpack(cut)
        except ValueError:
            return
        assert read.count <= MAX_COUNT
        if read.count:
            assert read.minimum is not None
            assert read.maximum is not None
            assert 0 <= read.minimum <= read.maximum <= MAX_VALUE


class TheMergeOfPackedOnes:
    @given(st.lists(histograms, max_size=12))
    def test_is_that_of_merging_one_by_one(self, several: list[Histogram]) -> None:
        blobs = [histogram.pack() for histogram in several]

        assert merge_packed(blobs) == one_by_one(blobs)
        assert merge_packed(reversed(blobs)).pack() == one_by_one(blobs).pack()

    @given(st.lists(st.tuples(histograms, st.integers(0, 4)), max_size=15))
    def test_in_groups_is_that_of_each_group(self, several: list[tuple[Histogram, int]]) -> None:
        blobs = [histogram.pack() for histogram, _ in several]
        numbers = [number for _, number in several]

        merged = merge_packed_groups(blobs, numbers, 6)

        alone = [
            one_by_one([blob for blob, own in zip(blobs, numbers, strict=True) if own == number]) for number in range(6)
        ]
        assert list(merged) == alone
        assert list(merged.total()) == [one_by_one(blobs)]
        assert merged.counts == [histogram.count for histogram in alone]
        assert merged.means() == [histogram.mean for histogram in alone]
        assert merged.sums() == [histogram.sum if histogram.count else None for histogram in alone]
        assert merged.minima() == [histogram.minimum for histogram in alone]
        assert merged.maxima() == [histogram.maximum for histogram in alone]
        for q in (0.0, 0.01, 0.5, 0.95, 0.999, 1.0):
            assert merged.quantiles(q) == [histogram.quantile(q) for histogram in alone]

    def test_in_very_many_groups_is_the_same(self) -> None:
        blobs = [Histogram.of([number, number + 0.5]).pack() for number in range(2_500)]

        merged = merge_packed_groups(blobs, range(2_500), 2_501)

        assert merged[:2_500] == [Histogram.unpack(blob) for blob in blobs]
        assert merged[2_500] == Histogram()

    def test_of_sums_beyond_63_bits_is_exact(self) -> None:
        huge = Histogram()
        huge.add(MAX_VALUE, 2**20)

        merged = merge_packed([huge.pack()] * 3)

        assert merged.sum_thousandths == 3 * huge.sum_thousandths > 2**63
        assert merged.count == 3 * 2**20

    def test_of_more_values_than_one_may_hold_is_exact_as_well(self) -> None:
        full = Histogram()
        full.add(7, MAX_COUNT)

        merged = merge_packed([full.pack()] * 5_000)

        assert merged.count == 5_000 * MAX_COUNT
        assert merged.counts == dict.fromkeys(full.counts, 5000 * MAX_COUNT)
        assert merge_packed_groups([full.pack()] * 5_000, [0] * 5_000, 1).quantiles(0.5) == [7]

    @pytest.mark.parametrize("dense_cells", [0, 2**22])
    def test_is_the_same_in_several_parts(self, monkeypatch: pytest.MonkeyPatch, dense_cells: int) -> None:
        monkeypatch.setattr(groups, "_PART_BLOBS", 3)
        monkeypatch.setattr(groups, "_DENSE_CELLS", dense_cells)
        blobs = [Histogram.of([number % 3, 2.5, number + 0.1]).pack() for number in range(10)]

        merged = merge_packed_groups(blobs, [number % 2 for number in range(10)], 2)

        assert list(merged) == [one_by_one(blobs[::2]), one_by_one(blobs[1::2])]
        with pytest.raises(ValueError, match="blob 7: "):
            merge_packed_groups([*blobs[:7], b"no histogram", *blobs], [0] * 18, 1)

    def test_needs_memory_for_a_part_of_them_at_a_time(self) -> None:
        blobs = [Histogram.of([1.1**number for number in range(40)]).pack()] * 20_000
        tracemalloc.start()
        try:
            merge_packed(blobs)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 60 * 2**20  # 200 MiB all at once

    def test_of_nothing_is_empty(self) -> None:
        assert merge_packed([]) == Histogram()
        assert merge_packed([b"", b""]) == Histogram()
        nothing = merge_packed_groups([], [], 3)
        assert list(nothing) == [Histogram()] * 3
        assert nothing.quantiles(0.5) == nothing.means() == nothing.minima() == [None] * 3
        assert list(merge_packed_groups([], [], 0)) == []

    @pytest.mark.parametrize(
        ("groups", "message"),
        [([0], "2 blobs need as many groups"), ([0, 3], "groups are 0…2, got 0…3"), ([-1, 0], "groups are 0…2")],
    )
    def test_refuses_groups_that_do_not_fit(self, groups: list[int], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            merge_packed_groups([GOOD, GOOD], groups, 3)

    def test_does_not_depend_on_the_order_or_on_how_it_was_cut(self) -> None:
        rng = np.random.default_rng(5)
        sample = rng.lognormal(6, 1, 3_000)
        whole = Histogram.of(sample.tolist())

        for _ in range(10):
            rng.shuffle(sample)
            parts = np.split(sample, sorted(rng.integers(0, 3_000, 50)))
            assert merge_packed([Histogram.of(part.tolist()).pack() for part in parts]).pack() == whole.pack()
