"""Annotations in a real browser: the dialog and the lines in the charts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Page, expect

from tests.support.server import Server

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=alert(1)>"


def signed_in(server: Server, open_page: Any) -> Page:
    link = re.search(rf"{re.escape(server.url)}/login/link/\S+", server.output)
    assert link
    page: Page = open_page(link[0])
    page.goto(f"{server.url}/?range=5m")
    expect(page.locator("html")).to_have_attribute("data-ready", "true")
    return page


def svg_texts(page: Page, card: str) -> list[str]:
    page.locator(f'[data-widget="{card}"] [data-menu]').click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Save as SVG").click()
    drawing = ElementTree.fromstring(Path(download.value.path()).read_text(encoding="utf-8"))  # noqa: S314 - our own
    return [node.text or "" for node in drawing.iter("{http://www.w3.org/2000/svg}text")]


class TheAnnotationsOfAPage:
    def test_are_added_drawn_kept_and_deleted(
        self, module_server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        module_server.post("/track/inference", [{"model_name": "m", "response_time_ms": n} for n in range(100, 160)])
        page = signed_in(module_server, open_page)
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))

        page.get_by_role("button", name="Annotations", exact=True).focus()
        page.keyboard.press("Enter")
        page.keyboard.type(HOSTILE)
        page.get_by_label("Kind").select_option("deploy")
        page.get_by_label("Model", exact=True).fill(HOSTILE)
        page.keyboard.press("Enter")
        expect(page.locator("#annotations-dialog")).to_be_hidden()
        (stored,) = module_server.get("/annotations").json()["results"]
        assert (stored["text"], stored["kind"], stored["model_name"], stored["host"]) == (
            HOSTILE,
            "deploy",
            HOSTILE,
            "",
        )
        expect(page.locator('[data-widget="latency"] canvas')).to_have_attribute(
            "aria-label", re.compile(re.escape(f"Annotations: {HOSTILE}.")), timeout=20_000
        )
        assert "<img src=x onerror=aler…" in svg_texts(page, "latency")

        page.reload()
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        assert "<img src=x onerror=aler…" in svg_texts(page, "latency")
        page.locator('[data-widget="latency"] [data-menu]').click()
        page.get_by_role("menuitem", name="View as table").click()
        expect(page.locator('[data-widget="latency"] [data-table]')).to_contain_text(f"{HOSTILE} (Deploy, {HOSTILE})")

        page.get_by_role("button", name="Annotations", exact=True).click()
        expect(page.locator(".annotation-list li")).to_have_count(1)
        page.get_by_role("button", name=f"Delete: {HOSTILE}").click()
        expect(page.locator(".annotation-list li")).to_have_count(0)
        assert module_server.get("/annotations").json()["results"] == []
        assert (dialogs, console_errors) == ([], [])

    def test_are_only_read_by_those_who_are_not_signed_in(self, module_server: Server, open_page: Any) -> None:
        page = open_page(f"{module_server.url}/?range=5m")
        page.get_by_role("button", name="Annotations", exact=True).click()

        dialog = page.locator("#annotations-dialog")
        expect(dialog.get_by_role("link", name="Sign in")).to_be_visible()
        expect(dialog.get_by_role("button", name="Add annotation")).to_be_hidden()
