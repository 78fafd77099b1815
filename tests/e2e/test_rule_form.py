"""The form of a rule in the admin, in a real browser, up to the alert that the rule fires."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.server import Server

PASSWORD = "correct-horse-9"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [{"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}], indirect=True),
]


@pytest.fixture
def admin(browser: Browser, module_server: Server, console_errors: list[str]) -> Iterator[Page]:
    """A page of the admin, logged in."""
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.on("console", lambda message: console_errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: console_errors.append(str(error)))
    page.goto(f"{module_server.url}/login/?next=/admin/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.locator("[type=submit]").click()
    page.set_default_timeout(15_000)
    yield page
    context.close()


def send(server: Server, failed: int, ok: int) -> None:
    events = [
        {
            "timestamp": datetime.now(UTC).isoformat(),
            "model_name": "wobbly",
            "response_time_ms": 100,
            "success": number >= failed,
            "status_code": 200 if number >= failed else 500,
        }
        for number in range(failed + ok)
    ]
    assert server.post("/track/inference", events).json()["accepted"] == failed + ok


def offered(page: Page, name: str) -> list[str]:
    """The choices that are shown."""
    return [label.inner_text() for label in page.locator(f".field-{name} label:has(input)").all() if label.is_visible()]


class ARuleOfTheForm:
    def test_is_judged_while_it_is_written_and_fires_once_saved(
        self, module_server: Server, admin: Page, console_errors: list[str]
    ) -> None:
        send(module_server, failed=3, ok=1)
        admin.goto(f"{module_server.url}/admin/alerts/alertrule/add/")
        admin.get_by_label("Metric").select_option("system.cpu_percent")
        assert offered(admin, "stat") == ["mean", "lowest", "highest", "newest"]
        assert offered(admin, "group_by") == ["host"]

        admin.get_by_label("Metric").select_option("inference.error_rate_percent")
        assert offered(admin, "stat") == ["mean"]
        assert offered(admin, "group_by") == ["model", "provider", "service", "endpoint"]
        admin.get_by_label("Threshold:").fill("60")
        panel = admin.locator("[data-panel]:not(.stale)")
        expect(panel.get_by_role("row", name="wobbly")).to_contain_text("▲ the condition holds")
        past = admin.locator("[data-backtest]:not(.stale)")
        expect(past).to_contain_text("in the last 7 days")
        past.get_by_label("Time range of the backtest").focus()
        past.get_by_label("Time range of the backtest").select_option("24h")
        expect(past).to_contain_text("in the last day")
        expect(past.get_by_label("Time range of the backtest")).to_be_focused()
        expect(panel.get_by_role("row", name="wobbly")).to_contain_text("75 %")
        expect(panel.locator(".rule-sentence")).to_have_text(
            "Warns when the mean error rate over 5 minutes is above 60 % for 1 minute, for each model."
        )

        admin.get_by_label("Clears below").fill("70")
        expect(admin.locator("[data-problem]")).to_have_text("Clears below: must be at most the threshold, 60.")
        admin.get_by_label("Clears below").fill("50")
        admin.get_by_label("For at least").fill("0")
        admin.get_by_label("Name").press_sequentially("Wobbly")
        expect(admin.get_by_label("Id:", exact=True)).to_have_value("wobbly")
        expect(panel.locator(".rule-sentence")).to_contain_text("Clears below 50 %.")
        admin.get_by_role("button", name="Save", exact=True).click()
        expect(admin.locator(".messagelist")).to_contain_text("was added successfully")

        admin.goto(f"{module_server.url}/dashboard/alerts/")
        expect(admin.get_by_role("heading", name="Wobbly").first).to_be_visible(timeout=20_000)
        (alert,) = module_server.get("/alerts?state=firing&model=wobbly").json()["results"]
        assert (alert["rule"], alert["value"]) == ("wobbly", 75.0)
        admin.goto(f"{module_server.url}/admin/alerts/alertrule/wobbly/change/")
        expect(panel.get_by_role("row", name="wobbly")).to_contain_text("▲ fires since")
        assert console_errors == []


WITHOUT_A_NAME = """() => {
  const named = (node) => node.ariaLabel?.trim() || node.innerText?.trim() || (node.href && node.title)
    || node.querySelector("img[alt]:not([alt='']), [title]")
    || [...(node.labels ?? [])].some((label) => label.innerText.trim());
  const fields = document.querySelectorAll("input:not([type=hidden], [type=submit]), select, textarea");
  const links = document.querySelectorAll("a[href], button");
  return [...fields, ...links].filter((node) => node.checkVisibility() && !named(node)).map((node) => node.outerHTML);
}"""
ONLY_COLOURED = """() => [...document.querySelectorAll(".breadcrumbs a, #toolbar a")]
  .filter((link) => !getComputedStyle(link).textDecorationLine.includes("underline")).map((link) => link.outerHTML)"""


class ThePagesOfTheAdmin:
    def test_name_every_field_and_link_and_mark_links_by_more_than_colour(
        self, module_server: Server, admin: Page, console_errors: list[str]
    ) -> None:
        for path in (
            "",
            "alerts/alertrule/",
            "alerts/alertrule/add/",
            "alerts/alertrule/high-cpu-usage/change/",
            "alerts/alert/",
            "metrics/inferencemetrics/",
            "metrics/annotation/add/",
            "access/apikey/add/",
            "auth/user/",
        ):
            admin.goto(f"{module_server.url}/admin/{path}")
            assert admin.evaluate(WITHOUT_A_NAME) == [], path
            assert admin.evaluate(ONLY_COLOURED) == [], path
        assert console_errors == []
