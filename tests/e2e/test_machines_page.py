"""The Machines page in a real browser."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import expect

from tests.support.server import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with samples of a host with two GPUs, each minute, and of one that is down."""
    at = datetime.now(UTC)
    module_server.post(
        "/track/system",
        [
            {
                "host": "gpu-box",
                "timestamp": (at - timedelta(minutes=minute)).isoformat(),
                "cpu_percent": 20 + minute,
                "memory_percent": 40,
                "gpu_metrics": [
                    {"gpu_id": gpu, "name": "H100", "utilization_percent": 50 + 10 * gpu, "power_draw_watts": 300.0,
                     "power_limit_watts": 400.0, "temperature": 60, "sm_clock_mhz": 1_700,
                     "throttle_reasons": ["hw_slowdown"][gpu:]}
                    for gpu in (0, 1)
                ],
            }
            for minute in range(20)
        ]
        + [{"host": "gone", "timestamp": (at - timedelta(minutes=10)).isoformat(), "cpu_percent": 5}],
    )  # fmt: skip
    return module_server


class ThePage:
    def test_has_a_row_for_each_device_with_what_it_measures(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=15m")

        rows = page.locator("[data-widget=gpus] tbody tr")
        expect(rows).to_have_count(2)
        clocks = page.locator("[data-widget=gpus] td[data-title='SM clock'] .device-note")
        expect(clocks).to_have_text(["▲ hw slowdown", "not throttled"])
        expect(rows.nth(1).locator("td[data-title=Utilisation]")).to_contain_text("60")
        expect(rows.nth(0).locator("td[data-title=Power] .device-note")).to_have_text("75\u00a0% of 400")
        expect(rows.nth(0).locator("td[data-title=Memory]")).to_be_hidden()
        line = rows.nth(0).locator("td[data-title=Utilisation] .device-line")
        assert "L" in (line.get_attribute("d") or "")
        down = page.locator("[data-widget=hosts] tbody tr", has_text="gone")
        expect(down).to_contain_text("■ no sample since")
        expect(down.locator("td[data-title=CPU] b")).to_have_text("—")
        assert console_errors == []

    def test_keeps_order_host_and_heatmap_in_its_address(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=15m")
        names = page.locator("[data-widget=gpus] tbody tr .device-name")

        page.get_by_role("button", name="Busiest first").click()
        expect(names).to_have_text(["GPU 1", "GPU 0"])
        page.get_by_role("button", name="Power", exact=True).click()
        expect(page.locator("[data-widget=device-heatmap] [data-legend]")).to_contain_text("W")
        page.reload()
        expect(names).to_have_text(["GPU 1", "GPU 0"])
        expect(page.get_by_role("button", name="Power", exact=True)).to_have_attribute("aria-pressed", "true")
        expect(page.locator("[data-widget=device-heatmap] [data-legend]")).to_contain_text("W")

        page.locator("[data-widget=hosts] tbody").get_by_role("link", name="gpu-box").click()
        expect(page.locator("[data-widget=hosts] tbody tr")).to_have_count(1)
        assert "host=gpu-box" in page.url

    def test_saves_the_lines_of_a_table_with_their_step(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=1h")
        for widget in ("gpus", "hosts"):
            page.locator(f"[data-widget={widget}] [data-menu]").click()
            with page.expect_download() as download:
                page.get_by_role("menuitem", name="Save as JSON").click()
            rows = json.loads(download.value.path().read_text())
            metric = {"gpus": "gpu.utilization_percent", "hosts": "system.cpu_percent"}[widget]
            own = [row for row in rows if row["metric"] == metric and "gpu-box" in row["labels"].values()]
            assert any(row["value"] is not None for row in own)
            first, second = sorted({datetime.fromisoformat(row["timestamp"]) for row in own})[:2]
            assert second - first == timedelta(seconds=30)  # as in the lines

    def test_shows_why_a_file_could_not_be_saved(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=1h")
        page.route(
            "**/export/history.json*", lambda route: route.fulfill(status=503, json={"detail": "The store is busy."})
        )
        hosts = page.locator("[data-widget=hosts]")

        hosts.locator("[data-menu]").click()
        page.get_by_role("menuitem", name="Save as CSV").click()
        expect(hosts.get_by_role("alert")).to_have_text("Save as CSV failed: The store is busy.")
        hosts.locator("[data-menu]").click()
        expect(hosts.get_by_role("alert")).to_have_count(0)
        console_errors.clear()

    def test_has_a_heatmap_of_each_measure(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=15m")
        card = page.locator("[data-widget=device-heatmap]")
        card.locator("[data-menu]").click()
        card.get_by_role("menuitem", name="View as table").click()
        cells = card.locator("td")
        for measure, mean in (
            ("Utilisation", "60\u00a0%"),
            ("Memory", "40\u00a0%"),
            ("Temperature", "60\u00a0°C"),
            ("Power", "300\u00a0W"),
        ):
            card.get_by_role("button", name=measure, exact=True).click()
            expect(cells.filter(has_text=mean).first).to_be_visible()
            expect(card.locator("[data-legend]")).to_contain_text(mean[-1])

    def test_shows_the_mean_of_four_weeks_by_hour(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/machines/")

        card = page.locator("[data-widget=week-heatmap]")
        expect(card.locator("[data-values]")).to_have_text(re.compile(r"^GPU utilisation · mean of [12] hours?$"))
        card.locator("[data-menu]").click()
        card.get_by_role("menuitem", name="View as table").click()
        cells = card.locator("td").all_text_contents()
        assert [cell for cell in cells if cell != "—"] in (["55\u00a0%"], ["55\u00a0%"] * 2)

    @pytest.mark.parametrize(
        ("widget", "title", "span"),
        [
            ("device-heatmap", "Temperature of each device", "15m"),
            ("week-heatmap", "GPU temperature by hour and weekday", "4w"),
        ],
    )
    def test_names_in_a_picture_what_it_shows_and_of_which_time(
        self, server: Server, open_page: Any, widget: str, title: str, span: str
    ) -> None:
        page = open_page(f"{server.url}/dashboard/machines/?range=15m&heatmap=temperature&model=m&host=gpu-box")
        card = page.locator(f"[data-widget={widget}]")
        expect(card.locator("[data-legend]")).to_contain_text("°C")
        card.locator("[data-menu]").click()
        with page.expect_download() as download:
            card.get_by_role("menuitem", name="Save as SVG").click()
        drawing = ElementTree.fromstring(download.value.path().read_bytes())  # noqa: S314 (our own drawing)
        head, caption, *_ = (node.text or "" for node in drawing.iter("{http://www.w3.org/2000/svg}text"))

        assert head == title
        assert "host gpu-box" in caption
        assert "model" not in caption, "that filter does not apply to machines"
        times = re.search(r"(\d+ \w+), (\d+:\d+) to (?:(\d+ \w+), )?(\d+:\d+)", caption)
        assert times is not None, caption
        first_day, first, last_day, last = times.groups()  # a span within a day names it once
        start, end = (
            datetime.strptime(f"{day} {time} 2000 +0000", "%d %b %H:%M %Y %z")
            for day, time in ((first_day, first), (last_day or first_day, last))
        )
        assert {"15m": timedelta(minutes=15), "4w": timedelta(days=28)}[span] <= (end - start) % timedelta(days=366)
        assert "_gpu-box_" in download.value.suggested_filename
        assert download.value.suggested_filename.endswith(f"_{span}.svg")

    def test_shows_the_last_values_of_a_window_that_has_passed(self, server: Server, open_page: Any) -> None:
        at = datetime.now(UTC) - timedelta(minutes=5)
        window = f"from={at - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}&to={at:%Y-%m-%dT%H:%M:%SZ}"
        page = open_page(f"{server.url}/dashboard/machines/?{window}&host=gpu-box")

        expect(page.locator("[data-widget=gpus] tbody tr")).to_have_count(2)
        expect(page.locator("[data-widget=hosts] td[data-title=CPU] b").first).to_have_text("25")
