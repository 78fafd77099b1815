"""The text of tiles. tests/js/tile-text.test.js checks the scripts of the pages against the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dashboard.tiles import LastMinute, Tile, describe_values, text_of
from metrics.queries import SeriesSpec

CASES = json.loads((Path(__file__).parent / "tile_cases.json").read_text(encoding="utf-8"))
SERIES = SeriesSpec.of("inference.requests", "rate")


class ATile:
    @pytest.mark.parametrize(
        ("tile", "summary", "minute", "value", "below", "judgement"),
        [case[1:] for case in CASES],
        ids=[case[0] for case in CASES],
    )
    def test_shows(
        self,
        tile: dict[str, Any],
        summary: dict[str, Any],
        minute: dict[str, Any] | None,
        value: str,
        below: str,
        judgement: str,
    ) -> None:
        spec = Tile("id", "", tile["format"], "figure", tile.get("tick", "figure"), SERIES, tile["worse"])
        window = summary | {"figure": summary.get("of_window"), "previous": {"figure": summary.get("before")}}
        last_minute = minute and LastMinute({"id": minute["value"]}, minute["requests"])

        figure, change = text_of(spec, window, last_minute, "24h")

        assert (str(figure), *change) == (value, below, judgement)


class TheWordsAboutAllTiles:
    @pytest.mark.parametrize(
        ("summary", "is_last_minute", "text"),
        [
            ({"total_requests": 20}, True, "The last minute, ▲ ▼ compared with the last hour"),
            ({"total_requests": 19}, True, "The last minute; not enough data to compare with the last hour"),
            ({"comparable": True}, False, "The last hour, ▲ ▼ compared with the previous hour"),
            ({"comparable": False}, False, "The last hour; not enough data to compare with the previous hour"),
        ],
    )
    def test_name_one_span_and_what_it_is_compared_with(
        self, summary: dict[str, Any], is_last_minute: bool, text: str
    ) -> None:
        assert describe_values(summary, is_last_minute, "the last hour", "the previous hour") == text
