"""A page that is open while its server is killed and started again. test_overview.py has the charts of machines."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_overview import request, send, wait_live
from tests.support.server import Server

pytestmark = pytest.mark.browser
STEP_MS = 5_000  # of the charts in a range of five minutes
OUTAGE_MS = 4 * STEP_MS
POINTS = """(widget) => Object.fromEntries(
  Chart.getChart(document.querySelector(`[data-widget="${widget}"] canvas`)).data.datasets
    .filter(({ data }) => data.length).map(({ label, data }, index) =>
      [`${index} ${label}`, data.map(({ x, y }) => [x, y])]))"""


def points(page: Page, widget: str) -> dict[str, list[list[Any]]]:
    """What a chart shows: by line, [[epoch ms, value or None], …]."""
    page.locator(f'[data-widget="{widget}"]').scroll_into_view_if_needed()
    shown: dict[str, list[list[Any]]] = page.evaluate(POINTS, widget)
    return shown


def settled(lines: dict[str, list[list[Any]]], until: float) -> dict[str, list[float]]:
    """The times of the points before `until` that have a value, by line."""
    return {name: [at for at, value in line if value is not None and at < until] for name, line in lines.items()}


class AKilledServer:
    @pytest.mark.parametrize(
        ("path", "widget"), [("", "latency"), ("dashboard/latency/", "latency"), ("dashboard/requests/", "rates")]
    )
    def test_leaves_a_gap_and_no_point_twice(self, path: str, widget: str, server: Server, open_page: Any) -> None:
        for start in (0, 100):  # enough requests for a percentile of five seconds
            send(server, *(request("before", ago_seconds=start + n / 8) for n in range(800)))
        page = open_page(f"{server.url}/{path}?range=5m")
        wait_live(page)
        connection = page.locator("#connection")

        server.kill()
        killed = time.time() * 1000
        expect(connection).to_have_attribute("data-state", "disconnected", timeout=15_000)
        expect(page.locator("#connection-banner")).to_contain_text("Disconnected")
        page.wait_for_timeout(OUTAGE_MS)
        server.start()
        started = time.time() * 1000
        send(server, *(request("after") for _ in range(40)))

        expect(connection).to_have_attribute("data-state", "live", timeout=60_000)
        expect(page.locator("#connection-banner")).to_be_hidden()
        expect(page.locator("main")).to_contain_text("after", timeout=30_000)
        address = page.url
        page.keyboard.press("l")  # paused, so that nothing moves while it is read
        lines = points(page, widget)
        assert lines
        for name, line in lines.items():
            times = [at for at, _ in line]
            assert times == sorted(set(times)), f"{name} has a point twice"
            step = min((after - at for at, after in pairwise(times)), default=STEP_MS)
            outage = [value for at, value in line if killed + STEP_MS < at < started - step]
            assert set(outage) <= {None}, f"{name} has values in the outage"
        shown = settled(lines, killed)
        assert any(shown.values())

        page.goto(address)  # a reload would show the paused window
        wait_live(page)
        first = min(at for line in points(page, widget).values() for at, _ in line)  # the window has moved
        again = settled(points(page, widget), killed)
        assert {name: [at for at in times if at > first] for name, times in shown.items()} == {
            name: [at for at in times if at > first] for name, times in again.items()
        }
        rows = page.locator("tr[data-row]").evaluate_all("rows => rows.map((row) => row.dataset.row)")
        assert len(rows) == len(set(rows))
