"""Annotations in a real browser: the dialog, the lines in the charts, and the pure parts of their script."""

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
        assert "<img src=x onerror=aler…" in svg_texts(page, "latency")
        expect(page.locator('[data-widget="latency"] canvas')).to_have_attribute(
            "aria-label", re.compile(re.escape(f"Annotations: {HOSTILE}."))
        )

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


class TheScriptOfAnnotations:
    @pytest.fixture
    def run(self, module_server: Server, open_page: Any) -> Any:
        page = open_page(module_server.url)

        def run(body: str, argument: Any = None, module: str = "charts/annotation-lines.js") -> Any:
            return page.evaluate(
                f"async (argument) => ({body})(await import('/static/dashboard/js/{module}'), argument)", argument
            )

        return run

    def test_draws_the_tag_of_the_newest_of_those_that_overlap(self, run: Any) -> None:
        lines = [{"x": x, "width": 50} for x in (300, 290, 200, 20, 348)]
        placed = run("(m, lines) => m.placeTags(lines, { left: 0, right: 400 })", lines)

        # The second has no room on either side; the fourth has room on the right of its line only.
        assert [(tag["index"], tag["left"]) for tag in placed] == [(0, 250), (2, 150), (3, 20), (4, 348)]

    def test_shows_the_whole_text_in_rows(self, run: Any) -> None:
        text = "deploy of the gateway " + "x" * 50
        rows = run("(m, text) => m.wrapped(text, 20)", text)

        assert rows == ["deploy of the", "gateway", "x" * 20, "x" * 20, "x" * 10]
        assert run("(m, text) => m.shortened(text)", text) == "deploy of the gateway x…"

    def test_knows_what_belongs_to_the_filters_as_the_server_does(self, run: Any) -> None:
        body = "(m, [annotation, filters]) => m.belongs(annotation, filters)"
        cases: list[tuple[dict[str, str], dict[str, list[str]], bool]] = [
            ({"model_name": "", "host": ""}, {"model": ["m"]}, True),
            ({"model_name": "m", "host": ""}, {}, True),
            ({"model_name": "n", "host": ""}, {"model": ["m"]}, False),
            ({"model_name": "m", "host": "h"}, {"model": ["m"], "host": ["g"]}, False),
        ]
        for annotation, filters, expected in cases:
            assert run(body, [annotation, filters], "page/annotations.js") is expected
