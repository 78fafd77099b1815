"""The Models page in a real browser: its order, its search, and the card of a model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"
TIMES_MS = {"fast": 100, "slow": 9_000, HOSTILE: 3_000}
COUNTS = {"fast": 40, "slow": 25, HOSTILE: 30}


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of three models in the last minutes, of different numbers and lengths."""
    at = datetime.now(UTC) - timedelta(seconds=90)
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "request_id": f"{number}",
                "timestamp": (at + timedelta(seconds=number)).isoformat(),
                "response_time_ms": TIMES_MS[model],
                "success": True,
            }
            for model, count in COUNTS.items()
            for number in range(count)
        ],
    )
    return module_server


def names(page: Page) -> list[str]:
    return page.locator("tr[data-open-name] th a").all_inner_texts()


class TheTableOfModels:
    def test_is_sorted_by_a_column_in_both_directions_and_keeps_that_in_its_address(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/models/")
        assert names(page) == ["fast", HOSTILE, "slow"]
        head = page.locator("[data-column=p95]")
        head.click()
        expect(page.locator("th[aria-sort=descending] [data-column=p95]")).to_be_focused()
        assert names(page) == ["slow", HOSTILE, "fast"]
        page.keyboard.press("Enter")
        expect(page.locator("th[aria-sort=ascending] [data-column=p95]")).to_be_visible()
        assert names(page) == ["fast", HOSTILE, "slow"]
        page.reload()
        expect(page.locator("th[aria-sort=ascending] [data-column=p95]")).to_be_visible()
        page.go_back()
        expect(page.locator("th[aria-sort=descending] [data-column=p95]")).to_be_visible()
        assert names(page) == ["slow", HOSTILE, "fast"]
        assert console_errors == []

    def test_has_the_models_that_match_the_search(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/models/")
        search = page.get_by_role("searchbox", name="Find a model")
        search.fill("IMG")
        expect(page.locator("tr[data-open-name]")).to_have_count(1)
        assert names(page) == [HOSTILE]
        page.reload()
        expect(page.locator("tr[data-open-name]")).to_have_count(1)
        expect(search).to_have_value("IMG")
        search.fill("nothing")
        expect(page.locator("#models-table")).to_contain_text("No model matches “nothing”.")
        search.fill("")
        expect(page.locator("tr[data-open-name]")).to_have_count(3)
        assert "search" not in page.url
        assert console_errors == []

    def test_has_its_colours_and_lines_at_once_and_opens_the_card_of_a_row(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/models/")
        assert page.locator("#models-table .swatch[class*=slot-]").count() == 3
        assert page.locator("#models-table [data-spark] path").count() > 0
        page.locator("tr[data-open-name='slow'] th a").click()
        expect(page.locator("#opened-title")).to_have_text("slow")
        page.get_by_role("link", name="Close slow").click()
        expect(page.locator("#opened-title")).to_be_hidden()
        assert console_errors == []
