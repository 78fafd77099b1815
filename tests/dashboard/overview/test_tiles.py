"""What the tiles read."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from dashboard.overview import page, tiles
from dashboard.overview.machines import BUSIEST
from dashboard.tiles import Tile, show
from metrics import catalogue
from metrics.queries.answers.summary import MACHINES, TIMES
from metrics.queries.parameters import MAX_SERIES, parse_series_objects

SUMMARY_NAMES = {
    "requests_per_second",
    "tokens_per_second",
    "error_rate_percent",
    *(f"{stat}_{name}" for name, stats in TIMES.distributions.items() for stat in stats),
    *MACHINES,
    *(figure for figure, _ in BUSIEST.values()),
}


@pytest.mark.parametrize("tile", tiles.TILES, ids=lambda tile: tile.id)
class TheTile:
    def test_has_a_figure_in_the_summary(self, tile: Tile) -> None:
        assert tile.summary in SUMMARY_NAMES

    def test_says_what_it_shows(self, tile: Tile) -> None:
        assert tile.explanation.endswith(".")

    def test_judges_as_the_catalogue_does_or_not_at_all(self, tile: Tile) -> None:
        assert tile.worse in (None, tile.series.metric.worse)


@pytest.mark.django_db
class TheLinkOfATile:
    def test_leads_to_its_page_with_the_range_and_the_filters(self) -> None:
        client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
        html = client.get("/?range=6h&model=a&kiosk=1").content.decode()

        links = dict(re.findall(r'class="tile-link" href="([^"]+)" data-with-view aria-label="([^:]+): open', html))
        pages = {name: url for url, name in links.items()}
        assert len(re.findall("tile-link", html)) == len(tiles.TILES)
        assert pages["P99"] == "/dashboard/latency/?range=6h&amp;model=a"
        assert pages["GPU"] == "/dashboard/machines/?range=6h&amp;model=a"
        assert pages["Error rate"] == "/dashboard/errors/?range=6h&amp;model=a"


class ThePage:
    def test_asks_for_series_that_exist(self) -> None:
        for name, stat in ((spec.metric.name, spec.stat) for spec in page.PAGE.series):
            catalogue.get(name).check_stat(stat)

    def test_may_subscribe_to_all_that_it_shows(self) -> None:
        assert len(parse_series_objects([spec.as_dict() for spec in page.PAGE.series])) <= MAX_SERIES

    def test_shows_a_dash_where_nothing_was_measured(self) -> None:
        shown = {item.tile.id: item for item in show(tiles.TILES, {"previous": {}})}
        assert {str(item.figure) for item in shown.values()} == {"—"}

    def test_shows_figures_with_their_change(self) -> None:
        summary = {"p95_response_time_ms": 4_310, "previous": {"p95_response_time_ms": 1_977}, "comparable": True}
        shown = {item.tile.id: item for item in show(tiles.TILES, summary)}
        assert str(shown["p95"].figure).replace("\u00a0", " ") == "4.31 s"
        assert shown["p95"].change.judgement == "worse"

    def test_shows_no_change_against_a_window_that_is_nearly_empty(self) -> None:
        summary = {"p95_response_time_ms": 4_310, "previous": {"p95_response_time_ms": 19}, "comparable": False}
        assert {item.change.text for item in show(tiles.TILES, summary)} == {""}
