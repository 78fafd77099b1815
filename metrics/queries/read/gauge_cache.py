"""Reads the rollup rows of gauges and counters. Whole blocks of them are kept decoded, see `block_cache`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from django.db import connection

from llmmonitor.infra.telemetry import telemetry
from metrics.catalogue import Metric
from metrics.levels import columns_of
from metrics.models import GaugeRollup
from metrics.models.checksum import Checksum
from metrics.queries.read.block_cache import BLOCK_SECONDS, BlockCache, edges, whole_blocks
from metrics.queries.read.budget import check_budget, count_rows
from metrics.queries.read.rollup_statements import Condition, groups, in_segments, one_of, rows_in_lists
from metrics.queries.time.plan import Segment
from metrics.readings import COLUMNS, MINUTE, START, Floats, Integers

MAX_BYTES = 16 * 2**20  # that a process keeps; a day of ten hosts has 5 MB on the Overview
ROWS_PER_ROW = 4  # of these rows take about as long as a row of requests, which has histograms
OF_HOURS = columns_of("")  # also of counters, whose rows of hours have the sum of their rates


class GaugeBlock(NamedTuple):
    """Rows of a metric: `values` for `readings.spans_of`, and in `minutes` the bits of `GaugeRollup.minutes`.

    Nothing changes it.
    """

    ids: Integers
    values: Floats
    minutes: Integers

    @property
    def checksum(self) -> Checksum:
        """That of its rows."""
        return Checksum(len(self.ids), int(self.ids.sum()))

    @property
    def nbytes(self) -> int:
        """The size of the arrays."""
        return self.ids.nbytes + self.values.nbytes + self.minutes.nbytes

    def where(self, chosen: Any) -> GaugeBlock:
        """Return a copy of some of the rows."""
        return GaugeBlock(self.ids[chosen], self.values[chosen], self.minutes[chosen])


NO_ROWS = GaugeBlock(np.empty(0, dtype=np.int64), np.empty((0, COLUMNS)), np.empty(0, dtype=np.int64))
cache = BlockCache[GaugeBlock](MAX_BYTES)


def read_rows(metrics: Sequence[Metric], segment: Segment, ids: Sequence[int] | None) -> dict[str, GaugeBlock]:
    """Return the rows of each metric in a segment, of some label sets (None: of all). All or none are counters."""
    selected = None if ids is None else tuple(ids)
    whole = [*filter(None, [whole_blocks(segment)])]
    seconds = BLOCK_SECONDS[segment.resolution]
    blocks: dict[tuple[str, int], GaugeBlock] = {}
    lacking: set[int] = set()
    for part in whole:
        for (name, start), checksum in _checksums(metrics, part, seconds, ids).items():
            block = cache.get((part.resolution, start, name, selected))
            if block is not None and block.checksum == checksum:
                blocks[name, start] = block
                count_rows(len(block.ids) // ROWS_PER_ROW, block.nbytes)
            else:
                lacking.add(start)
    telemetry.count("cache_reads", "hit", len(blocks))
    telemetry.count("cache_reads", "miss", len(lacking))
    wanted = [*edges([segment], whole), *_joined(segment.resolution, sorted(lacking), seconds)]
    parts: dict[str, list[GaugeBlock]] = {metric.name: [NO_ROWS] for metric in metrics}
    for name, rows in _read(metrics, wanted, ids) if wanted else ():
        of_block = rows.values[:, START] // seconds * seconds
        for start in lacking:
            block = rows.where(of_block == start)
            blocks[name, start] = block
            if len(block.ids):
                cache.put((segment.resolution, start, name, selected), block)
        parts[name].append(rows.where(~np.isin(of_block, [*lacking])))
    for (name, _), block in blocks.items():
        parts[name].append(block)
    check_budget()
    return {name: GaugeBlock(*map(np.concatenate, zip(*own, strict=True))) for name, own in parts.items()}


def condition_of(metrics: Iterable[Metric], segments: Iterable[Segment], ids: Sequence[int] | None) -> Condition:
    """Return the condition for the rows of metrics in at least one segment, of some label sets (None: of all)."""
    rows = one_of("metric", [metric.name for metric in metrics]) & in_segments(segments)
    return rows if ids is None else rows & one_of("labels_id", ids)


def _checksums(
    metrics: Sequence[Metric], segment: Segment, seconds: int, ids: Sequence[int] | None
) -> dict[tuple[str, int], Checksum]:
    """Return the checksum of each block with rows by the metric and the start. Only the index is read."""
    columns = ("metric", f"bucket / {seconds}", "COUNT(*)", "SUM(id)")
    return {
        (name, block * seconds): Checksum(rows, int(sum_of_ids))
        for name, block, rows, sum_of_ids in groups(GaugeRollup, columns, condition_of(metrics, [segment], ids), "1, 2")
    }


def _joined(resolution: int, starts: Sequence[int], seconds: int) -> list[Segment]:
    """Return blocks as segments, those that follow each other as one."""
    joined: list[Segment] = []
    for start in starts:
        follows = bool(joined) and joined[-1].end == start
        begin = joined.pop().start if follows else start
        joined.append(Segment(resolution, begin, start + seconds))
    return joined


def _read(
    metrics: Sequence[Metric], segments: Sequence[Segment], ids: Sequence[int] | None
) -> list[tuple[str, GaugeBlock]]:
    """Return all columns of the stored rows of each metric, by one statement."""
    names = columns_of(metrics[0].name) if segments[0].resolution == MINUTE else OF_HOURS
    number_of = {metric.name: number for number, metric in enumerate(metrics)}
    read: list[tuple[Integers, GaugeBlock]] = []
    wanted = (*map(connection.ops.quote_name, names), "minutes", "id", "metric")
    for chunk in rows_in_lists(GaugeRollup, wanted, condition_of(metrics, segments, ids)):
        *columns, minutes, row_ids, of_metric = zip(*chunk, strict=True)
        values = np.array(columns, dtype=np.float64).T  # None becomes NaN
        masks = np.fromiter((bits or 0 for bits in minutes), dtype=np.int64, count=len(chunk))
        block = GaugeBlock(np.array(row_ids, dtype=np.int64), values, masks)
        read.append((np.array([number_of[name] for name in of_metric]), block))
        count_rows(len(chunk) // ROWS_PER_ROW, block.nbytes)
    if not read:
        return [(name, NO_ROWS) for name in number_of]
    numbers = np.concatenate([number for number, _ in read])
    rows = GaugeBlock(*map(np.concatenate, zip(*(block for _, block in read), strict=True)))
    return [(name, rows.where(numbers == number)) for name, number in number_of.items()]
