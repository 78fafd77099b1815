"""The longest names that are accepted, without a place to break them: no page is wider than its window."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.pages import PAGES
from tests.support.rounds import rounds
from tests.support.server import Server

pytestmark = pytest.mark.browser
NAME = "W" * 200
VIEWS = [*(spec.path for spec in PAGES), f"dashboard/models/{NAME}/"]


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """One model, one source of queues, and one machine that has stopped, so that the Overview's sentence names it."""
    at = (datetime.now(UTC) - timedelta(minutes=3)).isoformat()
    request = {"model_name": NAME, "provider": NAME, "service": NAME, "response_time_ms": 500, "success": True}
    queue = {"source": NAME, "model_name": NAME, "pending": 5, "processing": 2}
    error = {"model_name": NAME, "error_type": NAME, "error_message": NAME}
    machine = {"host": NAME, "timestamp": at, "cpu_percent": 50, "memory_percent": 50}
    for path, event in (("inference", [request] * 30), ("queue", queue), ("error", error), ("system", machine)):
        assert module_server.post(f"/track/{path}", event).status == 200
    return module_server


class ALongName:
    @pytest.mark.parametrize("width", rounds([390, 1440], always=(390,)))
    @pytest.mark.parametrize("view", VIEWS, ids=lambda path: path[:24])
    def test_does_not_make_a_page_wider_than_its_window(
        self, server: Server, open_page: Any, view: str, width: int
    ) -> None:
        page = open_page(f"{server.url}/{view}?range=1h", width=width)
        if view == "dashboard/alerts/":  # once the rules are evaluated
            expect(page.locator(".rules")).to_contain_text(NAME, timeout=60_000)
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    @pytest.mark.parametrize(
        ("view", "table"),
        [
            ("", "models"),
            ("dashboard/latency/", "percentiles"),
            ("dashboard/throughput/", "totals"),
            ("dashboard/throughput/", "finish_reasons"),
            ("dashboard/queue/", "waits"),
            ("dashboard/models/", "models"),
        ],
    )
    def test_of_a_model_is_one_line_in_a_table_with_the_whole_name_at_hand(
        self, server: Server, open_page: Any, view: str, table: str
    ) -> None:
        page = open_page(f"{server.url}/{view}?range=1h", width=1440)
        name = page.locator(f"[data-table={table}] tbody th bdi").first
        expect(name).to_have_text(NAME)
        box, is_cut = name.evaluate(
            "(node) => [node.getBoundingClientRect().height, node.scrollWidth > node.clientWidth]"
        )
        assert box < 24
        assert is_cut
        assert NAME in (name.evaluate("(node) => node.closest('[title]').title"))

    def test_of_a_machine_is_one_line_and_leaves_room_for_its_values(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=1h", width=1440)
        name = page.locator(f"[data-widget=hosts] .device-name a[title='{NAME}']")
        assert name.bounding_box()["height"] < 30
        canvas = page.locator("[data-widget=device-heatmap] canvas")
        expect(canvas).to_have_attribute("aria-label", re.compile(":"))
        share = canvas.evaluate(
            "(node) => { const { chartArea, width } = Chart.getChart(node); return chartArea.width / width; }"
        )
        assert share > 0.6
