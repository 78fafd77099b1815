"""A channel is added in the admin, in a real browser, and tried: a receiver gets the test message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.test_rule_form import ONLY_COLOURED, PASSWORD, WITHOUT_A_NAME, admin
from tests.support.server import Server

__all__ = ["admin"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [{"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}], indirect=True),
]


class Receiver(ThreadingHTTPServer):
    """It accepts each message, unless it is told otherwise."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: SimpleQueue[dict[str, Any]] = SimpleQueue()
        self.status = 200
        self.url = f"http://127.0.0.1:{self.server_port}/secret-path"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.put(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class AChannelOfTheAdmin:
    def test_is_added_and_tried(
        self, module_server: Server, admin: Page, receiver: Receiver, console_errors: list[str]
    ) -> None:
        admin.goto(f"{module_server.url}/admin/")
        admin.get_by_role("link", name="Channels", exact=True).click()
        admin.get_by_role("link", name="Add channel").click()
        assert admin.evaluate(WITHOUT_A_NAME) == []
        admin.get_by_role("link", name="Webhook A signed HTTP request").click()
        admin.get_by_label("Name").press_sequentially("Ops")
        expect(admin.get_by_label("Id:", exact=True)).to_have_value("ops")
        admin.get_by_role("textbox", name="Address").fill(receiver.url)
        admin.get_by_label("Allow private addresses").check()
        assert admin.evaluate(WITHOUT_A_NAME) == []
        admin.get_by_role("button", name="Save").click()
        expect(admin.locator(".messagelist")).to_contain_text("Ops was added.")

        admin.get_by_role("button", name="Send a test").click()
        expect(admin.locator(".messagelist")).to_contain_text("Ops has accepted a test message.")
        assert receiver.bodies.get(timeout=10)["kind"] == "test"
        receiver.status = 404
        admin.get_by_role("button", name="Send a test").click()
        reason = "Ops has not accepted the test message: responded with 404"
        expect(admin.locator(".messagelist")).to_contain_text(reason)

        assert "secret-path" not in admin.content()
        for path in ("channel/", "channel/ops/change/", "delivery/"):
            admin.goto(f"{module_server.url}/admin/alerts/{path}")
            assert admin.evaluate(WITHOUT_A_NAME) == [], path
            assert admin.evaluate(ONLY_COLOURED) == [], path
        admin.goto(f"{module_server.url}/admin/alerts/alertrule/high-cpu-usage/change/")
        expect(admin.locator(".field-channels")).to_contain_text("Without a choice, the default ones: Ops.")
        assert console_errors == []
