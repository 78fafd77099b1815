"""The sums of all requests since the first one by label set, for `GET /metrics`.

They are the totals of the hours before a boundary (`RequestTotal`) and the rollups of the hours after it. The sums of
whole blocks of hours are kept: by label set and with few buckets they are small, so all hours of 400 days are, and
reading them does not drop from `rollup_cache` what the pages need.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from django.db.models import Max, Subquery
from numpy.typing import NDArray

from llmmonitor.infra.telemetry import telemetry
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.histogram import DecodedHistograms, merge_decoded_groups
from metrics.label_sets import MAX_SHOWN, REST, LabelSet, shown_label_sets
from metrics.levels import HOUR
from metrics.models import InferenceRollup, RequestTotal, Series, TotalsBoundary
from metrics.models.checksum import Checksum
from metrics.queries.read.block_cache import BLOCK_SECONDS, BlockCache
from metrics.queries.read.budget import check_budget
from metrics.queries.read.rollup_rows import RowBlock, Selection
from metrics.queries.time.plan import Segment

MAX_BYTES = 32 * 2**20  # that a process keeps; 400 days of 5 label sets have 8 MB, 30 days of 100 label sets 13 MB
BLOCK = BLOCK_SECONDS[HOUR]
SLOTS = MAX_SHOWN + 1  # the last one is that of REST

LABELS = ("model_name", "provider", "service")
INTEGERS = (
    *OUTCOME_COLUMNS, "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "cost_nanodollars",
)  # fmt: skip
# The lowest and the highest power of two, in seconds, between the buckets of a histogram.
BOUNDS: Mapping[str, tuple[int, int]] = {
    "response_time_ms": (-6, 9),
    "failed_response_time_ms": (-6, 9),
    "ttft_ms": (-7, 7),
    "time_per_output_token_ms": (-10, 2),
    "queue_time_ms": (-7, 9),
}
# An edge of our buckets is 0.2 % above each power of two seconds: 2^(319/32) ms are 1.002 s.
PER_DOUBLING, EDGE_OF_A_SECOND = 32, 319
_WIDTHS = tuple(high - low + 2 for low, high in BOUNDS.values())
_STARTS = (0, *accumulate(_WIDTHS))
COLUMNS = (*INTEGERS, *BOUNDS)


class Distribution(NamedTuple):
    """A histogram in seconds: the number of values in each bucket. The last bucket has no upper bound."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum_seconds: float


class Totals(NamedTuple):
    """The sums of the requests of a label set by column."""

    integers: Mapping[str, int]
    distributions: Mapping[str, Distribution]


@dataclass(frozen=True)
class SlotSums:
    """Sums by slot, which is the place of a label set among those that are shown. Nothing changes them.

    integers: INTEGERS and the sums of the BOUNDS in thousandths, as Python's integers. buckets: those of the BOUNDS.
    """

    checksum: Checksum
    slots: NDArray[np.int64]
    integers: NDArray[np.object_]
    buckets: NDArray[np.int64]

    @property
    def nbytes(self) -> int:
        """About the size in memory."""
        return self.slots.nbytes + 5 * self.integers.nbytes + self.buckets.nbytes


class _Cache:
    """The sums of blocks, as long as each label set keeps its slot."""

    def __init__(self) -> None:
        self._blocks = BlockCache[SlotSums](MAX_BYTES)
        self._lock = threading.Lock()
        self._shown: list[LabelSet] = []

    def of(self, shown: list[LabelSet]) -> BlockCache[SlotSums]:
        """Return the blocks. They are dropped if a label set has left, because others may have got its slot."""
        with self._lock:
            if shown[: len(self._shown)] != self._shown:
                self._blocks = BlockCache[SlotSums](MAX_BYTES)
            self._shown = shown
            return self._blocks

    def clear(self) -> None:
        """Drop all blocks."""
        with self._lock:
            self._blocks, self._shown = BlockCache[SlotSums](MAX_BYTES), []


cache = _Cache()


def read_totals() -> dict[LabelSet, Totals]:
    """Return the sums of each label set. Call it within a budget; raises QueryStopped.

    What was read before the budget was used up is kept, so the next call continues.
    """
    in_totals, boundary, last = _stored_totals()
    series = Series.objects.values_list("id", *LABELS)
    of_series = {series_id: LabelSet(*labels) for series_id, *labels in series}
    shown = shown_label_sets((labels for labels, *_ in in_totals), of_series)
    slot_of = {labels: slot for slot, labels in enumerate(shown)}
    slot_of_series = {series_id: slot_of.get(labels, SLOTS - 1) for series_id, labels in of_series.items()}
    parts = [_sums_of_totals(in_totals, slot_of)] if in_totals else []
    parts += _hours(boundary, last, slot_of_series, cache.of(shown))
    integers = np.zeros((SLOTS, len(INTEGERS) + len(BOUNDS)), dtype=object)
    buckets = np.zeros((SLOTS, _STARTS[-1]), dtype=np.int64)
    for part in parts:
        integers[part.slots] += part.integers
        buckets[part.slots] += part.buckets
    of_slot = [*enumerate(shown), (SLOTS - 1, REST)]
    return {labels: _totals(integers[slot], buckets[slot]) for slot, labels in of_slot}


