"""The header of all pages, in a real browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from dashboard.pages import PAGES
from tests.support.server import Server

pytestmark = pytest.mark.browser


class TheHeader:
    def test_leads_to_a_page_by_g_and_its_letter(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{module_server.url}/?range=15m")
        page.keyboard.press("?")
        for spec in PAGES:
            expect(page.locator("#help-dialog .keys")).to_contain_text(f"{spec.key.upper()} {spec.title}")
        page.keyboard.press("Escape")

        page.keyboard.press("g")
        page.keyboard.press("q")

        expect(page).to_have_url(f"{module_server.url}/dashboard/queue/?range=15m")
        expect(page.locator(".tab[aria-current]")).to_have_text("Queue")
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        page.keyboard.press("l")  # without G, it pauses
        expect(page.locator("#live")).to_have_attribute("data-state", "paused")
        assert console_errors == []

    def test_keeps_the_time_range_that_is_chosen_from_page_to_page(self, module_server: Server, open_page: Any) -> None:
        page = open_page(f"{module_server.url}/")
        page.locator("[data-range='6h']").click()
        for name in ("Latency", "Alerts", "Errors"):
            tab = page.locator(".tab", has_text=name)
            expect(tab).to_have_attribute("href", re.compile(r"\?range=6h$"))
            tab.click()
            expect(page.locator("html")).to_have_attribute("data-ready", "true")
            expect(page.locator("[data-range='6h']")).to_have_attribute("aria-pressed", "true")

    def test_has_a_letter_of_its_own_for_each_page(self) -> None:
        keys = [spec.key for spec in PAGES]
        assert len(set(keys)) == len(keys)
        assert all(len(key) == 1 for key in keys)

    def test_fades_where_its_tabs_continue(self, module_server: Server, open_page: Any) -> None:
        page = open_page(f"{module_server.url}/", width=390, height=800)
        tabs = page.locator(".tabs")
        expect(tabs).to_have_attribute("data-continues", "end")
        tabs.evaluate("(node) => node.scrollTo(40, 0)")
        expect(tabs).to_have_attribute("data-continues", "start end")
        tabs.evaluate("(node) => node.scrollTo(node.scrollWidth, 0)")
        expect(tabs).to_have_attribute("data-continues", "start")
        page.set_viewport_size({"width": 1600, "height": 800})
        expect(tabs).to_have_attribute("data-continues", "")
