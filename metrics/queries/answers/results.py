"""What the results of several queries have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from metrics.queries.time.window import iso


@dataclass(frozen=True)
class Ranking:
    """The rows with the highest counts, and how many further rows were omitted."""

    results: list[dict[str, Any]]
    omitted: int


def notes(age_seconds: float, retention_from: datetime | None) -> dict[str, Any]:
    """Return what a result adds if it is from the cache, or if its window starts before the retention."""
    values: dict[str, Any] = {"age_seconds": age_seconds} if age_seconds else {}
    if retention_from is not None:
        values["retention_from"] = iso(retention_from)
        values["partial"] = f"Figures are kept from {iso(retention_from)} on. This window starts earlier."
    return values
