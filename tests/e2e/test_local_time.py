"""Local times around the changes of the clock, in a browser in several time zones."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser

# The instants of both changes. The last zone has none; the clocks of the fourth skip midnight.
CHANGES = {
    "America/New_York": ("2026-03-08T07:00Z", "2025-11-02T06:00Z"),
    "Europe/Berlin": ("2026-03-29T01:00Z", "2025-10-26T01:00Z"),
    "Australia/Lord_Howe": ("2025-10-04T15:30Z", "2026-04-04T15:00Z"),
    "America/Sao_Paulo": ("2018-11-04T03:00Z", "2019-02-17T02:00Z"),
    "UTC": ("2026-03-29T01:00Z", "2025-10-26T01:00Z"),
}
# Minutes from a change to the start and to the end of a window.
AROUND = ((-50, -10), (-10, 10), (-40, 5), (-5, 40), (10, 50), (-90, 90), (-1440, 1440))
WINDOWS = [
    (zone, at + timedelta(minutes=start, seconds=7), at + timedelta(minutes=end))
    for zone, changes in CHANGES.items()
    for at in map(datetime.fromisoformat, changes)
    for start, end in AROUND
]


def show(page: Page, server: Server, start: datetime, end: datetime) -> None:
    """Show a window without loading the page again."""
    address = f"/?from={start:%Y-%m-%dT%H:%M:%SZ}&to={end:%Y-%m-%dT%H:%M:%SZ}"
    with page.expect_response(lambda response: f"from={start:%Y-%m-%dT%H}" in response.url) as loaded:
        page.evaluate(
            "(to) => { history.pushState({}, '', to); dispatchEvent(new PopStateEvent('popstate')); }", address
        )
    params = loaded.value.json()["params"]
    assert (params["from"], params["to"]) == (start.timestamp() * 1000, end.timestamp() * 1000)
    expect(page.locator("#content[aria-busy]")).to_have_count(0)


def window(page: Page) -> tuple[datetime, datetime]:
    """Return the window in the address of the page."""
    query = parse_qs(urlsplit(page.url).query)
    return datetime.fromisoformat(query["from"][0]), datetime.fromisoformat(query["to"][0])


def apply(page: Page, **times: str) -> tuple[datetime, datetime]:
    """Open the form of a custom window, enter these times and apply them. Return the window of the page."""
    page.locator("#range-custom").click()
    for name, text in times.items():
        page.locator(f"#custom-range [name={name}]").fill(text)
    with page.expect_response(re.compile("/dashboard/data/overview")):
        page.get_by_role("button", name="Apply").click()
    expect(page.locator("#custom-range")).to_be_hidden()
    return window(page)


class TheTimeBesideTheSentence:
    def test_is_local_and_shows_utc_under_the_pointer(self, module_server: Server, open_page: Any) -> None:
        page = open_page(f"{module_server.url}/?from=2026-03-01T12:00:00Z&to=2026-03-01T13:00:00Z", zone="Asia/Kolkata")
        beside = page.locator("[data-widget=sentence] [data-aside]")
        expect(beside).to_contain_text("GMT+5:30")
        expect(beside).to_have_attribute("title", "2026-03-01 12:00 to 2026-03-01 13:00 UTC")


class ACustomWindow:
    @pytest.mark.parametrize("zone", CHANGES)
    def test_that_is_applied_without_a_change_is_the_same_window(
        self, module_server: Server, open_page: Any, zone: str
    ) -> None:
        page = open_page(module_server.url, zone=zone)
        for of_zone, start, end in WINDOWS:
            if of_zone == zone:
                show(page, module_server, start, end)
                page.locator("#range-custom").click()
                shown = page.locator("#custom-range [name=from]").input_value()
                assert datetime.fromisoformat(shown) == start.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
                page.keyboard.press("Escape")
                assert apply(page) == (start, end), (zone, start, end)

    def test_keeps_the_time_that_is_not_changed(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url, zone="America/New_York")
        second = datetime(2025, 11, 2, 6, 10, tzinfo=UTC)  # 01:10, for the second time
        show(page, module_server, second, second + timedelta(minutes=40))
        assert apply(page, to="2025-11-02T04:00:00") == (second, datetime(2025, 11, 2, 9, 0, tzinfo=UTC))

    def test_has_both_of_the_hours_that_occur_twice(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url, zone="America/New_York")
        show(page, module_server, datetime(2025, 11, 1, tzinfo=UTC), datetime(2025, 11, 3, tzinfo=UTC))
        applied = apply(page, **{"from": "2025-11-02T01:10:00", "to": "2025-11-02T01:50:00"})
        assert applied == (datetime(2025, 11, 2, 5, 10, tzinfo=UTC), datetime(2025, 11, 2, 6, 50, tzinfo=UTC))
        page.locator("#range-custom").click()
        expect(page.locator("#custom-range .zone")).to_have_text("GMT-4 to GMT-5")

    def test_at_a_time_that_the_clocks_skip_is_moved_forward(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url, zone="Europe/Berlin")
        show(page, module_server, datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC))
        applied = apply(page, **{"from": "2026-03-29T02:30:00", "to": "2026-03-29T03:40:00"})
        assert applied == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), datetime(2026, 3, 29, 1, 40, tzinfo=UTC))


class TheTicksOfATimeAxis:
    def test_are_there_for_every_window_and_width(self, module_server: Server, open_page: Any) -> None:
        page = open_page(module_server.url, zone="UTC")
        to = datetime(2026, 3, 1, 12, 7, tzinfo=UTC).timestamp() * 1000
        for minutes in (1, 5, 8, 9.9, 10, 15, 60, 1440, 43_200):
            for most in (3, 4, 6, 12):
                ticks = page.evaluate(
                    """async ([to, most, span]) => (await import('/static/dashboard/js/charts/options.js'))
                         .timeTicks(to - span, to, most).length""",
                    [to, most, minutes * 60_000],
                )
                assert 1 <= ticks <= most + 1, (minutes, most)

    @pytest.mark.parametrize("zone", CHANGES)
    def test_are_whole_on_both_sides_of_a_change(self, module_server: Server, open_page: Any, zone: str) -> None:
        page = open_page(module_server.url, zone=zone)
        for at in map(datetime.fromisoformat, CHANGES[zone]):
            for minutes, step in ((4, 60), (60, 600), (600, 7_200), (6 * 1440, 86_400)):
                start, end = at - timedelta(minutes=minutes), at + timedelta(minutes=minutes)
                ticks = page.evaluate(
                    """async ([from, to]) => (await import('/static/dashboard/js/charts/options.js'))
                         .timeTicks(from, to, 12).map(({ value }) => value / 1000)""",
                    [start.timestamp() * 1000, end.timestamp() * 1000],
                )
                assert 5 <= len(ticks) <= 16
                assert ticks == sorted(set(ticks))
                for tick in ticks:
                    local = datetime.fromtimestamp(tick, ZoneInfo(zone)).replace(tzinfo=UTC)
                    assert local.timestamp() % step == 0, (zone, local)
