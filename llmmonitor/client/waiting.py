"""Batches that wait until they are sent: in memory, within a limit of bytes."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from llmmonitor.client.events import Batch

MAX_BYTES = 16 * 1024 * 1024


class Waiting(Protocol):
    """Where batches wait."""

    @property
    def count(self) -> int:
        """The number of events that wait."""

    def add(self, batch: Batch) -> int:
        """Add a batch. Return the number of events that are dropped for it, because there is no more room."""

    def first(self) -> Batch | None:
        """Return the batch that has waited longest; None if there is none."""

    def remove(self, batch: Batch) -> bool:
        """Remove the batch that `first` returned: it was sent, or refused. Return False if it was dropped meanwhile."""


class WaitingInMemory:
    """Batches in memory. If there is no more room, the oldest are dropped."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._events = 0
        self._max_bytes = max_bytes
        self._bytes = 0
        self._batches: deque[Batch] = deque()

    @property
    def count(self) -> int:
        """The number of events that wait."""
        return self._events

    def add(self, batch: Batch) -> int:
        """Add a batch. Return the number of events that are dropped for it."""
        dropped = 0
        while self._batches and self._bytes + len(batch.body) > self._max_bytes:
            dropped += self._batches[0].events
            self.remove(self._batches[0])
        self._batches.append(batch)
        self._bytes += len(batch.body)
        self._events += batch.events
        return dropped

    def first(self) -> Batch | None:
        """Return the oldest batch."""
        return self._batches[0] if self._batches else None

    def remove(self, batch: Batch) -> bool:
        """Remove the oldest batch, if it is this one."""
        if not self._batches or self._batches[0] is not batch:
            return False
        self._batches.popleft()
        self._bytes -= len(batch.body)
        self._events -= batch.events
        return True
