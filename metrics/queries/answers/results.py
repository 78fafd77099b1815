"""What results have in common: rounded figures, notes, and rankings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from metrics.queries.time.window import iso


@dataclass(frozen=True)
class Ranking:
    """The rows with the highest counts, and how many further rows were omitted.

    comparable: for models, as in a summary of all that match.
    """

    results: list[dict[str, Any]]
    omitted: int
    comparable: bool = False


class SeriesCounts(NamedTuple):
    """The number of requests of each label set in a window and in the previous one."""

    in_window: Mapping[int, int]
    before: Mapping[int, int]


def round_figure(value: Any) -> Any:
    """Return a figure with twelve significant digits, so that the order of adding floats does not show."""
    return float(f"{value:.12g}") if isinstance(value, float) else value


def round_for_tick(value: Any) -> Any:
    """Return a figure of a tick, or those in lists and dicts, with four significant digits, integers in full.

    A tick is sent to every page each second, so it must be small.
    """
    match value:
        case dict():
            return {key: round_for_tick(item) for key, item in value.items()}
        case list() | tuple():
            return [round_for_tick(item) for item in value]
        case float():
            return round(value) if abs(value) >= 1_000 else float(f"{value:.4g}")
    return value


def notes(age_seconds: float, retention_from: datetime | None) -> dict[str, Any]:
    """Return what a result adds if it is from the cache, or if its window starts before the retention."""
    values: dict[str, Any] = {"age_seconds": age_seconds} if age_seconds else {}
    if retention_from is not None:
        values["retention_from"] = iso(retention_from)
        values["partial"] = f"Figures are kept from {iso(retention_from)} on. This window starts earlier."
    return values
