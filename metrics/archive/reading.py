"""Reads the rows of an archive.

A file is read twice: the first time only to check it, because xz has the check sum of a file at its end. Files of one
day may have the same rows, if a process was killed before it deleted what it had archived. Rows that are equal in all
columns are returned once. Only those that a later file may repeat are remembered: of a day, those since the first row
of any later file.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from metrics.archive.chunks import CHUNK_BYTES, BadChunk, decode
from metrics.archive.files import files

READ_BYTES = 2**20
# Of a chunk and one row more, whose JSON is shorter as columns; a row is at most a post of 16 MiB.
MAX_LINE_BYTES = 8 * CHUNK_BYTES

Row = dict[str, Any]


class BadArchive(Exception):
    """The archive, or a file of it, cannot be read. The message names the file and says why."""


def read_archive(
    directory: Path, kind: str, start: datetime | None = None, end: datetime | None = None
) -> Iterator[Row]:
    """Yield the rows of a kind of export from `start` up to, but not including, `end`, in the order of the files.

    Each file is checked before its first row is returned. Raises BadArchive.
    """
    try:
        listed = files(directory, kind)
    except OSError as error:
        raise BadArchive(f"{directory} cannot be read ({error.strerror}).") from None
    first = start.astimezone(UTC).date() if start else None
    last = (end - timedelta(microseconds=1)).astimezone(UTC).date() if end else None
    wanted = [each for each in listed if (first is None or each.day >= first) and (last is None or each.day <= last)]
    for _, of_day in groupby(wanted, key=lambda each: each.day):
        for row in _rows_of_day([each.path for each in of_day], kind):
            at = datetime.fromisoformat(row["timestamp"])
            if (start is None or at >= start) and (end is None or at < end):
                yield row


def _rows_of_day(paths: list[Path], kind: str) -> Iterator[Row]:
    """Yield the rows of the files of a day, each once."""
    firsts = [_first_time(path, kind) for path in paths] if len(paths) > 1 else []
    seen: set[bytes] = set()
    for position, path in enumerate(paths):
        repeated_from = min(firsts[position + 1 :], default=None)
        for row in _rows_of_file(path, kind):
            may_repeat = repeated_from is not None and datetime.fromisoformat(row["timestamp"]) >= repeated_from
            if seen or may_repeat:
                digest = hashlib.blake2b(orjson.dumps(row, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
                if digest in seen:
                    continue
                if may_repeat:
                    seen.add(digest)
            yield row


def _first_time(path: Path, kind: str) -> datetime:
    row = next(_rows(path, kind), None)
    if row is None:
        raise BadArchive(f"{path} is empty.")
    return datetime.fromisoformat(row["timestamp"])


def _rows_of_file(path: Path, kind: str) -> Iterator[Row]:
    try:
        with lzma.open(path) as stream:
            while stream.read(READ_BYTES):
                pass
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _bad_file(path, error) from None
    return _rows(path, kind)


def _rows(path: Path, kind: str) -> Iterator[Row]:
    number = 0
    try:
        with lzma.open(path) as stream:
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES:
                    raise BadChunk(f"is longer than {MAX_LINE_BYTES // 2**20} MiB")
                yield from _checked(decode(kind, line))
    except BadChunk as error:
        raise BadArchive(
            f"{path}: line {number} {error}. The rows before it are read, those after it are not."
        ) from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise _bad_file(path, error) from None


def _checked(rows: list[Row]) -> list[Row]:
    """Return the rows. Raises BadChunk if one has no time."""
    for row in rows:
        try:
            if datetime.fromisoformat(row["timestamp"]).tzinfo is None:
                raise ValueError
        except (TypeError, ValueError):
            raise BadChunk("has a row without a time") from None
    return rows


def _bad_file(path: Path, error: Exception) -> BadArchive:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    if isinstance(error, EOFError | lzma.LZMAError):
        reason = f"it is damaged: {str(error).lower().rstrip('.')}"
    return BadArchive(
        f"{path} cannot be read ({reason}). Restore this file from a copy, or move it away to read the others."
    )
