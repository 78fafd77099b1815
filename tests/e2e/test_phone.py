"""The pages on a phone: their first screen, the size of their targets, and their width."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from dashboard.pages import PAGES
from tests.support.rounds import rounds
from tests.support.server import Server

pytestmark = pytest.mark.browser

PATHS = [*(f"/{spec.path}" for spec in PAGES), "/login/"]
FINGER, POINTER = 44, 24  # px; the smallest targets

# Targets in the page, but for links in a sentence and marks in a chart, which also are in a list.
TARGETS = "a[href], button, input, select, textarea, summary, [role=button]"
SMALL_TARGETS = """(elements, least) => elements
  .filter((element) => !element.closest("p, li, .sentence, .skip, svg"))
  .filter((element) => element.checkVisibility({ visibilityProperty: true }))
  .map((element) => [element.closest("label") ?? element, element.getBoundingClientRect()])
  .map(([target, box]) => [target, target.tagName === "LABEL" ? target.getBoundingClientRect() : box])
  .filter(([, box]) => box.width && box.height && (box.width < least - 0.5 || box.height < least - 0.5))
  .map(([target, box]) => `${target.outerHTML.slice(0, 120)} ${Math.round(box.width)} × ${Math.round(box.height)}`)"""


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with demo data of the last minutes: requests, failures, a machine and a queue."""
    at = datetime.now(UTC)
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": "llama-3-70b",
                "timestamp": (at - timedelta(seconds=5 * n)).isoformat(),
                "request_id": f"{n}",
                "response_time_ms": 900 + n,
                "queue_time_ms": 20,
                "success": n % 5 != 0,
                "error_type": None if n % 5 else "APITimeoutError",
                "metadata": {"llmmonitor.demo": True},
            }
            for n in range(60)
        ],
    )
    module_server.post(
        "/track/system",
        {"host": "box", "cpu_percent": 20, "gpu_metrics": [{"gpu_id": "0", "utilization_percent": 50}]},
    )
    module_server.post(
        "/track/queue", {"model_name": "llama-3-70b", "source": "gpu-box-1:8000", "pending": 1, "processing": 2}
    )
    return module_server


@pytest.fixture
def open_at(browser: Browser, server: Server) -> Iterator[Callable[..., Page]]:
    """`open_at(path, width=…, touch=…)`: a page of the server, ready."""
    contexts = []

    def open_at(path: str, width: int = 390, touch: bool = True) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 844 if touch else 900}, has_touch=touch, is_mobile=touch
        )
        contexts.append(context)
        page = context.new_page()
        page.goto(server.url + path)
        if path != "/login/":
            expect(page.locator("html")).to_have_attribute("data-ready", "true", timeout=30_000)
        return page

    yield open_at
    for context in contexts:
        context.close()


class APage:
    @pytest.mark.parametrize("path", PATHS)
    def test_on_a_phone_has_targets_for_a_finger_and_fits_the_width(self, open_at: Any, path: str) -> None:
        page = open_at(path)
        assert page.locator(TARGETS).evaluate_all(SMALL_TARGETS, FINGER) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390

    @pytest.mark.parametrize("path", rounds(PATHS, always=("/",)))
    def test_with_a_pointer_has_targets_of_24_px(self, open_at: Any, path: str) -> None:
        page = open_at(path, width=1440, touch=False)
        assert page.locator(TARGETS).evaluate_all(SMALL_TARGETS, POINTER) == []


class TheFirstScreenOfAPhone:
    def test_shows_the_sentence_and_the_first_tile_below_a_compact_header(self, open_at: Any) -> None:
        page = open_at("/")
        expect(page.locator("#demo-banner")).to_be_visible()
        top = page.locator(".sentence h1").bounding_box()["y"]
        tile = page.locator(".tile").first.bounding_box()
        assert top < 844 / 3
        assert tile["y"] + tile["height"] < 844

    def test_has_the_demo_banner_in_one_line_with_its_button(self, open_at: Any) -> None:
        page = open_at("/")
        assert page.locator("#demo-banner").bounding_box()["height"] < 50
        expect(page.get_by_role("button", name="Remove demo data")).to_be_visible()

    def test_has_room_between_the_tabs_and_the_controls(self, open_at: Any) -> None:
        page = open_at("/")
        tabs = page.locator(".tabs").bounding_box()
        assert page.locator(".live-button").bounding_box()["y"] >= tabs["y"] + tabs["height"] + 4

    def test_shows_the_chosen_time_range_beside_the_wider_button_of_a_pause(self, open_at: Any) -> None:
        page = open_at("/?from=2026-11-24T13:00:00Z&to=2026-11-24T14:00:00Z")
        ranges = page.locator(".head-controls .segmented").bounding_box()
        chosen = page.locator(".head-controls .segment[aria-pressed=true]").bounding_box()
        assert chosen["x"] >= ranges["x"]
        assert chosen["x"] + chosen["width"] <= ranges["x"] + ranges["width"] + 1

    def test_shows_the_filters_in_rows_of_their_own(self, open_at: Any) -> None:
        page = open_at("/dashboard/latency/")
        ranges = page.locator(".head-controls .segmented").bounding_box()
        page.locator("#filters-toggle").click()
        for name in ("model", "provider", "service", "host"):
            box = page.locator(f"[data-filter={name}] button").bounding_box()
            assert box["width"] > 390 / 3
            assert box["y"] > ranges["y"] + ranges["height"] / 2
        assert page.locator(".head-controls .segmented").bounding_box()["width"] == pytest.approx(
            ranges["width"], abs=1
        )

    def test_has_the_filters_behind_one_button(self, open_at: Any) -> None:
        page = open_at("/")
        model = page.locator("[data-filter=model] button")
        expect(model).to_be_hidden()
        page.get_by_role("button", name="Filters").click()
        expect(page.get_by_role("button", name="Filters")).to_have_attribute("aria-expanded", "true")
        model.click()
        page.locator("[data-filter=model] label", has_text="llama-3-70b").click()
        expect(page.locator("#chips")).to_contain_text("llama-3-70b")
        page.get_by_role("button", name="Filters").click()
        expect(model).to_be_hidden()


class ATable:
    def test_of_the_sources_of_queues_fits_its_card(self, open_at: Any) -> None:
        table = open_at("/dashboard/queue/").locator(".table-scroll:has(.sources-table)")
        assert table.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


class TheBarOfARule:
    def test_is_as_wide_as_its_row(self, open_at: Any) -> None:
        bar = open_at("/dashboard/alerts/").locator(".bullet").first
        width = bar.bounding_box()["width"]
        assert width > 390 / 2
        assert bar.locator(".track").bounding_box()["width"] == pytest.approx(width, abs=1)


class TheSplitByModel:
    def test_explains_no_bar_that_is_not_there(self, open_at: Any) -> None:
        page = open_at("/dashboard/latency/")
        expect(page.locator(".split-line").first).to_be_visible()
        expect(page.locator(".split-line.is-before")).to_have_count(0)
        assert page.locator("section:has(#split-title) .card-values").inner_text() == "mean of successful requests"
