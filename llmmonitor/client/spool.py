"""Batches that wait on disk, so that neither an outage nor a crash of this process loses them.

Each process has a directory of its own (its slot), with a file for each batch, whose name begins with its time. What an
earlier process has left, whatever its slot, is sent by the next one. A batch that is sent twice is counted once,
because its events have ids.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from pathlib import Path

from llmmonitor.client.events import Batch
from llmmonitor.client.request_id import new_request_id
from llmmonitor.client.slot import Slot, lock
from llmmonitor.client.waiting import WaitingInMemory
from llmmonitor.client.warn import warn

MAX_BYTES = 256 * 1024 * 1024
UNFINISHED = ".part"


class WaitingOnDisk:
    """Batches in files. Those that cannot be written wait in memory."""

    def __init__(self, directory: str, slot: Slot, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._memory = WaitingInMemory()
        self._files: deque[tuple[Path, int, int]] = deque()  # with events and bytes
        self._bytes = self._events = 0
        self._directory = Path(directory) / slot.name
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._adopt(Path(directory))
            for path in sorted(self._directory.iterdir()):
                if path.name.endswith(UNFINISHED):
                    path.unlink()
                else:
                    self._append(path)
        except OSError as error:
            warn("spool", f"The spool directory cannot be used ({error}).")

    @property
    def count(self) -> int:
        """The number of events that wait."""
        return self._memory.count + self._events

    def add(self, batch: Batch) -> int:
        """Write a batch to a file. Return the number of events that are dropped for it."""
        dropped = 0
        while self._files and self._bytes + len(batch.body) > self._max_bytes:
            dropped += self._files[0][1]
            self._remove_file()
        path = self._directory / f"{new_request_id()}.{batch.path.rpartition('/')[2]}.{batch.events}"
        unfinished = path.with_name(path.name + UNFINISHED)
        try:
            unfinished.write_bytes(batch.body)
            os.replace(unfinished, path)
        except OSError as error:
            warn("spool", f"Writing to the spool directory failed ({error}). Events wait in memory.")
            with contextlib.suppress(OSError):
                unfinished.unlink()
            return dropped + self._memory.add(batch)
        self._append(path)
        return dropped

    def first(self) -> Batch | None:
        """Return the oldest batch. Files that someone has deleted are left out."""
        if batch := self._memory.first():
            return batch
        while self._files:
            path, count, _ = self._files[0]
            try:
                return Batch(f"/track/{path.name.split('.')[1]}", count, path.read_bytes())
            except OSError as error:
                warn("spool", f"Reading from the spool directory failed ({error}).")
                self._remove_file()
        return None

    def remove_first(self) -> None:
        """Remove the oldest batch."""
        if self._memory.count:
            self._memory.remove_first()
        else:
            self._remove_file()

    def _append(self, path: Path) -> None:
        count = int(path.name.rpartition(".")[2])
        size = path.stat().st_size
        self._files.append((path, count, size))
        self._events += count
        self._bytes += size

    def _remove_file(self) -> None:
        path, count, size = self._files.popleft()
        self._events -= count
        self._bytes -= size
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def _adopt(self, spool: Path) -> None:
        """Move the files of processes that have ended to this one."""
        for lock_file in spool.glob("*.lock"):
            left = lock_file.with_suffix("")
            if left == self._directory or not left.is_dir():
                continue
            if (held := lock(lock_file)) is None:
                continue
            with held:
                for path in left.iterdir():
                    os.replace(path, self._directory / path.name)
