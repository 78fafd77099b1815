"""The tiles of a page: the value, the change, the sparkline and the help text of each, and the direction that is worse.

All values of a page's tiles are of one span, which the page names once (`describe_values`). Where each tile has a value
in the tick, a live page shows the last minute, and how it differs from the window. Otherwise tiles show the window, and
how it differs from the window before. A value is never that of another span: where the last minute has none, the tile
has a dash, and the value of the window beside its range. `static/dashboard/js/page/tile-text.js` has the same rules;
tests check both against `tests/dashboard/tile_cases.json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dashboard.formatting import FORMATS, NO_CHANGE, NO_FIGURE, Change, Figure, change
from dashboard.health import ENOUGH_REQUESTS
from metrics.queries import SeriesSpec


@dataclass(frozen=True)
class Tile:
    """One tile. `summary`: its name in `/metrics/summary`, `tick`: a path in the tick, `series`: of its sparkline."""

    id: str
    label: str
    format: str
    summary: str
    tick: str
    series: SeriesSpec
    worse: str | None = None  # "up" or "down"; None where a change means nothing for health, and is grey
    help: str = ""
    share_of: SeriesSpec | None = None  # the sparkline is the share of `series` in this one, in percent
    page: str = ""  # the name of the page that has more about it; empty for none

    @property
    def explanation(self) -> str:
        """The help text: its own, or that of the metric."""
        return self.help or self.series.metric.help

    @property
    def url_name(self) -> str:
        """The name of the address of its page; empty for none."""
        return f"{self.page}-page" if self.page else ""


@dataclass(frozen=True)
class LastMinute:
    """The values of the last minute by the id of their tile, its number of requests, and the hosts that tiles name."""

    values: Mapping[str, float | None]
    requests: int
    hosts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ShownTile:
    """A tile with its value, for the first rendering, and the host that has the value, where it is that of one."""

    tile: Tile
    figure: Figure
    change: Change
    host: str = ""


def show(
    tiles: Sequence[Tile], summary: Mapping[str, Any], minute: LastMinute | None = None, range_name: str = ""
) -> list[ShownTile]:
    """Return the tiles with the values of the last minute, or without it with those of the window.

    The style sheet hides the GPU tile where there is no GPU.
    """
    hosts = (summary.get("busiest") or {}) if minute is None else minute.hosts
    return [ShownTile(tile, *text_of(tile, summary, minute, range_name), hosts.get(tile.id) or "") for tile in tiles]


def text_of(
    tile: Tile, summary: Mapping[str, Any], minute: LastMinute | None, range_name: str
) -> tuple[Figure, Change]:
    """Return the value of a tile, and below it its change or what else there is to know. Pure."""
    figure, of_window = FORMATS[tile.format], summary.get(tile.summary)
    if minute is None:
        before = (summary.get("previous") or {}).get(tile.summary) if summary.get("comparable") else None
        return figure(of_window), change(tile.format, of_window, before, tile.worse)
    value = minute.values.get(tile.id)
    if value is None:
        return NO_FIGURE, NO_CHANGE if of_window is None else Change(f"{range_name}: {figure(of_window)}", "")
    # One host is not compared with another.
    host = minute.hosts.get(tile.id)
    is_same = host is None or host == (summary.get("busiest") or {}).get(tile.id)
    shown = change(tile.format, value, of_window if is_same and is_enough(summary) else None, tile.worse)
    is_judged = minute.requests >= ENOUGH_REQUESTS or tile.tick.startswith("queue.")
    return figure(value), shown if is_judged else Change(shown.text, "")


def is_enough(summary: Mapping[str, Any]) -> bool:
    """Return whether the window has enough requests to compare the last minute with it."""
    return (summary.get("total_requests") or 0) >= ENOUGH_REQUESTS


def describe_values(summary: Mapping[str, Any], is_last_minute: bool, span: str, span_before: str) -> str:
    """Return which values the tiles show, and what they are compared with. `span` is "the last hour"."""
    values, base = ("the last minute", span) if is_last_minute else (span, span_before)
    compared = is_enough(summary) if is_last_minute else bool(summary.get("comparable"))
    values = values[:1].upper() + values[1:]
    return f"{values}, ▲ ▼ compared with {base}" if compared else f"{values}; not enough data to compare with {base}"


def specs(tiles: Sequence[Tile]) -> list[dict[str, Any]]:
    """Return the tiles for the page's scripts, which update them."""
    return [
        {
            "id": tile.id,
            "format": tile.format,
            "summary": tile.summary,
            "tick": tile.tick,
            "series": tile.series.as_dict(),
            "share_of": tile.share_of and tile.share_of.as_dict(),
            "worse": tile.worse,
        }
        for tile in tiles
    ]
