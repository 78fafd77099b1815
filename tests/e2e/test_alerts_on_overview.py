"""A rule that fires, on the Overview in a real browser: the sentence, the tile, and the marks of the charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.rules import replace_rules
from tests.support.server import Server

pytestmark = pytest.mark.browser

RULE = {
    "id": "slow",
    "name": "Slow Now",
    "metric_type": "inference",
    "metric_name": "response_time_ms",
    "stat": "p95",
    "window_seconds": 300,
    "threshold": 1_000,
    "filters": {"model": ["slow-model"]},
}


def send(server: Server, model: str, response_time_ms: float) -> None:
    at = datetime.now(UTC) - timedelta(seconds=10)
    event = {"timestamp": at.isoformat(), "model_name": model, "response_time_ms": response_time_ms, "success": True}
    reply = server.post("/track/inference", [event | {"request_id": f"{model}-{n}"} for n in range(25)])
    assert reply.status == 200, reply.body


def marks(page: Page, widget: str) -> dict[str, Any]:
    """The marks of alerts that a chart draws, when it is drawn."""
    drawn: dict[str, Any] = page.wait_for_function(
        "(widget) => Chart.getChart(document.querySelector(`[data-widget=${widget}] canvas`))?.overlays?.alerts",
        arg=widget,
    ).json_value()
    return drawn


@pytest.fixture(scope="module", autouse=True)
def rule(module_server: Server) -> None:
    """The rule that fires, and one whose threshold is above the axis."""
    far = RULE | {"id": "far", "name": "Far Away", "threshold": 60_000, "filters": {}}
    replace_rules(module_server, RULE, far)


class ARuleThatFires:
    def test_is_the_sentence_marks_its_tile_and_its_charts_without_a_reload(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        send(module_server, "fast-model", 200)
        page = open_page(f"{module_server.url}/?range=15m", height=1200)
        expect(page.locator("#models-table")).to_contain_text("fast-model")

        send(module_server, "slow-model", 2_000)

        expect(page.locator(".sentence h1")).to_have_text(
            re.compile(r"^slow-model is slow: P95 [12]\.\d\d\ss, over 1\ss since \d\d:\d\d\.$"),
            timeout=15_000,  # an evaluation each five seconds, and a machine under load
        )
        expect(page.locator(".sentence")).to_have_attribute("data-state", "warning")
        expect(page.locator('[data-tile="p95"]')).to_have_class("tile warning")
        card = page.locator(".firing-alert")
        expect(card).to_contain_text(
            re.compile(r"Slow Now.*slow-model · P95 [12]\.\d\d\ss over 1\ss · since \d\d:\d\d, ")
        )
        expect(page.locator(".firing-alerts [data-values]")).to_have_text("1 of 2 rules")
        page.wait_for_function(
            "Chart.getChart(document.querySelector('[data-widget=latency] canvas')).overlays.alerts.spans.length > 0"
        )
        drawn = marks(page, "latency")
        assert [(span["name"], span["state"], span["to"]) for span in drawn["spans"]] == [("Slow Now", "firing", None)]
        lines = {line["label"].replace("\u00a0", " "): line for line in drawn["thresholds"]}
        assert lines["Slow Now 1 s, each model"]["value"] == 1_000
        assert lines["Slow Now 1 s, each model"]["isActive"]
        assert not lines["Far Away 1 m, each model"]["isActive"]
        assert marks(page, "requests")["spans"] == []
        described = page.locator('[data-widget="latency"] canvas')
        expect(described).to_have_attribute("aria-label", re.compile(r" Slow Now fired\.$"))
        assert console_errors == []

    def test_is_in_the_saved_picture_with_its_threshold(self, module_server: Server, open_page: Any) -> None:
        send(module_server, "slow-model", 2_000)
        page = open_page(f"{module_server.url}/?range=15m", height=1200, theme="dark")
        page.wait_for_function(
            "Chart.getChart(document.querySelector('[data-widget=latency] canvas'))?.overlays.alerts.spans.length > 0"
        )
        page.locator('[data-widget="latency"] [data-menu]').click()
        with page.expect_download() as download:
            page.get_by_role("menuitem", name="Save as SVG").click()
        drawing = Path(download.value.path()).read_text(encoding="utf-8").replace("\u00a0", " ")
        assert ">Slow Now 1 s, each model<" in drawing
        assert ">Far Away 1 m, each model ↑<" in drawing  # above the axis
        assert "NaN" not in drawing

    def test_is_acknowledged_in_its_card_and_then_leads_no_more(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        link = re.search(rf"{re.escape(module_server.url)}/login/link/\S+", module_server.output)
        assert link
        page = open_page(link[0], height=1200)
        send(module_server, "slow-model", 2_000)
        page.get_by_role("button", name="Acknowledge: Slow Now, slow-model").press("Enter")

        expect(page.locator(".firing-alert")).to_contain_text("acknowledged by admin")
        expect(page.locator(".sentence h1")).to_have_text("No alert needs attention.")
        expect(page.locator(".sentence [data-text]")).to_contain_text("Acknowledged: Slow Now for slow-model since ")
        expect(page.locator('[data-tile="p95"]')).to_have_class("tile ")
        heights = [
            page.locator(f'[data-widget="{name}"]').evaluate("(node) => node.offsetHeight")
            for name in ("latency", "firing-alerts", "machines")
        ]
        assert heights[0] == sum(heights[1:]) + 12  # the column is as high as the chart
        assert console_errors == []

    def test_does_not_count_where_another_model_is_chosen(self, module_server: Server, open_page: Any) -> None:
        for model, response_time_ms in (("fast-model", 200), ("slow-model", 2_000)):
            send(module_server, model, response_time_ms)
        page = open_page(f"{module_server.url}/?range=15m", height=1200)
        expect(page.locator(".firing-alert")).to_contain_text("slow-model")

        page = open_page(f"{module_server.url}/?range=15m&model=fast-model", height=1200)
        expect(page.locator(".firing-alerts")).to_contain_text("Nothing fires")
        expect(page.locator(".sentence h1")).not_to_contain_text("slow-model")
        assert marks(page, "latency")["spans"] == []
