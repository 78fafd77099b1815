"""What people do with a chart, in a real browser: zoom, enlarge, save."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of two models in the last hour and in the hour before."""
    at = datetime.now(UTC)
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "provider": "vllm",
                "timestamp": (at - timedelta(seconds=20 + 36 * n)).isoformat(),
                "success": True,
                "response_time_ms": base + 37 * (n % 40),
                "queue_time_ms": 20,
                "ttft_ms": 200,
                "completion_tokens": 50,
            }
            for model, base in (("llama", 900), ("qwen, 7b", 300))
            for n in range(180)
        ],
    )
    return module_server


def card(page: Page, widget: str) -> Locator:
    return page.locator(f'[data-widget="{widget}"]')


def drawn(page: Page, widget: str) -> Locator:
    """The card of a chart, in view and drawn."""
    found = card(page, widget)
    found.locator("canvas").scroll_into_view_if_needed()
    expect(found.locator("canvas")).to_have_attribute("aria-label", re.compile(":"))
    return found


def tooltips(page: Page) -> int:
    """The number of charts that show a tooltip."""
    count: int = page.evaluate(
        """() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(
             [...document.querySelectorAll("canvas")].map((canvas) => Chart.getChart(canvas))
               .filter((chart) => chart?.tooltip?.opacity > 0 && chart.tooltip.body?.length).length))))"""
    )
    return count


class AChart:
    def test_shows_one_time_while_a_rectangle_is_drawn(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h", height=1200)
        plot = drawn(page, "latency").locator("canvas")
        box = plot.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] * 0.4, box["y"] + 80
        page.mouse.move(x, y, steps=3)
        assert tooltips(page) == 1
        page.mouse.down()
        page.mouse.move(x + 80, y, steps=8)
        assert tooltips(page) == 0
        assert page.locator(".crosshair:not([hidden])").count() == 0
        assert not [text for text in page.locator("[data-values]").all_inner_texts() if " at " in text]
        page.mouse.up()
        expect(page).to_have_url(re.compile("from="))
        assert tooltips(page) == 0

    def test_shows_one_time_also_where_another_was_pinned(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h", height=1200)
        box = drawn(page, "heatmap").locator("canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] * 0.3, box["y"] + 6
        page.mouse.click(x, y)
        expect(page.locator(".crosshair.pinned:not([hidden])").first).to_be_visible()
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=4)
        assert page.locator(".crosshair:not([hidden])").count() == 0
        page.mouse.up()
        expect(page).to_have_url(re.compile("from="))


class AnEnlargedChart:
    def test_has_its_close_button_above_its_head(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h")
        drawn(page, "latency").locator("canvas").focus()
        page.keyboard.press("f")
        dialog = page.locator("#enlarged")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name="Close").click(timeout=2_000)  # a covered button cannot be clicked
        expect(dialog).to_be_hidden()
        expect(card(page, "latency")).to_be_visible()

    def test_closes_its_menu_first_and_then_itself(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h")
        drawn(page, "histogram").locator("canvas").focus()
        page.keyboard.press("f")
        dialog = page.locator("#enlarged")
        dialog.locator("[data-menu]").click()
        menu = dialog.get_by_role("menu")
        expect(menu).to_be_visible()
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
