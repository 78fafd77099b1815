"""The files of an archive: one or more for each kind and UTC day, such as `inference-2026-03-01.0001.jsonl.xz`."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import NamedTuple

NAME = re.compile(r"(inference|errors)-(\d{4}-\d\d-\d\d)\.(\d{4,9})\.jsonl\.xz", re.ASCII)
PARTIAL = ".partial"
# The kind of events (of raw floors) -> the kind of export.
KINDS = {"inference": "inference", "error": "errors"}


class ArchiveFile(NamedTuple):
    """A file, in the order of its day and its number."""

    day: date
    number: int
    path: Path


def files(directory: Path, kind: str) -> list[ArchiveFile]:
    """Return the files of a kind in a directory, in their order. Raises OSError."""
    listed = []
    for path in directory.iterdir():
        match = NAME.fullmatch(path.name)
        if match and match[1] == kind:
            try:
                listed.append(ArchiveFile(date.fromisoformat(match[2]), int(match[3]), path))
            except ValueError:  # no such day, so it is not of an archive
                continue
    return sorted(listed)


def next_path(directory: Path, kind: str, day: date) -> Path:
    """Return the path of the next file of a kind and day. Raises OSError."""
    number = max((file.number for file in files(directory, kind) if file.day == day), default=0) + 1
    return directory / f"{kind}-{day.isoformat()}.{number:04}.jsonl.xz"
