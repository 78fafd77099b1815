"""A page on a wall (`?kiosk=1`) and on paper, in a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser
CONTROLS = (
    ".tabs, .head-controls, #theme, #help, [data-menu], [data-info], .banner .button, .toast-actions, .toast-close"
)


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of two models in the last minutes, one of them of demo data."""
    at = datetime.now(UTC)
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "timestamp": (at - timedelta(seconds=5 * n)).isoformat(),
                "success": True,
                "response_time_ms": 900 + 10 * n,
                "metadata": {"llmmonitor.demo": True} if model == "demo" else {},
            }
            for model in ("llama", "demo")
            for n in range(40)
        ],
    )
    return module_server


def visible(found: Locator) -> int:
    count: int = found.evaluate_all("nodes => nodes.filter((node) => node.checkVisibility()).length")
    return count


def chart(page: Page) -> Locator:
    canvas = page.locator("[data-widget=latency] canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile(":"))
    return canvas


class APageOnAWall:
    def test_has_no_controls_and_stays_live_with_its_filters(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/?range=15m&model=llama", width=1920, height=1080)
        height = chart(page).evaluate("({ clientHeight }) => clientHeight")
        assert visible(page.locator(CONTROLS)) > 5
        page.goto(f"{server.url}/?kiosk=1&range=15m&model=llama")
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        assert visible(page.locator(CONTROLS)) == 0
        expect(page.locator(".page-caption")).to_contain_text("Overview")
        expect(page.locator(".page-caption")).to_contain_text("model llama")
        assert chart(page).evaluate("({ clientHeight }) => clientHeight") > 1.3 * height
        assert page.evaluate("document.documentElement.scrollWidth") == 1920
        assert console_errors == []

    def test_begins_and_ends_with_a_key_and_survives_a_reload(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?model=llama")
        page.keyboard.press("?")
        expect(page.locator("#help-dialog")).to_contain_text("kiosk=1")
        page.keyboard.press("Escape")
        page.keyboard.press("w")
        expect(page).to_have_url(re.compile("model=llama&kiosk=1"))
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        assert visible(page.locator(CONTROLS)) == 0
        page.keyboard.press("w")
        expect(page.locator(".tabs")).to_be_visible()
        expect(page).not_to_have_url(re.compile("kiosk"))


class APageOnPaper:
    @pytest.mark.parametrize("path", ["", "dashboard/latency/"])
    def test_is_light_and_whole_without_controls(
        self, server: Server, open_page: Any, console_errors: list[str], path: str
    ) -> None:
        page = open_page(f"{server.url}/{path}?range=15m&model=llama", width=1440, height=900, theme="dark")
        width = chart(page).evaluate("({ clientWidth }) => clientWidth")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        page.emulate_media(media="print")
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 36, 48)"
        assert visible(page.locator(f"{CONTROLS}, main .button")) == 0
        caption = page.locator(".page-caption")
        expect(caption).to_contain_text(re.compile(r"\d\d:\d\d (CET|CEST|GMT)"))
        expect(caption).to_contain_text("model llama")
        cut = page.locator(".plot canvas, .table-scroll table").evaluate_all(
            """nodes => nodes.filter((node) => node.checkVisibility()).filter((node) => {
                 const { right } = node.getBoundingClientRect();
                 return right > node.parentElement.getBoundingClientRect().right + 1 || right > 718;
               }).map((node) => node.closest("[data-widget]").dataset.widget)"""
        )
        assert cut == []
        pixels = chart(page).evaluate("({ width, clientWidth }) => width / clientWidth")
        assert pixels == pytest.approx(2, abs=0.01)
        page.emulate_media(media="screen")
        page.evaluate("window.dispatchEvent(new Event('afterprint'))")
        assert page.locator("html").get_attribute("data-theme") == "auto"
        assert page.evaluate("getComputedStyle(document.body).color") == "rgb(230, 235, 242)"
        assert chart(page).evaluate("({ clientWidth }) => clientWidth") == width
        assert console_errors == []
