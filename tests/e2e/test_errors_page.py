"""The Errors page in a real browser: the severities, and the way from a group to its requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.server import Server

pytestmark = pytest.mark.browser
LONG = "meta-llama/Meta-Llama-3.1-405B-Instruct-FP8"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with failed requests of two types, and a warning."""
    at = datetime.now(UTC) - timedelta(seconds=60)
    request = {"model_name": "llama", "response_time_ms": 900}
    failed = [
        {"success": False, "error_type": HOSTILE, "error_message": HOSTILE + " again" * 9, "request_id": f"hostile-{n}"}
        for n in range(3)
    ]
    failed.append(
        {"success": False, "error_type": "ReadTimeout", "error_message": "no token", "request_id": "slow" * 9,
         "model_name": LONG}
    )  # fmt: skip
    times = [{"timestamp": (at + timedelta(seconds=n)).isoformat()} for n in range(5)]
    requests = [*failed, {"success": True, "request_id": "fine"}]
    module_server.post(
        "/track/inference", [{**request, **one, **time} for one, time in zip(requests, times, strict=True)]
    )
    module_server.post("/track/error", {"error_type": "Retried", "severity": "WARNING", "model_name": "llama"})
    return module_server


class TheErrorsPage:
    def test_has_the_groups_of_the_chosen_severities(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/errors/")
        groups = page.locator("a[data-group]")
        expect(groups).to_have_count(3)
        # The keys of the areas have the colours of their models.
        expect(page.locator("[data-widget=failures-by-model] [data-legend] rect.key")).to_have_count(2)
        page.locator("[data-filter=severity] button").first.click()
        page.locator("[data-filter=severity] label", has_text="warning").click()
        expect(groups).to_have_text(["Retried"])
        assert "severity=warning" in page.url
        page.reload()
        expect(groups).to_have_text(["Retried"])
        page.locator("#chips").get_by_role("button", name="Clear all").click()
        expect(groups).to_have_count(3)
        page.goto(f"{server.url}/dashboard/errors/?severity=critical")
        expect(page.get_by_role("heading", level=1)).to_have_text("No errors of severity critical in the last hour.")
        assert console_errors == []

    def test_leads_from_a_group_to_its_requests(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/errors/?range=15m")
        page.locator("a[data-group]", has_text=HOSTILE).click()
        page.get_by_role("link", name="Show its requests").click()
        expect(page.locator("tr[data-row]")).to_have_count(3)
        expect(page.locator("[data-remove=group]")).to_contain_text(HOSTILE)
        assert "range=15m" in page.url
        page.locator("[data-remove=group]").click()
        expect(page.locator("tr[data-row]")).to_have_count(5)
        assert page.locator("img").count() == 0
        assert console_errors == []

    def test_has_the_size_and_state_of_a_group_on_a_phone(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/errors/")
        page.set_viewport_size({"width": 390, "height": 844})
        row = page.locator("tr", has=page.locator("a[data-group]")).first
        row.scroll_into_view_if_needed()
        for cell in (row.locator("td.figure").first, row.locator("td").last):
            expect(cell).to_be_in_viewport(ratio=0.9)

    @pytest.mark.parametrize("width", [1024, 1440])
    def test_cuts_long_names_and_keeps_times_in_one_line(self, server: Server, open_page: Any, width: int) -> None:
        page = open_page(f"{server.url}/dashboard/errors/?range=15m", width=width, height=1100)
        groups = page.locator("[data-table=groups]")
        row = groups.locator("tr", has_text="ReadTimeout")
        expect(row.get_by_title(LONG)).to_be_visible()
        row.locator("a[data-group]").click()
        newest = page.locator("[data-table=group] .error-list")
        expect(newest.get_by_title(LONG)).to_be_visible()
        for table in (groups.locator("table"), newest):
            assert table.evaluate("node => node.scrollWidth <= node.parentElement.clientWidth")
        for time in (row.locator("time").first, newest.locator("time").first):
            assert time.evaluate("node => node.getClientRects().length") == 1
