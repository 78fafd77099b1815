"""Keeps the rollup rows of whole blocks of hours and minutes decoded, so that a query reads only what has changed.

A rollup row never changes: commits and compaction insert rows with new ids, compaction, retention and `forget` delete
rows, and the databases never give an id again. A row that was inserted later has a greater id than the rows that were
deleted before, so a block is what it was if it has as many rows and the same sum of ids, whichever process wrote it.
(On PostgreSQL a transaction that lasts may commit a smaller id late; the sums would then have to be equal by chance.)
Each query reads the checksums of its blocks from the index, and the rows of the blocks whose checksums differ.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from django.db import connection

from metrics.models.checksum import Checksum
from metrics.queries.time.plan import Segment

BLOCK_SECONDS = {60: 3_600, 3_600: 21_600}  # by resolution; what is outside of whole blocks is read each time
BLOCK_OVERHEAD = 4_096  # of the objects of a block beside its arrays, in bytes


class Block(Protocol):
    """The rows of a block."""

    @property
    def checksum(self) -> Checksum:
        """That of its rows."""

    @property
    def nbytes(self) -> int:
        """The size of its arrays."""


AnyBlock = TypeVar("AnyBlock", bound=Block)


class BlockCache(Generic[AnyBlock]):
    """The blocks that were used last. For any number of threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Hashable, tuple[AnyBlock, int]] = OrderedDict()
        self.nbytes = 0

    def get(self, key: Hashable) -> AnyBlock | None:
        """Return a block, which its caller compares with the stored rows."""
        with self._lock:
            if key not in self._blocks:
                return None
            self._blocks.move_to_end(key)
            return self._blocks[key][0]

    def put(self, key: Hashable, block: AnyBlock) -> None:
        """Keep a block instead of that with the same key, and drop those that were not used for the longest time."""
        size = block.nbytes + BLOCK_OVERHEAD
        with self._lock:
            if key in self._blocks:
                self.nbytes -= self._blocks.pop(key)[1]
            self._blocks[key] = block, size
            self.nbytes += size
            while self.nbytes > self._max_bytes:
                self.nbytes -= self._blocks.popitem(last=False)[1][1]

    def clear(self) -> None:
        """Drop all blocks."""
        with self._lock:
            self._blocks.clear()
            self.nbytes = 0


def whole_blocks(segment: Segment) -> Segment | None:
    """Return the part of a segment that consists of whole blocks; None if there is none."""
    seconds = BLOCK_SECONDS.get(segment.resolution)
    # In a transaction there may be rows that are rolled back, whose ids are given again.
    if seconds is None or connection.in_atomic_block:
        return None
    start, end = -(-segment.start // seconds) * seconds, segment.end // seconds * seconds
    return Segment(segment.resolution, start, end) if start < end else None


def edges(segments: Sequence[Segment], whole: Sequence[Segment]) -> Iterator[Segment]:
    """Yield the parts of the segments outside of their whole blocks."""
    for resolution, start, end in segments:
        inner = next((part for part in whole if start <= part.start < end), Segment(resolution, end, end))
        for edge in (Segment(resolution, start, inner.start), Segment(resolution, inner.end, end)):
            if edge.start < edge.end:
                yield edge
