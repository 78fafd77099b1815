"""An archive in a directory, and events that upkeep archives."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from metrics import queries
from metrics.archive.reading import read_archive
from metrics.archive.writing import DirectoryArchive
from metrics.queries.time.window import EPOCH
from metrics.store.upkeep import maintenance
from tests.metrics.store.kept import NOW

LATER = NOW + timedelta(days=500)


def exported(kind: str, before: datetime = LATER) -> list[dict[str, Any]]:
    """Return the rows of an export without the ids."""
    table = queries.export(kind, queries.Window(EPOCH, before), queries.Filters(), now=NOW)
    return [{name: value for name, value in row.items() if name != "id"} for row in table.rows]


def archived(directory: Path, kind: str = "inference", **window: datetime) -> list[dict[str, Any]]:
    """Return the rows of an archive."""
    return list(read_archive(directory, kind, **window))


def maintain(directory: Path, at: datetime = NOW) -> dict[str, int]:
    """Run upkeep with an archive in the directory."""
    return maintenance.maintain(at, 10.0, archive=DirectoryArchive(directory))


def names(directory: Path) -> list[str]:
    """Return the names of the files, without that of the lock."""
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def raising(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises."""

    def call(*args: Any, **options: Any) -> Any:
        raise error

    return call
