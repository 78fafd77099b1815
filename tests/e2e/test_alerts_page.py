"""The Alerts page in a real browser, on a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.rules import replace_rules, report_queue, rule_on_queue, run_in_shell
from tests.support.server import Server

PASSWORD = "correct horse battery"
OWN_PASSWORD = {"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("module_server", [OWN_PASSWORD], indirect=True)]

ARRIVES_MS = 20_000  # an evaluation each five seconds, and a machine under load
MODELS = ("slow", "slower", "stuck")


@pytest.fixture
def alerting(module_server: Server) -> Iterator[Server]:
    """A server with two rules, of which the critical one fires."""
    backlog = rule_on_queue("backlog", "Queue Backlog", 100, "warning") | {"for_seconds": 3_600}
    jam = rule_on_queue("jam", "Queue Jam", 200, "critical")
    replace_rules(module_server, backlog, jam)
    report_queue(module_server, "stuck", 400)
    yield module_server
    for model in MODELS:
        report_queue(module_server, model, 0)


def address(server: Server) -> str:
    return f"{server.url}/dashboard/alerts/"


def card(page: Page, name: str) -> Any:
    return page.locator(".alert").filter(has=page.get_by_role("heading", name=name))


def sign_in(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("html")).to_have_attribute("data-ready", "true")


class TheAlertsPage:
    def test_adds_the_default_rules_where_there_is_none(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        replace_rules(module_server)
        page = open_page(module_server.url)
        page.goto(f"{module_server.url}/login/?next=/dashboard/alerts/")
        sign_in(page)
        expect(page.locator(".sentence h1")).to_have_text("No rule yet. Add the six defaults.")

        page.get_by_role("button", name="Add the six defaults").press("Enter")

        expect(page.locator(".rule")).to_have_count(6)
        expect(page.locator(".sentence h1")).not_to_contain_text("No rule yet")
        assert console_errors == []

    def test_says_what_is_wrong_with_the_alerting(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        replace_rules(module_server, rule_on_queue("backlog", "Queue Backlog", 100, "warning"))
        page = open_page(address(module_server))
        alerting = page.locator(".alerting")
        expect(alerting).to_contain_text("no problem")
        expect(alerting).to_contain_text("1 judged in")
        expect(alerting).to_contain_text("no channel: nobody is notified")

        run_in_shell(module_server, "from alerts.models import AlertRule as R; R.objects.update(metric_name='no_such')")

        expect(alerting).to_contain_text("Queue Backlog cannot be judged: metric_name must be", timeout=ARRIVES_MS)
        expect(alerting).to_contain_text("1 problem")
        assert console_errors == []

    def test_says_that_nothing_fires_and_how_near_the_rules_are(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        replace_rules(module_server, rule_on_queue("backlog", "Queue Backlog", 100, "warning"))
        report_queue(module_server, "slow", 87)
        page = open_page(module_server.url)
        sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/ws/metrics", lambda socket: (socket.connect_to_server(), sockets.append(socket)))
        page.clock.install()

        page.get_by_role("link", name="Alerts", exact=True).click()

        title = page.locator(".sentence h1")
        expect(title).to_have_text(
            re.compile(r"Nothing fires\. Nearest: Queue Backlog, at 87\s% of its threshold\."), timeout=ARRIVES_MS
        )
        expect(page.locator(".sentence")).to_have_attribute("data-state", "ok")
        expect(page.locator(".alert")).to_have_count(0)
        rule = page.locator(".rule")
        expect(rule).to_contain_text(re.compile(r"Queue Backlog.*pending over .* >\s100"))
        expect(rule.get_by_role("img", name=re.compile("87 % of the threshold"))).to_be_visible()
        expect(page.locator("[data-widget=silences]")).to_contain_text("none now")

        # Long before the next regular reading of the figures, a hint that alerts have changed makes one.
        with page.expect_request_finished(lambda request: "/figures" in request.url):
            pass
        page.clock.pause_at(page.evaluate("Date.now() + 100") / 1000)
        sockets[-1].send('{"type": "alerts_changed"}')
        with page.expect_request("**/figures"):
            page.clock.run_for(1_000)
        page.clock.resume()
        assert console_errors == []

    def test_lets_a_visitor_acknowledge_and_silence_with_the_keyboard(
        self, alerting: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(address(alerting))
        jam, backlog = card(page, "Queue Jam"), card(page, "Queue Backlog")
        expect(page.locator(".sentence h1")).to_have_text(
            re.compile(r"^Queue Jam fires for stuck, since \d\d:\d\d\.$"), timeout=ARRIVES_MS
        )
        expect(jam.locator(".alert-value")).to_have_text("400requests")
        expect(jam).to_contain_text(re.compile(r"100\s% over 200"))
        expect(jam.locator(".chart-limit")).to_have_count(1)
        expect(backlog).to_contain_text(re.compile(r"pending \d+\ss of 1\sh.*fires at \d\d:"))

        # Nobody is signed in: the way leads over the login page back to the same alert and note.
        jam.get_by_label("Note on").focus()
        page.keyboard.type("rolling back vllm")
        page.keyboard.press("Enter")
        sign_in(page)
        expect(jam.get_by_label("Note on")).to_be_focused()
        expect(jam.get_by_label("Note on")).to_have_value("rolling back vllm")
        page.keyboard.press("Enter")
        expect(jam).to_contain_text(re.compile("by admin since .*: “rolling back vllm”"))
        expect(jam.get_by_role("button", name="Acknowledge")).to_have_count(0)
        expect(jam.get_by_role("button", name="Silence 1 h")).to_be_focused()
        expect(page.locator(".sentence")).to_contain_text("Queue Jam for stuck is acknowledged by admin")

        # The menu of a silence.
        jam.get_by_role("button", name="other durations").focus()
        page.keyboard.press("Enter")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        silences = page.locator("[data-widget=silences]")
        expect(silences).to_contain_text(re.compile("Silenced for 4.h.*rule Queue Jam, model stuck · by admin"))
        expect(page.locator(".sentence")).to_contain_text("1 alert is silenced.")
        silences.get_by_role("button", name="End the silence").press("Enter")
        expect(silences).to_contain_text("none now")
        expect(page.locator(".sentence")).to_contain_text("Queue Jam for stuck is acknowledged by admin")

        # The form, from the menu of a pending alert.
        backlog.get_by_role("button", name="other durations").press("Enter")
        backlog.get_by_role("menuitem", name="Other…").press("Enter")
        expect(silences.get_by_label("Label")).to_have_value("model=stuck")
        silences.get_by_label("Reason").fill("load test")
        page.keyboard.press("Enter")
        expect(silences).to_contain_text(re.compile("load test.*rule Queue Backlog, model stuck · by admin"))
        expect(backlog.get_by_role("img", name="silenced, warning")).to_be_visible()

        # A window that recurs, and begins later.
        window = {"matchers": {"rule": ["jam"]}, "reason": "nightly", "duration_seconds": 60}
        window["start_time"] = f"{datetime.now(UTC) + timedelta(hours=2):%H:%M}"
        page.evaluate("async (w) => (await import('/static/dashboard/js/page/api.js')).addSilence(w)", window)
        page.reload()
        expect(silences.locator("li", has_text="nightly").locator(".silence-end")).to_have_text(
            re.compile("^in [12].h")
        )
        assert console_errors == []

    def test_shows_the_history_as_a_timeline_and_as_a_list(
        self, alerting: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(f"{address(alerting)}?range=1h", theme="dark")
        history = page.locator("[data-widget=timeline]")
        bar = history.get_by_role("button", name=re.compile("Queue Jam, stuck: fired for"))
        expect(bar.last).to_be_visible(timeout=ARRIVES_MS)

        bar.last.focus()
        expect(history.locator("[data-card]")).to_contain_text(re.compile(r"Queue Jam.*400\srequests · threshold 200"))
        page.keyboard.press("Escape")
        expect(history.locator("[data-card]")).to_be_hidden()
        history.get_by_role("button", name="Alerts as a list").click()
        expect(history.get_by_role("row").filter(has_text="Queue Jam").first).to_contain_text("critical")
        link = history.get_by_role("link", name="CSV").first.get_attribute("href")
        assert b"Queue Jam" in alerting.get(str(link)).body

        bar.last.press("Enter")
        expect(page).to_have_url(re.compile("from=.*to="))
        assert console_errors == []

    def test_has_the_acknowledging_on_the_first_screen_of_a_phone(
        self, alerting: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(address(alerting), width=390, height=844)
        expect(card(page, "Queue Jam")).to_be_visible(timeout=ARRIVES_MS)
        button = card(page, "Queue Jam").locator(".alert-actions button").first

        box = button.bounding_box()

        assert box is not None
        assert box["y"] + box["height"] <= 844
        assert box["height"] >= 44
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        as_info = "(node) => { node.classList.replace('critical', 'info'); return node.clientWidth; }"
        assert card(page, "Queue Jam").evaluate(as_info) > 300
        assert console_errors == []
