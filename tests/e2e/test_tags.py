"""Metadata that the SDK sends, as a filter in the API and on the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect

from llmmonitor import LLMMonitor
from tests.e2e.test_overview import wait_live
from tests.support.server import MakeServer


@pytest.mark.browser
class APromotedTag:
    def test_filters_the_api_and_the_page_by_what_the_sdk_recorded(
        self, make_server: MakeServer, open_page: Any, console_errors: list[str]
    ) -> None:
        server = make_server(env={"LLMMONITOR_TAGS": "team"})
        with LLMMonitor(server.url) as monitor:
            monitor.record("llama-3-8b", response_time_ms=900, team="search")
            monitor.record("gpt-4o", response_time_ms=1200, team="ads")
        assert server.get("/metrics/summary?tag.team=search").json()["total_requests"] == 1
        (row,) = server.get("/requests?tag.team=search").json()["results"]
        assert (row["model_name"], row["metadata"]) == ("llama-3-8b", {"team": "search"})

        page = open_page(f"{server.url}/?range=15m")
        rows = page.locator("#models-table tbody tr")
        expect(rows).to_have_count(2)
        menu = page.locator('[data-filter="tag.team"]')
        expect(menu).to_have_text(re.compile("team All 2"))
        menu.locator("> button").click()
        expect(menu.locator(".filter-option")).to_have_text(["ads1", "search1"])
        menu.get_by_role("checkbox", name="search").check()

        expect(page).to_have_url(re.compile(r"\?range=15m&tag\.team=search$"))
        expect(rows).to_have_count(1)
        expect(rows).to_contain_text("llama-3-8b")
        expect(page.locator("#chips")).to_contain_text("team")
        page.reload()
        expect(menu.locator(".filter-value")).to_have_text("search")
        expect(rows).to_have_count(1)

        wait_live(page)
        error_rate = page.locator('[data-tile="errors"] [data-number]')
        expect(error_rate).to_have_text("0")
        with LLMMonitor(server.url, metadata={"team": "ads"}) as monitor:
            monitor.record_batch([{"model_name": "gpt-4o", "success": True}] * 5)
        with LLMMonitor(server.url, metadata={"team": "search"}) as monitor:
            monitor.record("llama-3-8b", success=False, error_type="timeout")
        expect(error_rate).to_have_text("50")

        page.get_by_role("button", name="Remove the filter team: search").click()
        expect(page).to_have_url(re.compile(r"\?range=15m$"))
        expect(rows).to_have_count(2)
        expect(page.locator("#chips")).to_be_hidden()
        page.goto(f"{server.url}/?tag.team=nobody")
        expect(page.get_by_text("No requests match team = nobody")).to_be_visible()
        page.get_by_role("button", name="Remove the team filter").click()
        expect(rows).to_have_count(2)
        assert console_errors == []
