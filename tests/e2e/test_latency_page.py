"""The Latency page in a real browser. The header is in test_header.py."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser

BARS = """() => Chart.getChart(document.querySelector('[data-widget="histogram"] canvas'))"""


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with requests of two models: the queue of one of them grew in the last hour."""
    at = datetime.now(UTC)
    times = {("steady", 2): 0, ("steady", 80): 0, ("slow", 2): 6_000, ("slow", 80): 0}
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": model,
                "timestamp": (at - timedelta(minutes=minutes, seconds=n)).isoformat(),
                "request_id": f"{model}-{minutes}-{n}",
                "success": True,
                # 1,024 ms is the edge of a bucket.
                "response_time_ms": (1_024 if n == 12 else 900 + 10 * n) + wait,
                "queue_time_ms": 20 + wait,
                "ttft_ms": 200 + wait,
                "completion_tokens": 50,
            }
            for (model, minutes), wait in times.items()
            for n in range(30)
        ],
    )
    module_server.post(
        "/track/inference",
        [
            {
                "model_name": "steady",
                "timestamp": (at - timedelta(minutes=2)).isoformat(),
                "success": False,
                "error_type": "Timeout",
                "response_time_ms": response,
            }
            for response in (1_010, 1_024, 1_030)
        ],
    )
    return module_server


@pytest.fixture
def page(server: Server, open_page: Any) -> Page:
    page: Page = open_page(f"{server.url}/dashboard/latency/?range=1h")
    canvas = page.locator("[data-widget=histogram] canvas")
    canvas.scroll_into_view_if_needed()
    expect(canvas).to_have_attribute("aria-label", re.compile("slow, 30 requests"))
    return page


def address(page: Page) -> dict[str, list[str]]:
    page.wait_for_url("**/dashboard/requests/**")
    return parse_qs(urlsplit(page.url).query)


class TheLatencyPage:
    def test_says_which_model_rose_and_why(self, page: Page, console_errors: list[str]) -> None:
        expect(page.locator("h1")).to_have_text(
            "Response time rose to 6 times its value for slow alone: it is the queue."
        )
        row = page.locator("[data-table=percentiles] tr", has_text="slow")
        expect(row).to_contain_text("▲")
        widths = page.locator("[data-table=split] .split-line:not(.is-before) .part-queue").evaluate_all(
            "parts => parts.map((part) => Math.round(part.getBoundingClientRect().width))"
        )
        assert max(widths) > 10 * min(widths)
        assert console_errors == []

    def test_has_a_chart_of_each_model_on_one_scale(self, page: Page, console_errors: list[str]) -> None:
        charts = page.locator("[data-widget=by-model] section:visible")
        expect(charts).to_have_count(2)
        charts.first.scroll_into_view_if_needed()
        for name in ("slow", "steady"):
            canvas = charts.filter(has_text=name).locator("canvas")
            expect(canvas).to_have_attribute("aria-label", re.compile(f"^{name}: P99 .*, P95 .*, P50 "))
        drawn = charts.locator("canvas").evaluate_all(
            """canvases => canvases.map((canvas) => { const { data, scales } = Chart.getChart(canvas);
               return [[scales.y.min, scales.y.max], Math.max(...data.datasets[1].data.map(({ y }) => y))]; })"""
        )
        (limits, one), (others, another) = drawn
        assert limits == others
        assert sorted([one > 6_000, another > 6_000]) == [False, True], "each has the P95 of its model"
        charts.get_by_role("link", name="slow").click()
        page.wait_for_url("**/dashboard/models/slow/?range=1h")
        assert console_errors == []

    def test_saves_the_values_of_the_model_of_a_small_chart(self, page: Page) -> None:
        chart = page.locator("[data-widget=by-model] section:visible", has_text="steady")
        chart.scroll_into_view_if_needed()
        chart.locator("[data-menu]").click()
        with page.expect_download() as saved:
            chart.get_by_role("menuitem", name="Save as CSV").click()
        assert saved.value.suggested_filename.startswith("llmmonitor_response-time_steady_")
        text = Path(saved.value.path()).read_text(encoding="utf-8")
        assert "steady" in text
        assert "slow" not in text

    def test_counts_in_the_bars_what_the_table_of_the_histogram_has(self, page: Page) -> None:
        card = page.locator("[data-widget=histogram]")
        card.locator("[data-menu]").click()
        card.get_by_role("menuitem", name="View as table").click()
        for model in (0, 1):
            cells = card.locator("[data-table] tbody tr").evaluate_all(
                f"rows => rows.map((row) => parseInt(row.querySelectorAll('td')[{model}].textContent.replace(',', '')))"
            )
            assert sum(cells) == 30

    def test_opens_the_requests_of_a_bar(self, page: Page) -> None:
        x, y, low, high = page.evaluate(f"""() => {{
            const chart = ({BARS})();
            chart.canvas.scrollIntoView({{ block: "center" }});
            const number = chart.data.datasets.findIndex(({{ type, label }}) => type === "bar" && label === "slow");
            const bar = chart.data.datasets[number].data.findIndex(({{ y }}) => y > 0);
            const {{ x, y, base }} = chart.getDatasetMeta(number).data[bar];
            const {{ left, top }} = chart.canvas.getBoundingClientRect();
            return [left + x, top + (y + base) / 2, 6000, 8000];
        }}""")
        page.mouse.click(x, y)

        query = address(page)

        assert query["model"] == ["slow"]
        assert low < float(query["above_response_time_ms"][0]) < float(query["max_response_time_ms"][0]) < high
        start, end = (datetime.fromisoformat(query[name][0]) for name in ("from", "to"))
        assert end - start == timedelta(hours=1)

    def test_opens_as_many_requests_as_a_bar_counts(self, page: Page) -> None:
        histogram = page.evaluate("JSON.parse(document.getElementById('page-data').textContent).histogram")
        edges, model = histogram["log"]["edges"], [one["name"] for one in histogram["models"]].index("steady")
        card = page.locator("[data-widget=histogram]")
        card.locator("[data-menu]").click()
        card.get_by_role("menuitem", name="View as table").click()
        row = card.locator("[data-table] tbody tr").nth(edges.index(1_024) - 1)  # its last value is its upper edge
        row.locator("td").nth(model).get_by_role("button").click()
        query = address(page)
        count = histogram["log"]["counts"][model][edges.index(1_024) - 1]
        assert query["outcome"] == ["success"]
        assert float(query["max_response_time_ms"][0]) == 1_024
        expect(page.locator("tr[data-row]")).to_have_count(count)

    def test_opens_them_by_the_keyboard_too(self, page: Page) -> None:
        canvas = page.locator("[data-widget=histogram] canvas")
        canvas.focus()
        canvas.press("ArrowRight")
        for _ in range(40):
            if ": 0 requests" not in (page.locator("#announcer").text_content() or ": 0 requests"):
                break
            canvas.press("ArrowRight")
        canvas.press("Enter")
        assert "above_response_time_ms" in address(page)

    def test_keeps_the_scale_of_the_histogram_in_the_address(self, page: Page) -> None:
        page.locator("[data-widget=histogram] .segment", has_text="lin").click()
        assert page.evaluate(f"({BARS})().scales.x.ticks[0].label").startswith("0")
        assert "histogram-scale=lin" in page.url
