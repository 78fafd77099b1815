"""The tiles of a page: the value, the sparkline and the help text of each, and the direction that is worse.

A live page shows the value of the last minute (`tick`, a path in the tick). Otherwise, or where the last minute has no
value, it shows that of the window (`summary`, a name in `/metrics/summary`). The change compares the window with the
window before. It is empty where the window before has too little data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.formatting import FORMATS, Change, Figure, change
from metrics.queries import SeriesSpec


@dataclass(frozen=True)
class Tile:
    """One tile. `series` is that of its sparkline."""

    id: str
    label: str
    format: str
    summary: str
    tick: str
    series: SeriesSpec
    worse: str | None = None  # "up" or "down"; None where a change says nothing about health, and is grey
    help: str = ""

    @property
    def explanation(self) -> str:
        """The help text: its own, or that of the metric."""
        return self.help or self.series.metric.help


@dataclass(frozen=True)
class ShownTile:
    """A tile with its value, for the first rendering."""

    tile: Tile
    figure: Figure
    change: Change


def show(tiles: Sequence[Tile], summary: dict[str, Any]) -> list[ShownTile]:
    """Return the tiles with the values of the window. The style sheet hides the GPU tile where there is no GPU."""
    before = (summary.get("previous") or {}) if summary.get("comparable") else {}
    shown = []
    for tile in tiles:
        now = summary.get(tile.summary)
        shown.append(
            ShownTile(tile, FORMATS[tile.format](now), change(tile.format, now, before.get(tile.summary), tile.worse))
        )
    return shown


def specs(tiles: Sequence[Tile]) -> list[dict[str, Any]]:
    """Return the tiles for the page's scripts, which update them."""
    return [
        {
            "id": tile.id,
            "format": tile.format,
            "summary": tile.summary,
            "tick": tile.tick,
            "series": tile.series.as_dict(),
            "worse": tile.worse,
        }
        for tile in tiles
    ]
