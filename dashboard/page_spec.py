"""What a page is: its name, address and template, the series of its charts, and the functions that read the rest.

A page is a folder in `dashboard/` with a `PAGE`, which `dashboard/pages.py` lists. The frame
(`dashboard/page_views.py`) serves it under three addresses: the page, its data for another window or other filters, and
its figures, which an open page reads again every few seconds. The scripts of a page are in `js/<name>/main.js`, its
style in `css/<name>.css`. Tables are rendered once, as partial templates: `tables` of the figures has their HTML by
name, and `widgets/server-table.js` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from dashboard.page_query import FILTERS
from dashboard.reading import Reading
from dashboard.tiles import Tile
from metrics.queries import TIMES, FigureSet, SeriesSpec
from metrics.queries.time.window import DEFAULT_RANGE

Row = dict[str, Any]

# Where no machine has a sample, the monitor recorded nothing: charts mark these times as "no data".
RECORDED = SeriesSpec.of("system.cpu_percent", "avg")


def _nothing(*_: Any) -> Row:
    return {}


def _has_no_requests(figures: Row) -> bool:
    return not (figures.get("summary") or {}).get("total_requests")


def newest_tick(reading: Reading) -> Row:
    """Return the newest tick, from which a live page starts: the `data` of most pages."""
    return {"current": reading.current}


@dataclass(frozen=True)
class PageSpec:
    """A page.

    name: of its folder, of its addresses (`<name>-page`, `<name>-data`, `<name>-figures`), and the class of its <body>
    title: of its tab and its document
    path: its address below the root
    figures: reads the data that changes while the page is open, ready for JSON
        (its `alerts` replace the marks that all charts of the page have otherwise)
    data: reads further data, which only a change of the address reads again
    context: what the template needs beside the data, the sentence and the tiles: (request, data, reading) -> context
    tiles: at its top, of the figures in `summary` of the data
    series: those of its charts, which ticks carry on
    compared: those of them that are also read for the window before, drawn as faint lines
    compares_devices: whether `data` also reads the window before
    filters: in its header, with their labels; None: it has no time range and no filters
    figure_set: the figures of requests in `Reading.requests`
    options: reads the choices of the filters, {name: {"choices": [{"value", "count"}, …], "total"}}
    default_range: of an address that names none
    own: parameters that only the page itself reads, by rules of its own
    missing: what is missing where there is nothing to show; empty: the page says it in its own way
    is_empty: whether there is nothing to show, from the figures
    under: the name of the page whose tab is marked, for a page without a tab
    key: the letter that leads to it after G
    """

    name: str
    title: str
    path: str
    figures: Callable[[Reading], Row]
    data: Callable[[Reading], Row] = _nothing
    context: Callable[[HttpRequest, Row, Reading], Row] = _nothing
    tiles: tuple[Tile, ...] = ()
    series: tuple[SeriesSpec, ...] = ()
    compared: tuple[SeriesSpec, ...] = ()
    compares_devices: bool = False
    filters: Mapping[str, str] | None = None
    figure_set: FigureSet = TIMES
    options: Callable[[Reading], Row] = Reading.choices
    default_range: Callable[[datetime], str] = lambda now: DEFAULT_RANGE
    own: tuple[str, ...] = ()
    missing: str = ""
    is_empty: Callable[[Row], bool] = _has_no_requests
    under: str = ""
    key: str = ""

    @property
    def template(self) -> str:
        """The name of its template."""
        return f"dashboard/{self.name}.html"

    @property
    def has_comparison(self) -> bool:
        """Whether it shows the window before, which a button in its header hides."""
        return bool(self.compared) or self.compares_devices

    @property
    def url_name(self) -> str:
        """The name of its address."""
        return f"{self.name}-page"


__all__ = ["FILTERS", "RECORDED", "PageSpec", "Row", "newest_tick"]
