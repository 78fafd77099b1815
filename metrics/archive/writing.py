"""Writes the oldest rows of a kind as a new file of the archive.

A file is written under another name, with its check sums (`lzma.CHECK_SHA256`), flushed to the disk, and then renamed;
it is never written again. Upkeep deletes the rows afterwards. Rows are read and compressed a chunk at a time, without a
transaction. One process writes at a time: it holds a lock on a file in the directory.
"""

from __future__ import annotations

import fcntl
import lzma
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import IO

import orjson
from django.conf import settings

from llmmonitor.infra.byte_sizes import format_bytes
from llmmonitor.infra.files import name_file, sync_directory
from metrics import queries
from metrics.archive.chunks import encode, in_chunks
from metrics.archive.files import KINDS, NAME, PARTIAL, next_path
from metrics.queries.time.window import EPOCH
from metrics.store.upkeep.archiving import ArchiveBusy, ArchiveProblem, RowKey

# Of xz: 50 bytes an event of the demo data, 20,000 events a second and 48 MiB of memory; with 6, the usual one,
# 48 bytes, 15,000 and 94 MiB; with 2, 54 bytes, 47,000 and 17 MiB.
PRESET = 4
LOCK = ".lock"


class DirectoryArchive:
    """An archive in a directory, which must exist."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    def from_settings(cls) -> DirectoryArchive | None:
        """Return the archive of LLMMONITOR_ARCHIVE_DIR; None if it is not set."""
        directory = settings.LLMMONITOR.archive_dir
        return None if directory is None else cls(directory)

    def has(self, kind: str) -> bool:
        """Return whether rows of a kind of events are archived."""
        return kind in KINDS

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of the directory. Raises ArchiveBusy if another process holds it, or ArchiveProblem."""
        with self._problems():
            file = os.open(self._directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with self._problems():
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise ArchiveBusy from None
                self._remove_partial_files()
            yield
        finally:
            os.close(file)

    def write(self, kind: str, before: datetime, most: int, is_over: Callable[[], bool]) -> list[RowKey]:
        """Write the oldest rows before a time, of one UTC day and at most `most`, as a file. Return them.

        When `is_over` returns true, the file ends after the running chunk. It is on the disk when this returns. Call it
        with the lock. Raises ArchiveProblem: there is no new file.
        """
        exported = KINDS[kind]
        keys: list[RowKey] = []
        with self._problems():
            self._check_free_space()
            table = queries.export(exported, queries.Window(EPOCH, before), queries.Filters(), now=before)
            first = next(table.rows, None)
            if first is None:
                return []
            day = _time(first["timestamp"]).date()
            rows = takewhile(lambda row: _time(row["timestamp"]).date() == day, chain([first], table.rows))
            with self._new_file(exported, day) as stream:
                for chunk in in_chunks(islice(rows, most)):
                    stream.write(encode(exported, chunk))
                    keys += [RowKey(row["id"], _time(row["timestamp"])) for row in chunk]
                    if is_over():
                        break
        return keys

    @contextmanager
    def _new_file(self, kind: str, day: date) -> Iterator[IO[bytes]]:
        """Yield a stream. Its file gets its name after the block, when it is on the disk."""
        path = next_path(self._directory, kind, day)
        partial = path.with_name(f".{path.name}{PARTIAL}")
        try:
            with open(partial, "xb", opener=_for_owner) as file:
                with lzma.open(file, "wb", check=lzma.CHECK_SHA256, preset=PRESET) as stream:
                    yield stream
                file.flush()
                os.fsync(file.fileno())
            name_file(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        sync_directory(self._directory)

    def _check_free_space(self) -> None:
        # The archive may be on the disk of the store, which rejects events below this limit.
        free, floor = shutil.disk_usage(self._directory).free, settings.LLMMONITOR.disk_floor
        if free < floor:
            raise ArchiveProblem(
                f"only {format_bytes(free)} are free on its disk; {format_bytes(floor)} must be (LLMMONITOR_DISK_FLOOR)"
            )

    def _remove_partial_files(self) -> None:
        """Remove the files of processes that were killed. With the lock, no other process is writing one."""
        for path in self._directory.glob(f".*{PARTIAL}"):
            if NAME.fullmatch(path.name[1 : -len(PARTIAL)]):
                path.unlink(missing_ok=True)

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Raise ArchiveProblem for what prevents that rows are archived. Its message has no path."""
        try:
            yield
        except OSError as error:
            raise ArchiveProblem(error.strerror or str(error)) from error
        except (lzma.LZMAError, MemoryError, queries.QueryStopped, orjson.JSONEncodeError) as error:
            raise ArchiveProblem(str(error) or type(error).__name__) from error


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
