"""What all pages with a time range have in common, in a real browser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.pages import PAGES
from tests.support.server import Server

pytestmark = pytest.mark.browser
WITH_RANGE = [spec for spec in PAGES if spec.filters is not None]
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of two models, one with a hostile name, in the last minutes and an hour ago; a host."""
    at = datetime.now(UTC)
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "provider": HOSTILE,
                "service": HOSTILE,
                "timestamp": (at - timedelta(minutes=minutes, seconds=n)).isoformat(),
                "request_id": f"{model}-{minutes}-{n}",
                "success": n % 10 != 0,
                "status_code": 200 if n % 10 else 500,
                "response_time_ms": 900 + 10 * n,
                "queue_time_ms": 20,
                "ttft_ms": 200,
                "prompt_tokens": 100 + n,
                "completion_tokens": 50,
                "finish_reason": "stop",
                "error_type": None if n % 10 else HOSTILE,
                "error_message": None if n % 10 else HOSTILE,
                "metadata": {HOSTILE: HOSTILE},
            }
            for model in ("llama", HOSTILE)
            for minutes in (2, 80)
            for n in range(30)
        ],
    )
    module_server.post(
        "/track/system",
        {
            "host": HOSTILE,
            "cpu_percent": 20,
            "memory_percent": 40,
            "gpu_metrics": [
                {"gpu_id": HOSTILE, "name": HOSTILE, "utilization_percent": 50, "throttle_reasons": [HOSTILE]}
            ],
        },
    )
    return module_server


def loaded(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-ready", "true")


@pytest.mark.parametrize("spec", WITH_RANGE, ids=lambda spec: spec.name)
class APageWithATimeRange:
    def test_shows_hostile_names_as_text_and_follows_range_and_filter(
        self, spec: Any, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/{spec.path}?range=1h")
        page.on("dialog", lambda dialog: console_errors.append("a dialog opened"))
        page.locator("[data-range='24h']").click()
        expect(page.locator("[data-range='24h']")).to_have_attribute("aria-pressed", "true")
        assert "range=24h" in page.url
        if "model" in spec.filters:
            page.locator("[data-filter=model] button").first.click()
            page.locator("[data-filter=model] label", has_text="llama").click()
            expect(page.locator("#chips")).to_contain_text("llama")
        address = page.url
        page.reload()
        loaded(page)
        assert page.url == address
        expect(page.locator("[data-range='24h']")).to_have_attribute("aria-pressed", "true")
        page.go_back()
        expect(page).not_to_have_url(address)
        assert console_errors == []
        assert page.locator("img").count() == 0

    def test_fits_a_phone(self, spec: Any, server: Server, open_page: Any, console_errors: list[str]) -> None:
        page = open_page(f"{server.url}/{spec.path}", width=390, theme="dark")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect(page.locator(".tab[aria-current]")).to_have_text(spec.title)
        assert console_errors == []


class TheHeader:
    def test_leads_to_a_page_by_g_and_its_letter(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/?range=15m")
        page.keyboard.press("?")
        for spec in PAGES:
            expect(page.locator("#help-dialog .keys")).to_contain_text(f"{spec.key.upper()} {spec.title}")
        page.keyboard.press("Escape")

        page.keyboard.press("g")
        page.keyboard.press("q")

        expect(page).to_have_url(f"{server.url}/dashboard/queue/")
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        page.keyboard.press("l")  # without G, it pauses
        expect(page.locator("#live")).to_have_attribute("data-state", "paused")
        assert console_errors == []

    def test_has_a_letter_of_its_own_for_each_page(self) -> None:
        keys = [spec.key for spec in PAGES]
        assert len(set(keys)) == len(keys)
        assert all(len(key) == 1 for key in keys)

    def test_fades_where_its_tabs_continue(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/", width=390, height=800)
        tabs = page.locator(".tabs")
        expect(tabs).to_have_attribute("data-continues", "end")
        tabs.evaluate("(node) => node.scrollTo(40, 0)")
        expect(tabs).to_have_attribute("data-continues", "start end")
        tabs.evaluate("(node) => node.scrollTo(node.scrollWidth, 0)")
        expect(tabs).to_have_attribute("data-continues", "start")
        page.set_viewport_size({"width": 1600, "height": 800})
        expect(tabs).to_have_attribute("data-continues", "")
