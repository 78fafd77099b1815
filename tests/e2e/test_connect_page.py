"""The Connect page in a real browser, on a real server."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import MakeServer, Server

PASSWORD = "correct horse battery"
PHONE = {"width": 390, "height": 844}
EVENT = {"model_name": "llama-3-8b", "response_time_ms": 1140, "success": True}
pytestmark = pytest.mark.browser


def address(server: Server, kind: str = "") -> str:
    return f"{server.url}/dashboard/connect/" + (f"?kind={kind}" if kind else "")


def overflows(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


def arrival(page: Page) -> Any:
    return page.locator(".arrival")


class TheConnectPage:
    def test_shows_the_first_event_when_its_command_was_run(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(address(server, "curl"))
        expect(arrival(page).get_by_role("heading")).to_have_text("Waiting for your first event")
        command = page.locator("#panel-curl")
        command.get_by_role("button", name="Copy: Run one command").click()
        expect(command.locator("[data-copy]")).to_have_text("Copied ✓")

        subprocess.run(["sh", "-euc", page.evaluate("navigator.clipboard.readText()")], check=True, capture_output=True)

        expect(arrival(page).get_by_role("heading")).to_have_text(re.compile(r"It works: first event after \d+:\d\d"))
        expect(arrival(page)).to_contain_text("1.14 s")
        expect(arrival(page)).to_contain_text("312 + 86")
        expect(arrival(page).locator(".arrival-phases")).to_contain_text("290 ms prompt")
        expect(arrival(page)).to_contain_text("Service, invoice-bot")
        expect(arrival(page)).to_contain_text("Queue time: not known to this source")
        arrival(page).get_by_role("link", name="Open the Overview").click()
        expect(page.locator("#models-table")).to_contain_text("llama-3-8b")
        assert "model=llama-3-8b" in page.url
        assert console_errors == []

    def test_copies_where_the_browser_offers_no_clipboard(self, server: Server, open_page: Any) -> None:
        page = open_page(address(server))
        page.add_init_script(
            "window.kept = navigator.clipboard; Object.defineProperty(navigator, 'clipboard', { value: undefined })"
        )
        page.reload()
        panel = page.locator("#panel-openai .step-code")
        panel.get_by_role("button").click()
        expect(panel.locator("[data-copy]")).to_have_text("Copied ✓")
        assert page.evaluate("kept.readText()") == panel.locator("code").text_content()

    def test_waits_for_a_new_source_where_others_send(self, server: Server, open_page: Any) -> None:
        server.post("/track/inference", EVENT | {"service": "chat"})
        page = open_page(address(server))
        expect(arrival(page).get_by_role("heading")).to_have_text("Waiting for an event")

        server.post("/track/inference", EVENT | {"service": "chat", "response_time_ms": 5})
        failed = EVENT | {"success": False, "status_code": 504, "error_type": "Timeout", "error_message": "Too slow."}
        server.post("/track/inference", failed | {"service": "reports"})

        expect(arrival(page)).to_contain_text("Service, reports")
        expect(arrival(page).get_by_role("heading")).to_have_text("Connected: your request failed")
        expect(arrival(page).locator(".arrival-failure")).to_have_text("Timeout · 504Too slow.")
        expect(arrival(page).get_by_role("link", name="See the errors in the Overview")).to_be_visible()
        server.post("/track/inference", EVENT | {"service": "invoice-bot", "model_name": "before"})
        arrival(page).get_by_role("button", name="Wait for another").click()
        expect(arrival(page).get_by_role("heading")).to_have_text("Waiting for an event")
        server.post("/track/inference", EVENT | {"service": "invoice-bot", "model_name": "after"})
        expect(arrival(page).locator(".arrival-figures")).to_contain_text("after")

    def test_lists_the_sources_and_marks_a_new_one(self, server: Server, open_page: Any) -> None:
        server.post("/track/inference", EVENT | {"service": "chat"})
        page = open_page(address(server))
        sources = page.locator(".sources")
        row = sources.locator("tr", has_text="chat")
        expect(row).to_contain_text("llama-3-8b")
        expect(row.locator(".tag")).to_have_count(0)
        expect(sources.locator("tr", has_text="host samples")).to_have_count(1)

        server.post("/track/inference", EVENT | {"service": "reports"})
        server.post("/track/inference", EVENT | {"service": "chat", "model_name": "other"})

        expect(sources.locator("tr", has_text="reports").locator(".tag")).to_have_text("new")
        expect(sources.locator(".card-values")).to_have_text("3 known, 1 new")
        expect(row).to_contain_text("other")
        expect(row).to_contain_text("2 requests")
        expect(row.locator("time")).to_have_text(re.compile("now|s ago"))

    def test_names_the_causes_after_a_minute(self, server: Server, open_page: Any) -> None:
        page = open_page(server.url)
        page.clock.install()
        page.goto(address(server))
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        expect(page.get_by_text("No event after a minute?")).to_be_hidden()
        page.clock.fast_forward("01:05")
        expect(page.get_by_text("No event after a minute?")).to_be_visible()

    def test_is_used_by_the_keyboard(self, server: Server, open_page: Any) -> None:
        page = open_page(address(server))
        page.locator('[data-kind="openai"]').focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#panel-anthropic")).to_be_visible()
        expect(page.locator("#panel-openai")).to_be_hidden()
        expect(page.locator('[data-kind="anthropic"]')).to_have_attribute("aria-current", "true")
        expect(page).to_have_url(re.compile(r"\?kind=anthropic$"))
        page.reload()
        expect(page.locator("#panel-anthropic")).to_be_visible()
        page.keyboard.press("/")  # a shortcut of pages with filters
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_fits_on_a_phone(self, theme: str, server: Server, open_page: Any, console_errors: list[str]) -> None:
        page = open_page(address(server), theme=theme, **PHONE)
        for kind in page.locator("[data-kind]").all():
            kind.click()
            assert not overflows(page)
        server.post("/track/inference", EVENT | {"service": "a-service-with-a-long-name" * 4, "model_name": "m" * 120})
        expect(arrival(page)).to_contain_text("It works")
        expect(arrival(page).get_by_role("heading")).to_be_in_viewport()
        row = page.locator(".sources tr", has_text="a-service-with-a-long-name")
        expect(row.locator(".narrow")).to_have_text("m" * 120)
        expect(row.locator(".narrow")).to_be_visible()
        assert not overflows(page)
        assert console_errors == []

    def test_is_read_without_scripts(self, server: Server, browser: Any) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(address(server))
        page.get_by_role("link", name="LangChain").click()
        expect(page.locator("#panel-langchain")).to_be_visible()
        expect(page.locator("#panel-openai")).to_be_hidden()
        expect(page.locator("[data-copy]:visible")).to_have_count(0)
        for live in ("Connecting…", "Waiting for your first event"):
            expect(page.get_by_text(live)).to_be_hidden()
        expect(page.locator("main .banner")).to_be_visible()
        context.close()


class AnAdmin:
    def test_makes_a_key_that_is_in_all_snippets_and_sends(
        self, make_server: MakeServer, open_page: Any, console_errors: list[str]
    ) -> None:
        server = make_server(env={"LLMMONITOR_TRUST_LOOPBACK": "false", "LLMMONITOR_ADMIN_PASSWORD": PASSWORD})
        link = re.search(r"Sign in .*: (http\S+)", server.output)
        assert link
        page = open_page(link[1])
        expect(page).to_have_url(address(server))
        openai = page.locator("#panel-openai")
        expect(openai).to_contain_text("export LLMMONITOR_API_KEY=llmm_YOUR-KEY")

        openai.get_by_role("button", name="Make a key").click()

        expect(openai).to_contain_text("This key is shown only now")
        expect(openai.get_by_role("button", name="Make a key")).to_be_hidden()
        page.locator('[data-kind="curl"]').click()
        command = page.locator("#panel-curl code").text_content()
        assert re.search(r"Bearer llmm_[\w-]{43}'", command)
        subprocess.run(["sh", "-euc", command], check=True, capture_output=True)
        expect(arrival(page)).to_contain_text("It works: first event")
        page.reload()
        expect(page.locator("#panel-curl")).to_contain_text("llmm_YOUR-KEY")
        assert console_errors == []
