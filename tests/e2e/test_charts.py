"""What people do with a chart, in a real browser: zoom, enlarge, save."""

from __future__ import annotations

import csv
import io
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of two models in the last hour and in the hour before, and one of demo data."""
    at = datetime.now(UTC)
    module_server.post("/track/inference", {"model_name": "m", "metadata": {"llmmonitor.demo": True}})
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "provider": "vllm",
                "timestamp": (at - timedelta(seconds=20 + 36 * n)).isoformat(),
                "success": True,
                "response_time_ms": base + 37 * (n % 40),
                "queue_time_ms": 20,
                "ttft_ms": 200,
                "completion_tokens": 50,
            }
            for model, base in (("llama", 900), ("qwen, 7b", 300))
            for n in range(180)
        ],
    )
    return module_server


def card(page: Page, widget: str) -> Locator:
    return page.locator(f'[data-widget="{widget}"]')


def drawn(page: Page, widget: str) -> Locator:
    """The card of a chart, in view and drawn."""
    found = card(page, widget)
    found.locator("canvas").scroll_into_view_if_needed()
    expect(found.locator("canvas")).to_have_attribute("aria-label", re.compile(":"))
    return found


def tooltips(page: Page) -> int:
    """The number of charts that show a tooltip."""
    count: int = page.evaluate(
        """() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(
             [...document.querySelectorAll("canvas")].map((canvas) => Chart.getChart(canvas))
               .filter((chart) => chart?.tooltip?.opacity > 0 && chart.tooltip.body?.length).length))))"""
    )
    return count


class AChart:
    def test_shows_one_time_while_a_rectangle_is_drawn(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h", height=1200)
        plot = drawn(page, "latency").locator("canvas")
        box = plot.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] * 0.4, box["y"] + 80
        page.mouse.move(x, y, steps=3)
        assert tooltips(page) == 1
        page.mouse.down()
        page.mouse.move(x + 80, y, steps=8)
        assert tooltips(page) == 0
        assert page.locator(".crosshair:not([hidden])").count() == 0
        assert not [text for text in page.locator("[data-values]").all_inner_texts() if " at " in text]
        page.mouse.up()
        expect(page).to_have_url(re.compile("from="))
        assert tooltips(page) == 0

    def test_shows_one_time_also_where_another_was_pinned(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h", height=1200)
        box = drawn(page, "heatmap").locator("canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] * 0.3, box["y"] + 6
        page.mouse.click(x, y)
        expect(page.locator(".crosshair.pinned:not([hidden])").first).to_be_visible()
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=4)
        assert page.locator(".crosshair:not([hidden])").count() == 0
        page.mouse.up()
        expect(page).to_have_url(re.compile("from="))


class TheWindowBefore:
    def test_is_hidden_and_shown_by_a_button_and_a_key(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h", height=1400)
        button = page.get_by_role("button", name="Window before")
        legends = [drawn(page, widget).locator("[data-legend]") for widget in ("latency", "histogram")]
        expect(button).to_have_attribute("aria-pressed", "true")
        for legend in legends:
            expect(legend).to_contain_text("window before")

        page.locator("#annotations").focus()
        page.keyboard.press("Tab")
        expect(button).to_be_focused()
        page.keyboard.press("Enter")

        expect(page).to_have_url(re.compile(r"\?range=1h&compare=none$"))
        expect(button).to_have_attribute("aria-pressed", "false")
        for legend in legends:
            expect(legend).not_to_contain_text("window before")
        expect(page.locator(".tab", has_text="Queue")).to_have_attribute("href", re.compile("compare=none"))
        page.reload()
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        expect(button).to_have_attribute("aria-pressed", "false")
        drawn(page, "latency")
        expect(legends[0]).not_to_contain_text("window before")

        page.keyboard.press("c")
        expect(page).to_have_url(re.compile(r"\?range=1h$"))
        for legend in legends:
            expect(legend).to_contain_text("window before")
        assert console_errors == []

    def test_has_no_button_on_a_page_that_does_not_show_it(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/")
        assert page.get_by_role("button", name="Window before").count() == 0


class AnEnlargedChart:
    def test_has_its_close_button_above_its_head(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h")
        drawn(page, "latency").locator("canvas").focus()
        page.keyboard.press("f")
        dialog = page.locator("#enlarged")
        expect(dialog).to_be_visible()
        dialog.get_by_role("button", name="Close").click(timeout=2_000)  # a covered button cannot be clicked
        expect(dialog).to_be_hidden()
        expect(card(page, "latency")).to_be_visible()

    def test_closes_its_menu_first_and_then_itself(self, server: Server, open_page: Any) -> None:
        page = open_page(f"{server.url}/dashboard/latency/?range=1h")
        drawn(page, "histogram").locator("canvas").focus()
        page.keyboard.press("f")
        dialog = page.locator("#enlarged")
        dialog.locator("[data-menu]").click()
        menu = dialog.get_by_role("menu")
        expect(menu).to_be_visible()
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def page(server: Server, open_page: Any, console_errors: list[str]) -> Iterator[Page]:
    """The Latency page of one model in a past hour, in the dark theme."""
    to = datetime.now(UTC).replace(microsecond=0)
    times = {"from": (to - timedelta(hours=1)).isoformat(), "to": to.isoformat(), "model": "qwen, 7b"}
    yield open_page(f"{server.url}/dashboard/latency/?{urlencode(times)}", height=1000, theme="dark")
    assert console_errors == []


@dataclass
class File:
    """A file that a chart was saved as."""

    name: str
    content: bytes


def save(page: Page, widget: str, kind: str) -> File:
    """Save a chart with its menu."""
    drawn(page, widget).locator("[data-menu]").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name=f"Save as {kind}").click()
    return File(download.value.suggested_filename, Path(download.value.path()).read_bytes())


def size(page: Page, widget: str) -> dict[str, int]:
    """The width and the height of a canvas on the page, and the pixels that it has."""
    found: dict[str, int] = (
        drawn(page, widget)
        .locator("canvas")
        .evaluate("({ clientWidth, clientHeight, width, height }) => ({ clientWidth, clientHeight, width, height })")
    )
    return found


# The title of a picture: that of the card, or a complete one where the card has it from its page.
WIDGETS = {
    "latency": "Response time",
    "of-model-1": "Response time",
    "histogram": "Histogram of response times",
    "heatmap": "Heatmap of response times",
}


@pytest.mark.parametrize(("widget", "title"), WIDGETS.items())
class ASavedChart:
    def test_is_a_picture_of_twice_its_pixels_in_the_theme_shown(self, page: Page, widget: str, title: str) -> None:
        before = size(page, widget)
        file = save(page, widget, "PNG")
        width, height = (int.from_bytes(file.content[start : start + 4]) for start in (16, 20))
        assert file.content.startswith(b"\x89PNG")
        assert width == 2 * before["clientWidth"]
        assert height > 2 * before["clientHeight"] + 2 * 40  # and the head
        assert size(page, widget) == before, "the chart on the page keeps its size"
        corner, colours = page.evaluate(
            """async (data) => {
              const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
              const picture = await createImageBitmap(new Blob([bytes]));
              const ctx = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
              ctx.drawImage(picture, 0, 0);
              const pixels = new Uint32Array(ctx.getImageData(0, 0, picture.width, picture.height).data.buffer);
              const [red, green, blue] = ctx.getImageData(1, 1, 1, 1).data;
              return [[red, green, blue], new Set(pixels).size];
            }""",
            b64encode(file.content).decode(),
        )
        assert corner == [0x12, 0x16, 0x1D], "the card of the dark theme"
        assert colours > 50

    def test_is_a_drawing_of_paths_and_texts(self, page: Page, widget: str, title: str) -> None:
        file = save(page, widget, "SVG")
        drawing = ElementTree.fromstring(file.content)  # noqa: S314 (our own drawing)
        tags = {node.tag.removeprefix(SVG) for node in drawing.iter()}
        texts = [node.text or "" for node in drawing.iter(f"{SVG}text")]
        assert {"path", "text"} <= tags
        assert not tags & {"image", "foreignObject", "script"}
        assert len(list(drawing.iter(f"{SVG}path"))) > 10
        assert title in texts
        head = " ".join(texts)  # a line may be wrapped between two words
        assert "CET" in head or "CEST" in head
        assert "model qwen, 7b" in head
        assert "includes demo data" in head
        assert b"NaN" not in file.content
        chart = title.lower().replace(" ", "-")
        assert re.fullmatch(rf"llmmonitor_{chart}_qwen-7b_\d{{4}}-\d\d-\d\dT\d{{4}}_1h_demo\.svg", file.name)


class TheValuesOfAChart:
    def test_over_time_are_those_of_the_api_with_the_window_before(self, page: Page, server: Server) -> None:
        rows = list(csv.DictReader(io.StringIO(save(page, "latency", "CSV").content.decode(), newline="")))
        step = (
            page.evaluate("Chart.getChart(document.querySelector('[data-widget=latency] canvas')).overlays.step")
            // 1000
        )
        shown = dict(parse_qsl(urlsplit(page.url).query))
        start, end = (datetime.fromisoformat(shown[name]) for name in ("from", "to"))
        before = {"from": (start - (end - start)).isoformat(), "to": start.isoformat(), "model": shown["model"]}
        for window, query in (("shown", shown), ("before", before)):
            stats = ("p50", "p90", "p95", "p99", "count") if window == "shown" else ("p95",)
            series = "&".join(f"metric=inference.response_time_ms&stat={stat}" for stat in stats)
            of_api = server.get(f"/metrics/history?{series}&step={step}&{urlencode(query)}").json()
            expected = [
                (datetime.fromtimestamp(at / 1000, UTC), line["stat"], value)
                for line in of_api["series"]
                for at, value in line["points"]
            ]
            saved = [
                (datetime.fromisoformat(row["timestamp"]), row["stat"], float(row["value"]) if row["value"] else None)
                for row in rows
                if row["window"] == window
            ]
            assert saved == expected
            assert any(value for *_, value in saved)

    def test_over_time_are_the_same_as_json(self, page: Page) -> None:
        rows = list(csv.DictReader(io.StringIO(save(page, "latency", "CSV").content.decode(), newline="")))
        values = json.loads(save(page, "latency", "JSON").content)
        assert [float(row["value"]) for row in rows if row["value"]] == [
            row["value"] for row in values if row["value"] is not None
        ]

    def test_in_a_histogram_are_those_of_the_distribution(self, page: Page, server: Server) -> None:
        rows = list(csv.DictReader(io.StringIO(save(page, "histogram", "CSV").content.decode(), newline="")))
        query = urlsplit(page.url).query
        of_api = server.get(f"/metrics/distribution?metric=inference.response_time_ms&{query}").json()
        assert sum(int(row["count"]) for row in rows) == of_api["count"] > 0
        assert {row["model"] for row in rows} == {"qwen, 7b"}

    def test_in_a_heatmap_are_those_of_the_api(self, page: Page, server: Server) -> None:
        file = save(page, "heatmap", "CSV")
        rows = list(csv.DictReader(io.StringIO(file.content.decode(), newline="")))
        query = urlsplit(page.url).query
        of_api = server.get(f"/metrics/heatmap?metric=inference.response_time_ms&step=60&{query}").json()
        expected = [
            (at, of_api["edges"][row], of_api["edges"][row + 1], count)
            for at, column in zip(of_api["times"], of_api["counts"], strict=True)
            for row, count in enumerate(column)
            if count
        ]
        assert [
            (
                datetime.fromisoformat(row["time"]).timestamp() * 1000,
                float(row["above"]),
                float(row["up_to"]),
                int(row["count"]),
            )
            for row in rows
        ] == expected
