"""Reads the rollup rows of requests. Whole blocks of them are kept decoded, see `block_cache`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np

from llmmonitor.infra.telemetry import telemetry
from metrics.queries.read.block_cache import BLOCK_SECONDS, BlockCache, edges, whole_blocks
from metrics.queries.read.budget import check_budget, count_rows
from metrics.queries.read.rollup_rows import RollupRows, RowBlock, Selection
from metrics.queries.time.plan import Segment

MAX_BYTES = 32 * 2**20  # that a process keeps; 30 days of a million requests of five models have 20 MB

cache = BlockCache[RowBlock](MAX_BYTES)


def read_rows(segments: Iterable[Segment], columns: Iterable[str], series_ids: Sequence[int] | None) -> RollupRows:
    """Return these columns of the rollup rows of some segments and series (None: all series)."""
    names = tuple(dict.fromkeys(columns))
    segments = list(segments)
    if not segments or (series_ids is not None and not len(series_ids)):
        return RollupRows([])
    selection = Selection(None if series_ids is None else tuple(series_ids))
    whole = [*filter(None, map(whole_blocks, segments))]
    blocks = [*_read_edges(segments, whole, names, selection)]
    for segment in whole:
        blocks += _read_blocks(segment, BLOCK_SECONDS[segment.resolution], names, selection)
        check_budget()
    return RollupRows(sorted(blocks, key=lambda block: int(block.buckets[0])))


def _read_edges(
    segments: Sequence[Segment], whole: Sequence[Segment], names: Sequence[str], selection: Selection
) -> Iterator[RowBlock]:
    """Yield the rows outside of whole blocks, read by one statement, apart where whole blocks are between them."""
    outside = [*edges(segments, whole)]
    starts = np.array([part.start for part in whole], dtype=np.int64)
    if outside:
        for rows in selection.rows(outside, names):
            yield from rows.split(np.searchsorted(starts, rows.buckets))


def _read_blocks(segment: Segment, seconds: int, names: Sequence[str], selection: Selection) -> list[RowBlock]:
    """Return the rows of whole blocks, oldest first."""
    stored = selection.checksums(segment, seconds)
    known: dict[int, RowBlock] = {}
    missing: dict[int, tuple[str, ...]] = {}  # the columns that are to be read of each block
    for start, checksum in stored.items():
        block = cache.get((segment.resolution, start, selection))
        columns: Iterable[str] = ()
        if block is not None and block.checksum == checksum:
            known[start] = block
            columns = block.columns
            count_rows(len(block), block.nbytes)
        lacking = tuple(name for name in names if name not in columns)
        if lacking or not columns:
            missing[start] = lacking
    telemetry.count("cache_reads", "hit", len(stored) - len(missing))
    telemetry.count("cache_reads", "miss", len(missing))
    for lacking, starts in groupby(missing, missing.__getitem__):
        for run in _runs(list(starts), stored):
            whole = Segment(segment.resolution, run[0], run[-1] + seconds)
            read = {
                int(block.buckets[0]) // seconds * seconds: block
                for block in _whole(whole, seconds, lacking, selection)
            }
            for start in run:
                if start not in read:
                    known.pop(start, None)  # its rows have been deleted since
                    continue
                block = _completed(known.get(start), read[start])
                if block is None:  # it has changed since its checksum was read
                    one = Segment(segment.resolution, start, start + seconds)
                    blocks = list(_whole(one, seconds, names, selection))
                    block = blocks[0] if blocks else None
                if block is None:
                    known.pop(start, None)
                    continue
                known[start] = block
                cache.put((segment.resolution, start, selection), block)
    return [known[start] for start in sorted(known)]


def _runs(starts: Sequence[int], stored: Iterable[int]) -> Iterator[list[int]]:
    """Yield the blocks in runs that have no other block with rows in between."""
    number = {start: position for position, start in enumerate(stored)}
    for _, run in groupby(enumerate(starts), lambda item: number[item[1]] - item[0]):
        yield [start for _, start in run]


def _whole(segment: Segment, seconds: int, names: Sequence[str], selection: Selection) -> Iterator[RowBlock]:
    """Yield the rows of a segment as whole blocks, read by one statement."""
    pending: RowBlock | None = None
    for rows in selection.rows([segment], names):
        for block in rows.split(rows.buckets // seconds):
            if pending is not None and pending.buckets[0] // seconds == block.buckets[0] // seconds:
                pending = RowBlock.joined([pending, block])
                continue
            if pending is not None:
                yield pending
            pending = block
    if pending is not None:
        yield pending


def _completed(known: RowBlock | None, read: RowBlock) -> RowBlock | None:
    """Return a block with its known columns and those that were read; None if these are of other rows."""
    if known is None:
        return read
    if not np.array_equal(known.ids, read.ids):
        return None
    return RowBlock(known.ids, known.buckets, known.series, {**known.columns, **read.columns})
