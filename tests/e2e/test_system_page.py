"""The System page: what the monitor says of itself, in a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import MakeServer, Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def busy(module_server: Server) -> Server:
    """A server that has stored, refused and recognised events."""
    event = {"request_id": "a", "model_name": "m", "timestamp": datetime.now(UTC).isoformat(), "response_time_ms": 100}
    module_server.post("/track/inference", [event, event | {"request_id": "b"}])
    module_server.post("/track/inference", event)
    module_server.post("/track/inference", [{"model_name": "m", "timestamp": "2001-01-01T00:00:00Z"}])
    return module_server


class TheSystemPage:
    def test_tells_that_the_monitor_is_well_and_what_it_takes(
        self, busy: Server, open_page: Callable[[str], Page]
    ) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m")

        expect(page.locator("h1")).to_have_text(re.compile(r"The monitor is well\. It takes .* of "), timeout=30_000)
        expect(page.locator("[data-table=parts] .part")).to_have_count(8)
        expect(page.locator("[data-table=parts] .down")).to_have_count(0)

    def test_counts_what_was_refused_and_what_was_sent_again(
        self, busy: Server, open_page: Callable[[str], Page]
    ) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m")
        rows = page.locator("[data-table=refused] tbody tr")

        for reason in ("invalid timestamp", "sent again, stored once"):
            row = rows.filter(has_text=reason)
            expect(row.locator(".figure").first).to_have_text("1")
            expect(row.locator("bdi")).to_have_text("requests without a key")
            expect(row.locator(".figure").last).to_have_text(re.compile("now|ago"))

    def test_lists_the_tasks_with_their_times(self, busy: Server, open_page: Callable[[str], Page]) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m")
        tick = page.locator("[data-table=tasks] tbody tr").filter(has_text="tick")

        expect(tick.locator("td").nth(1)).to_have_text(re.compile("now|ago"), timeout=30_000)
        expect(tick.locator("td").last).to_have_text("0")

    @pytest.mark.parametrize("width", [1440, 390])
    def test_has_the_names_of_the_backup_card_on_one_line(
        self, busy: Server, open_page: Callable[..., Page], width: int
    ) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m", width=width)
        name = page.locator(".backup-table tbody th").first

        # The text of the server may be a path without a space, which takes all of the width that it gets.
        page.locator(".backup-table tbody td").first.evaluate(
            "cell => { cell.textContent = '/a/long/path'.repeat(20) }"
        )
        name.evaluate("header => { header.textContent = 'Secrets' }")

        lines = """header => {
            const range = document.createRange();
            range.selectNodeContents(header);
            return range.getClientRects().length;
        }"""
        assert name.evaluate(lines) == 1

    def test_has_a_box_for_each_of_thirty_days(self, busy: Server, open_page: Callable[[str], Page]) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m")
        monitor = page.locator(".availability-row").first

        expect(monitor.locator(".day")).to_have_count(30, timeout=60_000)
        expect(monitor.locator(".day-up")).to_have_count(1)
        expect(monitor.locator(".availability-days")).to_have_attribute(
            "aria-label", "Monitor: 100\u00a0% available, never down"
        )

    def test_draws_its_charts_live(self, busy: Server, open_page: Callable[[str], Page]) -> None:
        page = open_page(f"{busy.url}/dashboard/system/?range=5m")

        for widget in ("ingest", "commit", "queued", "load", "live", "queries", "lateness"):
            expect(page.locator(f"[data-widget={widget}] [data-values]")).to_contain_text(
                re.compile(r"\d"), timeout=30_000
            )


class ASystemPageWithoutRequests:
    def test_reads_its_tables_again_before_it_loads_all_data_again_after_a_minute(
        self, make_server: MakeServer, open_page: Callable[[str], Page]
    ) -> None:
        page = open_page(f"{make_server().url}/dashboard/system/?range=5m")
        tasks = page.locator("[data-table=tasks]")

        expect(tasks).not_to_have_js_property("innerHTML", tasks.inner_html(), timeout=20_000)
