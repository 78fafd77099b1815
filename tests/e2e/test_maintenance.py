"""A maintenance window, made in the admin without scripts, silences an alert on a page that is open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.rules import replace_rules, report_queue, rule_on_queue
from tests.support.server import Server

PASSWORD = "correct horse battery"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [{"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}], indirect=True),
]
ARRIVES_MS = 15_000


@pytest.fixture
def admin(browser: Browser, module_server: Server) -> Any:
    """A page of the admin without scripts, logged in."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1440, "height": 900}, locale="en-GB")
    page = context.new_page()
    page.goto(f"{module_server.url}/login/?next=/admin/")
    page.fill("[name=username]", "admin")
    page.fill("[name=password]", PASSWORD)
    page.locator("[type=submit]").click()
    yield page
    context.close()


def add_window(admin: Page, server: Server) -> None:
    """Add a window of an hour on every day, which began five minutes ago."""
    admin.goto(f"{server.url}/admin/alerts/silence/add/")
    admin.get_by_label("Reason").fill("Nightly batch")
    admin.get_by_label("Which alerts").fill("rule = backlog\nmodel = slow, slower")
    admin.get_by_label("Begins at").fill(f"{datetime.now(UTC) - timedelta(minutes=5):%H:%M}")
    admin.get_by_label("Lasts").fill("60")
    admin.locator("[name=_save]").click()


class AMaintenanceWindow:
    def test_silences_its_alert_until_it_is_ended(
        self, module_server: Server, admin: Page, open_page: Any, console_errors: list[str]
    ) -> None:
        replace_rules(module_server, rule_on_queue("backlog", "Queue Backlog", 100, "warning"))
        add_window(admin, module_server)
        expect(admin.locator("#result_list")).to_contain_text("rule backlog, model slow or slower")
        expect(admin.locator("#result_list")).to_contain_text("for 1 hour (UTC), until it is ended")
        event = {"model_name": "slow", "response_time_ms": 900}
        assert module_server.post("/track/inference", event).status == 200
        page = open_page(module_server.url)
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")

        report_queue(module_server, "slow", 150)

        expect(page.locator("#bell-summary")).to_have_text(
            "1 alert fires, acknowledged or silenced.", timeout=ARRIVES_MS
        )
        expect(page.locator(".bell-count")).to_be_hidden()
        expect(page.locator(".toast:visible")).to_have_count(0)
        (alert,) = page.request.get(f"{module_server.url}/alerts").json()["results"]
        assert (alert["state"], alert["silenced_until"] is not None) == ("firing", True)
        context = page.request.get(f"{module_server.url}/alerts/{alert['id']}").json()["context"]
        assert context["pending"] == 150
        page.goto(module_server.url + context["chart_url"])
        expect(page.locator("#queue-title")).to_be_in_viewport()

        admin.goto(f"{module_server.url}/admin/alerts/silence/")
        admin.locator("[name=_selected_action]").check()
        admin.locator("select[name=action]").select_option("end")
        admin.get_by_role("button", name="Go").click()

        expect(page.locator(".bell-count")).to_have_text("1", timeout=ARRIVES_MS)
        expect(admin.locator("#result_list")).to_contain_text("ended")
        history = page.request.get(f"{module_server.url}/alerts/history?alert={alert['id']}").json()["results"]
        assert [(row["to"], row["by"]) for row in history] == [
            ("unsilenced", "admin"), ("silenced", "admin"), ("firing", None),
        ]  # fmt: skip
        assert console_errors == []
