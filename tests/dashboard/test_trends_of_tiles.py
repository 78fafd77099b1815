"""The tiles of all pages have a trend."""

from __future__ import annotations

import re

import pytest

from dashboard.overview import page as overview
from dashboard.page_spec import PageSpec
from dashboard.queue import page as queue
from dashboard.throughput import page as throughput
from dashboard.tiles import Tile

TILES = [(module.PAGE, tile) for module in (overview, throughput, queue) for tile in module.TILES]


@pytest.mark.parametrize(("page", "tile"), TILES, ids=lambda value: getattr(value, "name", getattr(value, "id", "")))
class ATile:
    def test_has_its_trend_among_the_series_of_the_page(self, page: PageSpec, tile: Tile) -> None:
        assert tile.series in page.series
        assert tile.share_of is None or tile.share_of in page.series

    def test_has_the_trend_of_its_own_figure(self, page: PageSpec, tile: Tile) -> None:
        if statistic := re.match(r"(avg|p\d+)_", tile.summary):
            assert tile.series.stat == statistic[1]
        if tile.format == "percent":
            assert tile.share_of or tile.series.metric.unit == "%"
