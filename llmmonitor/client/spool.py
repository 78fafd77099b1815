"""Batches that wait on disk, so that neither an outage nor a crash of this process loses them.

Each process has a directory of its own (its slot), with a file for each batch, whose name begins with its time. What
processes that have ended left, whatever their slot, is sent by another one of the same spool. A batch that is sent
twice is counted once, because its events have ids.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections import deque
from pathlib import Path

from llmmonitor.client.events import Batch
from llmmonitor.client.request_id import new_request_id
from llmmonitor.client.slot import Slot, lock
from llmmonitor.client.waiting import WaitingInMemory
from llmmonitor.client.warn import warn

MAX_BYTES = 256 * 1024 * 1024
ADOPT_SECONDS = 60.0
UNFINISHED = ".part"
TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)
# Its id, the last part of its path, and the number of its events.
NAME = re.compile(r"[0-9a-f-]{36}\.(inference|error)\.(\d{1,6})")


class WaitingOnDisk:
    """Batches in files. Those that cannot be written wait in memory. Raises OSError if there can be no directory."""

    def __init__(self, directory: str, slot: Slot, max_bytes: int = MAX_BYTES) -> None:
        """slot: of this process, which has locked it in this directory."""
        self._max_bytes = max_bytes
        self._memory = WaitingInMemory()
        self._files: deque[tuple[Path, int, int]] = deque()  # with events and bytes
        self._bytes = self._events = 0
        self._spool = Path(directory)
        self._directory = self._spool / slot.name
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._adopt_at = time.monotonic() + ADOPT_SECONDS
        self._append_from(self._directory)
        self._adopt()

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
        self._append(path, batch.events, len(batch.body))
        return dropped

    def first(self) -> Batch | None:
        """Return the oldest batch, with an empty body if its file cannot be read.

        Raises OSError if too many files are open.
        """
        if batch := self._memory.first():
            return batch
        if not self._files and time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_SECONDS
            self._adopt()
        if not self._files:
            return None
        path, count, _ = self._files[0]
        try:
            body = path.read_bytes()
        except OSError as error:
            if error.errno in TOO_MANY_FILES:
                raise  # that passes, and the file is as it was
            warn("spool", f"Reading from the spool directory failed ({error}).")
            body = b""
        return Batch(f"/track/{path.name.split('.')[1]}", count, body, path)

    def remove(self, batch: Batch) -> bool:
        """Remove the oldest batch, if it is this one."""
        if batch.file is None:
            return self._memory.remove(batch)
        if not self._files or self._files[0][0] != batch.file:
            return False
        self._remove_file()
        return True

    def _append(self, path: Path, count: int, size: int) -> None:
        self._files.append((path, count, size))
        self._events += count
        self._bytes += size

    def _append_from(self, directory: Path) -> None:
        """Append the files of a directory, which no other process uses, and move them to that of this process."""
        for path in sorted(directory.iterdir()):
            if path.name.endswith(UNFINISHED):
                path.unlink()
            elif name := NAME.fullmatch(path.name):
                own = self._directory / path.name
                os.replace(path, own)
                self._append(own, int(name[2]), own.stat().st_size)

    def _remove_file(self) -> None:
        path, count, size = self._files.popleft()
        self._events -= count
        self._bytes -= size
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)

    def _adopt(self) -> None:
        """Take over the files of processes that have ended."""
        try:
            for lock_file in sorted(self._spool.glob("*.lock")):
                left = lock_file.with_suffix("")
                if left != self._directory and left.is_dir() and (held := lock(lock_file)) is not None:
                    with held:
                        self._append_from(left)
        except OSError as error:
            warn("spool", f"Reading from the spool directory failed ({error}).")
