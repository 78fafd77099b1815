"""The demo in a browser: it fires an alert, continues after a restart, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.server import ROOT, MakeServer, Server, environment

pytestmark = pytest.mark.browser

# The incident fills the queue 20 s after the start. The rule's own window and duration would add a minute.
FASTER = (
    "from alerts.models import AlertRule;"
    "AlertRule.objects.filter(pk='queue-backlog').update(window_seconds=5, for_seconds=0)"
)


def shell(server: Server, code: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "shell", "-v", "0", "-c", code],
        cwd=ROOT,
        env=environment(server.data_dir, server.port),
        check=True,
    )


def wait_for(read: Callable[[], Any], seconds: float = 90) -> Any:
    until = time.monotonic() + seconds
    while not (value := read()):
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.2)
    return value


class TheDemo:
    def test_fires_an_alert_continues_after_a_restart_and_leaves_nothing_behind(
        self, make_server: MakeServer, open_page: Any, console_errors: list[str]
    ) -> None:
        server = make_server()

        def rules(path: str) -> set[str]:
            """The rules with alerts, but for those on this machine."""
            listed = server.get(path).json()["results"]
            return {each["rule"] for each in listed if "host" not in each["labels"]}

        shell(server, FASTER)
        page = open_page(server.url)
        page.get_by_role("button", name="Show me demo data").click()

        expect(page.locator("#demo-banner")).to_be_visible(timeout=60_000)
        expect(page.locator('[data-widget="latency"]')).to_be_visible()
        expect(page.locator("#models-table tbody")).to_contain_text("llama-3-70b")
        clock = page.locator(".sentence [data-aside]")
        expect(clock).not_to_have_text(clock.inner_text())  # ticks arrive

        wait_for(lambda: "queue-backlog" in rules("/alerts?state=firing"))
        wait_for(lambda: server.get("/demo").json()["progress_percent"] == 100)
        alerts = server.get("/alerts?model=llama-3-70b").json()["results"]
        assert {alert["is_demo"] for alert in alerts} == {True}
        assert rules("/alerts/history?limit=100") >= {"queue-backlog", "slow-response-time"}  # of the past, too
        assert console_errors == []

        server.restart()

        wait_for(lambda: server.get("/demo").json()["running"])
        page.goto(server.url)
        expect(page.locator("#demo-banner")).to_contain_text("three models")
        expect(page.get_by_role("button", name="Continue the demo")).to_be_hidden()
        expect(page.locator(".machine", has_text="gpu-box-1")).not_to_contain_text("down")
        console_errors.clear()  # of the time without a server

        page.get_by_role("button", name="Remove demo data").click()

        expect(page.locator("#demo-banner")).to_be_hidden(timeout=60_000)
        expect(page.get_by_role("heading", name="Send your first event")).to_be_visible()
        expect(page.locator(".machine")).to_have_count(1)
        expect(page.locator(".welcome [data-demo-text]")).to_contain_text("three models")
        assert rules("/alerts") == rules("/alerts/history?limit=100") == set()
        assert console_errors == []


class AStoppedDemo:
    def test_is_reported_with_a_button_that_continues_it(self, make_server: MakeServer, open_page: Any) -> None:
        server = make_server()
        server.post("/track/inference", {"model_name": "m", "metadata": {"llmmonitor.demo": True}})
        shell(
            server, "from metrics.models import DemoClaim; DemoClaim.objects.update_or_create(defaults={'live': True})"
        )
        page = open_page(server.url)
        banner = page.locator("#demo-banner")
        expect(banner).to_contain_text("It has stopped")

        page.get_by_role("button", name="Continue the demo").click()

        expect(banner).to_contain_text("shown together with your own data")
        expect(page.get_by_role("button", name="Continue the demo")).to_be_hidden()
        assert server.get("/demo").json()["running"] is True


class APageWithNothingToShow:
    def test_says_what_is_missing_and_creates_demo_data(
        self, make_server: MakeServer, open_page: Any, console_errors: list[str]
    ) -> None:
        server = make_server()
        server.post("/track/inference", {"model_name": "m", "response_time_ms": 100})  # it has no queue time
        page = open_page(f"{server.url}/dashboard/queue/?range=1h")
        place = page.locator("[data-nothing-yet]")
        expect(place).to_contain_text("No queue was measured")

        place.get_by_role("button", name="Show me demo data").click()

        expect(page.locator("#demo-banner")).to_be_visible(timeout=60_000)
        expect(place).to_be_hidden(timeout=60_000)
        page.locator("#help").click()
        help_dialog = page.locator("#help-dialog")
        help_dialog.get_by_role("button", name="Remove demo data").click()
        expect(page.locator("#demo-banner")).to_be_hidden(timeout=60_000)
        page.locator("#help").click()
        expect(help_dialog.get_by_role("button", name="Show me demo data")).to_be_visible()
        assert console_errors == []
