"""Alerts arrive in a real browser: bell, toast, sound and title, pushed by a real server."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.rules import replace_rules, report_queue, rule_on_queue
from tests.support.server import Server

PASSWORD = "correct horse battery"
OWN_PASSWORD = {"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("module_server", [OWN_PASSWORD], indirect=True)]

ARRIVES_MS = 15_000  # an evaluation each five seconds, and a machine under load
# Records the notes that are played.
SPY = """() => { window.notes = [];
  window.OscillatorNode = class extends window.OscillatorNode {
    constructor(context, options) { super(context, options); window.notes.push(Math.round(options.frequency)); } }; }"""
CRITICAL, WARNING = [880, 1175], [659]


@pytest.fixture
def alerting(module_server: Server) -> Iterator[Server]:
    """A server with a rule of each severity, on which nothing fires."""
    replace_rules(
        module_server,
        rule_on_queue("backlog", "Queue Backlog", 100, "warning") | {"filters": {"model": ["slow", "slower"]}},
        rule_on_queue("jam", "Queue Jam", 100, "critical") | {"filters": {"model": ["stuck"]}},
    )
    yield module_server
    for model in ("slow", "slower", "stuck"):
        report_queue(module_server, model, 0)


def toast(page: Page, title: str) -> Any:
    return page.locator(".toast").filter(has_text=title)


def login_link(server: Server) -> str:
    """The link that the server has printed, which signs an admin in once. An admin may acknowledge and silence."""
    match = re.search(rf"{re.escape(server.url)}/login/link/\S+", server.output)
    assert match
    return match[0]


class AnAlert:
    def test_arrives_at_once_and_is_handled_with_the_keyboard(
        self, alerting: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(login_link(alerting))
        title = page.title()
        page.evaluate(SPY)
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        expect(page.locator("#sound-switch")).to_have_attribute("aria-checked", "false")

        # A warning, while the sound is off.
        report_queue(alerting, "slow", 150)
        expect(toast(page, "Queue Backlog")).to_contain_text("150", timeout=ARRIVES_MS)
        link = toast(page, "Queue Backlog").get_by_role("link", name="Open")
        expect(link).to_have_attribute("href", re.compile(r"/dashboard/alerts/#alert-\d+$"))
        expect(page).to_have_title("(1) ▲ Queue Backlog · LLM Monitor")
        expect(page.locator("#bell")).to_have_attribute("data-state", "warning")
        expect(page.locator('link[rel="icon"]')).to_have_attribute("href", re.compile("icon-warning"))
        assert page.evaluate("notes") == []

        # Turned on, a test and a critical alert are heard.
        page.locator("#bell").press("Enter")
        page.locator("#sound-switch").press("Space")
        expect(page.locator("#sound-word")).to_have_text("on")
        page.get_by_role("button", name="Test the sound of warnings").press("Enter")
        page.wait_for_function("() => window.notes.length === 1")
        page.keyboard.press("Escape")
        expect(page.locator("#bell-panel")).to_be_hidden()
        expect(page.locator("#bell")).to_be_focused()
        report_queue(alerting, "stuck", 400)
        expect(toast(page, "Queue Jam")).to_have_attribute("role", "alert", timeout=ARRIVES_MS)
        page.wait_for_function("() => window.notes.length === 3")
        assert page.evaluate("notes") == WARNING + CRITICAL
        expect(page).to_have_title("(2) ■ Queue Jam · LLM Monitor")
        expect(page.locator("#bell")).to_have_attribute("aria-label", "Alerts: 2 alerts fire.")

        # Another tab shows the critical alert, which is old there, and remembers that the sound is on.
        other = page.context.new_page()
        other.goto(alerting.url)
        expect(toast(other, "Queue Jam")).to_be_visible()
        expect(other.locator("#sound-switch")).to_have_attribute("aria-checked", "true")
        expect(toast(other, "Queue Backlog")).to_have_count(0)

        # Acknowledged in one tab, it is in both.
        page.keyboard.press("t")
        expect(toast(page, "Queue Jam").get_by_role("button", name="Close")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        for tab in (page, other):
            expect(toast(tab, "Queue Jam")).to_have_count(0)
            expect(tab).to_have_title("(1) ▲ Queue Backlog · LLM Monitor")

        # Silenced, nothing is left, and its end makes no message. That of the acknowledged one does.
        toast(page, "Queue Backlog").get_by_role("button", name="Silence 1 h").press("Enter")
        expect(page).to_have_title(title)
        expect(page.locator(".bell-count")).to_be_hidden()
        expect(page.locator("#bell-summary")).to_have_text("2 alerts fire, acknowledged or silenced.")
        for model in ("slow", "stuck"):
            report_queue(alerting, model, 0)
        expect(toast(page, "Queue Jam is over")).to_contain_text("peak 400", timeout=ARRIVES_MS)
        expect(page.locator("#bell-summary")).to_have_text("Nothing fires.")
        expect(toast(page, "Queue Backlog")).to_have_count(0)
        assert page.evaluate("notes") == WARNING + CRITICAL  # so it was never loaded again
        assert console_errors == []

    def test_is_acknowledged_after_a_login_that_returns_to_it(self, alerting: Server, open_page: Any) -> None:
        page = open_page(f"{alerting.url}/?range=6h")
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        report_queue(alerting, "slower", 150)
        toast(page, "Queue Backlog").get_by_role("button", name="Acknowledge").click(timeout=ARRIVES_MS)
        expect(page).to_have_title(re.compile("Sign in"))

        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()

        expect(page).to_have_url(re.compile("range=6h"))
        expect(toast(page, "Queue Backlog").get_by_role("button", name="Acknowledge")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#bell-summary")).to_have_text("1 alert fires, acknowledged or silenced.")

    def test_arrives_though_its_message_or_the_connection_of_a_hidden_tab_is_lost(
        self, alerting: Server, open_page: Any
    ) -> None:
        page = open_page(alerting.url)
        dead = threading.Event()

        def lose(socket: WebSocketRoute) -> None:
            if dead.is_set():
                socket.close()
                return
            server = socket.connect_to_server()
            server.on_message(
                lambda text: None if dead.is_set() or '"type":"alert"' in str(text)[:20] else socket.send(text)
            )

        page.route_web_socket("**/ws/metrics", lose)
        page.clock.install()
        page.reload()
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")

        report_queue(alerting, "stuck", 400)

        expect(toast(page, "Queue Jam")).to_be_visible(timeout=ARRIVES_MS)

        page.evaluate("""() => { Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
                                 document.dispatchEvent(new Event("visibilitychange")); }""")
        dead.set()
        with page.expect_request("**/metrics/current", timeout=ARRIVES_MS):
            page.clock.fast_forward(71_000)
        report_queue(alerting, "stuck", 0)
        while alerting.get("/metrics/current").json()["alerts"]["firing"]:
            page.wait_for_timeout(500)
        page.clock.fast_forward(31_000)
        expect(toast(page, "Queue Jam is over")).to_be_visible()
