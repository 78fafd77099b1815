"""The rollup rows of requests, by column, and the statement that reads them.

Histograms are decoded when they are read, so that `rollup_cache` can keep them decoded.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import pairwise
from operator import add
from typing import Any, TypeVar

import numpy as np
from django.db.models import F

from metrics.aggregation import HISTOGRAM_COLUMNS, OUTCOME_COLUMNS
from metrics.histogram import DecodedHistograms
from metrics.models import InferenceRollup
from metrics.models.checksum import Checksum
from metrics.queries.read.budget import count_rows
from metrics.queries.read.rollup_statements import Condition, groups, in_segments, one_of, rows_in_lists
from metrics.queries.time.plan import Segment

# The successful and the failed requests of a row. The database adds up the outcomes of the latter.
COUNTS = ("ok", "failed")
FAILED = reduce(add, (F(column) for column in OUTCOME_COLUMNS if column != "ok"))
# Before the name of a histogram: whether it has values, which is read without its bytes.
HAS = "has_"
DECODED_TOGETHER = 2_000  # histograms: the arrays of more need much memory, and fewer as much time as these

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True)
class RowBlock:
    """Consecutive rows: ids, starts of buckets, ids of series, and the columns that were read. Nothing changes it."""

    ids: np.ndarray
    buckets: np.ndarray
    series: np.ndarray
    columns: Mapping[str, np.ndarray | DecodedHistograms]

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> RowBlock:
        """Return rows of (bucket, series, id, columns…), of which there is at least one."""
        buckets, series, ids, *values = zip(*rows, strict=True)
        columns: dict[str, np.ndarray | DecodedHistograms] = {}
        packed: dict[str, tuple[bytes, ...]] = {}
        for name, of_rows in zip(names, values, strict=True):
            if name in HISTOGRAM_COLUMNS:
                packed[name] = of_rows
            else:
                columns[name] = _integers(of_rows)
        histograms = list(packed)
        at_once = max(1, DECODED_TOGETHER // len(rows))
        for first in range(0, len(histograms), at_once):
            chosen = histograms[first : first + at_once]
            decoded = DecodedHistograms.of_columns([packed[name] for name in chosen])
            columns |= dict(zip(chosen, decoded, strict=True))
        return cls(_integers(ids), _integers(buckets), _integers(series), columns)

    @classmethod
    def joined(cls, blocks: Sequence[RowBlock]) -> RowBlock:
        """Return the rows of all blocks; at least one block."""
        columns = {name: _joined([block.columns[name] for block in blocks]) for name in blocks[0].columns}
        return cls(
            np.concatenate([block.ids for block in blocks]),
            np.concatenate([block.buckets for block in blocks]),
            np.concatenate([block.series for block in blocks]),
            columns,
        )

    def split(self, numbers: np.ndarray) -> list[RowBlock]:
        """Return the rows as blocks, each of consecutive rows with the same number. `numbers` has that of each row."""
        edges = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(self)]
        if len(edges) == 2:
            return [self]
        lengths = np.diff(edges).tolist()
        columns: list[dict[str, np.ndarray | DecodedHistograms]] = [{} for _ in lengths]
        for name, values in self.columns.items():
            parts: Sequence[Any] = (
                values.split(lengths)
                if isinstance(values, DecodedHistograms)
                else [part.copy() for part in np.split(values, edges[1:-1])]
            )
            for of_part, part in zip(columns, parts, strict=True):
                of_part[name] = part
        rows = [slice(start, end) for start, end in pairwise(edges)]
        return [
            RowBlock(self.ids[own].copy(), self.buckets[own].copy(), self.series[own].copy(), of_part)
            for own, of_part in zip(rows, columns, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def checksum(self) -> Checksum:
        """That of its rows."""
        return Checksum(len(self.ids), int(self.ids.sum()))

    @cached_property
    def nbytes(self) -> int:
        """The size of the arrays."""
        return 3 * self.ids.nbytes + sum(values.nbytes for values in self.columns.values())


def _as_read(name: str) -> str:
    """Return the SQL of a column."""
    if name == "failed":
        return " + ".join(column for column in OUTCOME_COLUMNS if column != "ok")
    return f"LENGTH({name.removeprefix(HAS)})" if name.startswith(HAS) else name


def _integers(values: Sequence[int]) -> np.ndarray:
    return np.fromiter(values, dtype=np.int64, count=len(values))


def _joined(parts: Sequence[Any]) -> np.ndarray | DecodedHistograms:
    if isinstance(parts[0], DecodedHistograms):
        return DecodedHistograms.joined(parts)
    return np.concatenate(parts)


@dataclass(frozen=True)
class Selection:
    """The series that a query reads; None for all. Equal selections have equal rows."""

    series_ids: tuple[int, ...] | None

    def rows(self, segments: Sequence[Segment], names: Sequence[str], is_held: bool = True) -> Iterator[RowBlock]:
        """Yield the rows of segments with these columns, in the order of buckets, series and ids, by one statement.

        is_held: the caller keeps them until the end of its query.
        """
        columns = ("bucket", "series_id", "id", *map(_as_read, names))
        for chunk in rows_in_lists(InferenceRollup, columns, self._condition(segments), "bucket, series_id, id"):
            block = RowBlock.of(chunk, names)
            count_rows(len(chunk), block.nbytes if is_held else 0)
            yield block

    def checksums(self, segment: Segment, seconds: int) -> dict[int, Checksum]:
        """Return the checksum of each block of so many seconds that has rows, oldest first. Only the index is read."""
        columns = (f"bucket / {seconds}", "COUNT(*)", "SUM(id)")
        return {
            block * seconds: Checksum(rows, int(sum_of_ids))
            for block, rows, sum_of_ids in sorted(groups(InferenceRollup, columns, self._condition([segment]), "1"))
        }

    def _condition(self, segments: Sequence[Segment]) -> Condition:
        condition = in_segments(segments)
        return condition if self.series_ids is None else condition & one_of("series_id", self.series_ids)


class RollupRows:
    """The rollup rows of a query by column: `buckets` (their starts), `series` (ids of label sets), and others."""

    def __init__(self, blocks: Sequence[RowBlock]) -> None:
        self._blocks = blocks
        self._integers: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.buckets)

    @cached_property
    def buckets(self) -> np.ndarray:
        """The start of the bucket of each row, in unix seconds."""
        return _all([block.buckets for block in self._blocks])

    @cached_property
    def series(self) -> np.ndarray:
        """The id of the label set of each row."""
        return _all([block.series for block in self._blocks])

    def histograms(self, column: str) -> list[DecodedHistograms]:
        """Return the histograms of a column, in parts."""
        parts = (block.columns[column] for block in self._blocks)
        return [part for part in parts if isinstance(part, DecodedHistograms)]

    def integers(self, column: str) -> np.ndarray:
        """Return the values of an integer column."""
        if column not in self._integers:
            parts = (block.columns[column] for block in self._blocks)
            self._integers[column] = _all([part for part in parts if isinstance(part, np.ndarray)])
        return self._integers[column]

    @cached_property
    def requests(self) -> np.ndarray:
        """The number of completed requests of each row, including failed ones."""
        ok, failed = COUNTS
        total: np.ndarray = self.integers(ok) + self.integers(failed)
        return total

    @cached_property
    def _distinct_series(self) -> tuple[list[int], np.ndarray]:
        """The ids of the series, and for each row the position of its series in them."""
        ids, positions = np.unique(self.series, return_inverse=True)
        return ids.tolist(), positions

    @property
    def series_ids(self) -> list[int]:
        """The ids of the series that have rows."""
        return self._distinct_series[0]

    def requests_by_series(self) -> dict[int, int]:
        """Return the number of completed requests of each series."""
        return self.requests_by({series_id: series_id for series_id in self.series_ids})

    def requests_by(self, group_of_series: Mapping[int, Group]) -> dict[Group, int]:
        """Return the number of completed requests of each group. Rows of other series are omitted."""
        return self._sums_by(group_of_series, self.requests)

    def failures_by(self, group_of_series: Mapping[int, Group]) -> dict[Group, int]:
        """Return the number of failed requests of each group. Rows of other series are omitted."""
        return self._sums_by(group_of_series, self.integers("failed"))

    def _sums_by(self, group_of_series: Mapping[int, Group], values: np.ndarray) -> dict[Group, int]:
        ids, positions = self._distinct_series
        counts = np.zeros(len(ids), dtype=np.int64)
        np.add.at(counts, positions, values)
        totals: dict[Group, int] = {}
        for series_id, count in zip(ids, counts.tolist(), strict=True):
            if series_id in group_of_series:
                group = group_of_series[series_id]
                totals[group] = totals.get(group, 0) + count
        return totals

    def group_numbers(self, number_of_series: Mapping[int, int], default: int) -> np.ndarray:
        """Return the number of each row's group; `default` for the rows of other series."""
        ids, positions = self._distinct_series
        numbers = np.array([number_of_series.get(series_id, default) for series_id in ids], dtype=np.int64)
        return np.take(numbers, positions)


def _all(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
