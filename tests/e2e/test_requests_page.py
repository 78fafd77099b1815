"""The Requests page in a real browser: the drawer, the keyboard, the search, and rows that wait."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.server import Server

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=alert(1)>"


def send(server: Server, *names: str, **fields: Any) -> None:
    at = datetime.now(UTC)
    event = {"model_name": HOSTILE, "provider": HOSTILE, "response_time_ms": 900, "ttft_ms": 100, "success": True}
    server.post(
        "/track/inference",
        [
            {
                **event,
                "request_id": name,
                "timestamp": (at - timedelta(seconds=30 - n)).isoformat(),
                "metadata": {HOSTILE: HOSTILE},
                **fields,
            }
            for n, name in enumerate(names)
        ],
    )


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    send(module_server, "first", "second", "third")
    send(module_server, "failed", success=False, status_code=429, error_type=HOSTILE, error_message=HOSTILE)
    return module_server


class TheRequestsPage:
    def test_opens_a_request_beside_the_list_and_keeps_it_in_its_address(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/requests/")
        drawer = page.locator("#drawer")
        page.locator(".requests-table a[data-request]").last.focus()
        page.keyboard.press("Enter")
        expect(drawer.locator(".detail-id")).to_be_visible()
        expect(page).to_have_url(re.compile(r"request=\d+"))
        before = drawer.locator(".detail-id").inner_text()
        page.keyboard.press("k")
        expect(drawer.locator(".detail-id")).not_to_have_text(before)
        shown = drawer.locator(".detail-id").inner_text()
        page.reload()
        expect(drawer.locator(".detail-id")).to_have_text(shown)
        page.locator("body").press("Escape")
        expect(drawer).to_be_hidden()
        assert "request=" not in page.url
        # The focus is where it was in the list, so that the next key continues there.
        expect(page.locator(".requests-table a[data-request]:focus")).to_have_count(1)
        page.keyboard.press("Enter")
        expect(drawer).to_be_focused()
        expect(drawer.locator(".detail-id")).to_have_text(shown)
        page.keyboard.press("Tab")
        expect(drawer.locator("[data-step='-1']")).to_be_focused()
        assert page.locator("img").count() == 0
        assert console_errors == []

    def test_understands_the_search_and_says_what_it_does_not(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/requests/")
        search = page.get_by_role("searchbox", name="Search requests")
        search.fill("colour:red")
        search.press("Enter")
        expect(page.locator("#search-problem")).to_contain_text("colour is not a field")
        search.fill("status:429")
        search.press("Enter")
        expect(page).to_have_url(re.compile("status_code=429"))
        expect(page.locator("tr[data-row]")).to_have_count(1)
        page.reload()
        expect(page.locator("tr[data-row]")).to_have_count(1)
        page.locator("[data-remove=status_code]").click()
        expect(page.locator("tr[data-row]")).not_to_have_count(1)
        assert "status_code" not in page.url
        assert console_errors == []

    def test_holds_new_rows_while_the_pointer_is_over_the_list(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/requests/")
        page.locator("tr[data-row]").first.hover()
        rows = page.locator("tr[data-row]").count()
        send(server, "new", timestamp=datetime.now(UTC).isoformat())
        expect(page.locator("[data-held]")).to_contain_text("1 newer", timeout=20_000)  # with the next figures
        assert page.locator("tr[data-row]").count() == rows
        page.get_by_role("button", name="Show them").click()
        expect(page.locator("tr[data-row]")).to_have_count(rows + 1)
        expect(page.locator("[data-held]")).to_be_hidden()

    def test_remembers_its_columns(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/requests/")
        expect(page.locator("td.col-user").first).to_be_hidden()
        page.get_by_role("button", name="Columns").click()
        page.get_by_role("checkbox", name="User").check()
        expect(page.locator("td.col-user").first).to_be_visible()
        page.reload()
        expect(page.locator("td.col-user").first).to_be_visible()