def _stored_totals() -> tuple[list[tuple[Any, ...]], int, int]:
    """Return (label set, columns…) of the stored totals, the boundary, and the start of the last hour with requests."""
    # One statement, so that totals and boundary belong together.
    edge = Subquery(TotalsBoundary.objects.values("bucket")[:1])
    rows = list(RequestTotal.objects.order_by("id").values_list(*LABELS, *COLUMNS, edge))
    boundary = next((int(row[-1]) for row in rows if row[-1] is not None), 0)
    last = InferenceRollup.objects.filter(resolution=HOUR).aggregate(last=Max("bucket"))["last"]
    return [(LabelSet(*row[: len(LABELS)]), *row[len(LABELS) : -1]) for row in rows], boundary, int(last or 0)


def _sums_of_totals(rows: Sequence[tuple[Any, ...]], slot_of: Mapping[LabelSet, int]) -> SlotSums:
    slots = np.array([slot_of.get(labels, SLOTS - 1) for labels, *_ in rows], dtype=np.int64)
    columns = list(zip(*(row[1:] for row in rows), strict=True))
    integers = [np.array(column, dtype=object) for column in columns[: len(INTEGERS)]]
    histograms = [DecodedHistograms.of(column) for column in columns[len(INTEGERS) :]]
    return _by_slot(Checksum(0, 0), slots, integers, [[histogram] for histogram in histograms])


def _hours(
    boundary: int, last: int, slot_of_series: Mapping[int, int], blocks: BlockCache[SlotSums]
) -> Iterator[SlotSums]:
    """Yield the sums of the hours from the boundary on, in blocks."""
    selection = Selection(None)
    for first, until in ((boundary, -(-boundary // BLOCK) * BLOCK), (-(-boundary // BLOCK) * BLOCK, last + HOUR)):
        if first >= until:
            continue
        stored = selection.checksums(Segment(HOUR, first, until), BLOCK)
        hits = 0
        for start, checksum in stored.items():
            segment = Segment(HOUR, max(start, first), min(start + BLOCK, until))
            key = segment.start
            kept = blocks.get(key)
            if kept is not None and kept.checksum == checksum:
                hits += 1
            else:
                kept = _read_block(selection, segment, slot_of_series)
                blocks.put(key, kept)
                check_budget()
            yield kept
        telemetry.count("cache_reads", "hit", hits)
        telemetry.count("cache_reads", "miss", len(stored) - hits)


def _read_block(selection: Selection, segment: Segment, slot_of_series: Mapping[int, int]) -> SlotSums:
    rows = list(selection.rows([segment], COLUMNS, is_held=False))
    if not rows:  # they have been deleted since
        empty = np.zeros((0, len(INTEGERS) + len(BOUNDS)), dtype=object)
        return SlotSums(Checksum(0, 0), np.zeros(0, np.int64), empty, np.zeros((0, _STARTS[-1]), np.int64))
    block = RowBlock.joined(rows)
    ids, places = np.unique(block.series, return_inverse=True)
    # A series that was deleted since, or is newer than the labels that were read, is counted by the next call.
    slots = np.array([slot_of_series.get(series_id, -1) for series_id in ids.tolist()], dtype=np.int64)[places]
    checksum = block.checksum if (slots >= 0).all() else Checksum(0, 0)
    columns: list[Any] = [block.columns[name] for name in COLUMNS]
    integers = [column.astype(object) for column in columns[: len(INTEGERS)]]
    return _by_slot(checksum, slots, integers, [[column] for column in columns[len(INTEGERS) :]])


def _by_slot(
    checksum: Checksum,
    slots: NDArray[np.int64],
    integers: Sequence[NDArray[np.object_]],
    histograms: Sequence[list[DecodedHistograms]],
) -> SlotSums:
    """Return the sums of rows, given by column. Those with a negative slot are omitted."""
    own, groups = np.unique(slots, return_inverse=True)
    first = int(np.count_nonzero(own < 0))
    own, groups = own[first:], groups - first
    chosen = groups >= 0
    sums = np.zeros((len(own), len(INTEGERS) + len(BOUNDS)), dtype=object)
    for number, values in enumerate(integers):
        of_column: Any = sums[:, number]
        np.add.at(of_column, groups[chosen], values[chosen])
    buckets = np.zeros((len(own), _STARTS[-1]), dtype=np.int64)
    for number, ((low, high), parts) in enumerate(zip(BOUNDS.values(), histograms, strict=True)):
        merged = merge_decoded_groups(parts, groups, len(own))
        group, index, counts = merged.buckets()
        # The power of two at or above the bucket (2^(index / 32), 2^((index + 1) / 32)] ms
        power = -((EDGE_OF_A_SECOND - 1 - index) // PER_DOUBLING)
        column = _STARTS[number] + np.clip(power, low, high + 1) - low
        np.add.at(buckets, (group, column), counts.astype(np.int64))
        sums[:, len(INTEGERS) + number] = merged.sums_thousandths()
    return SlotSums(checksum, own, sums, buckets)


def _totals(integers: NDArray[np.object_], buckets: NDArray[np.int64]) -> Totals:
    distributions = {}
    for number, (name, (low, high)) in enumerate(BOUNDS.items()):
        counts = tuple(buckets[_STARTS[number] : _STARTS[number + 1]].tolist())
        bounds = tuple(2.0**power for power in range(low, high + 1))
        distributions[name] = Distribution(bounds, counts, integers[len(INTEGERS) + number] / 1e6)
    return Totals(dict(zip(INTEGERS, integers.tolist(), strict=False)), distributions)
