"""Markup in each text that a client or a person may choose: all pages, exports and the admin show it as text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Dialog, Locator, Page, Request, expect

from dashboard.pages import PAGES
from metrics.queries import EXPORT_KINDS
from tests.e2e.admin import admin_addresses, sign_in
from tests.support.labelled import HOSTILE, labelled_settings, store_labelled
from tests.support.rounds import rounds
from tests.support.server import Server

PASSWORD = "correct horse battery"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [labelled_settings(PASSWORD)], indirect=True),
]
WINDOW = "range=6h"
SVG = "{http://www.w3.org/2000/svg}"
EXPORTED = [kind for kind in EXPORT_KINDS if kind != "engines"]  # nothing stores those yet
HISTORY = "&metric=inference.requests&stat=sum&group_by=model"


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    store_labelled(module_server, HOSTILE)
    return module_server


def first_id(server: Server, path: str, name: str = "id") -> int:
    number = server.get(path).json()["results"][0][name]
    assert isinstance(number, int)
    return number


def address(server: Server, view: str) -> str:
    """The address of a view: a page, or a page with something opened on it."""
    model = urlencode({"model": HOSTILE})
    request = f"/requests?{WINDOW}&{model}&outcome=failed"
    return {
        "model": lambda: f"/dashboard/models/{quote(HOSTILE, safe='')}/?{WINDOW}",
        "group of models": lambda: f"/dashboard/models/{quote(HOSTILE + ' group', safe='')}/?{WINDOW}",
        "request": lambda: f"/dashboard/requests/{first_id(server, request)}/",
        "drawer": lambda: f"/dashboard/requests/?{WINDOW}&request={first_id(server, request)}",
        "error group": lambda: f"/dashboard/errors/?{WINDOW}&group={first_id(server, f'/errors/groups?{WINDOW}')}",
        "filtered overview": lambda: f"/?{WINDOW}&{model}&{urlencode({'provider': HOSTILE, 'tag.team': HOSTILE})}",
        "wall": lambda: f"/?{WINDOW}&kiosk=1",
    }.get(view, lambda: f"/{view}?{WINDOW}")()


VIEWS = [
    *(spec.path for spec in PAGES),
    "model",
    "group of models",
    "request",
    "drawer",
    "error group",
    "filtered overview",
    "wall",
]
WITHOUT_LABELS = ("dashboard/connect/",)


@pytest.fixture
def executed(console_errors: list[str]) -> Iterator[list[str]]:
    """Signs that a label was parsed as markup: a dialog, or a request for its image."""
    signs: list[str] = []
    yield signs
    assert signs == []
    assert console_errors == []


def watch(page: Page, signs: list[str]) -> None:
    def note_dialog(dialog: Dialog) -> None:
        signs.append(dialog.message)
        dialog.dismiss()

    def note_image(request: Request) -> None:
        if urlsplit(request.url).path.endswith("/x"):
            signs.append(request.url)

    page.on("dialog", note_dialog)
    page.on("request", note_image)


def is_text(page: Page) -> None:
    assert page.locator("img[src=x], [onerror]").count() == 0


def cards(page: Page) -> list[Locator]:
    """The cards with a menu. A card may contain others."""
    return page.locator("[data-widget]:has([data-menu]:visible):not(:has([data-widget])):visible").all()


class AHostileLabel:
    @pytest.mark.parametrize("view", VIEWS)
    def test_is_text_on(self, view: str, server: Server, open_page: Any, executed: list[str]) -> None:
        page = open_page("about:blank")
        watch(page, executed)
        page.goto(server.url + address(server, view))
        expect(page.locator("html")).to_have_attribute("data-ready", "true")
        if view not in WITHOUT_LABELS:
            expect(page.locator("body")).to_contain_text(HOSTILE)
        is_text(page)

        for menu in page.locator("[data-filter] > button:visible").all():
            menu.click()
            is_text(page)
            page.keyboard.press("Escape")
        for button in ("#annotations", "#bell", "#help"):
            if page.locator(button).is_visible():
                page.locator(button).click()
                is_text(page)
                page.keyboard.press("Escape")

        for card in cards(page):
            for item in ("View as table", "Enlarge"):
                card.locator("[data-menu]").click()
                if page.get_by_role("menuitem", name=item).is_visible():
                    page.get_by_role("menuitem", name=item).click()
                is_text(page)
                page.keyboard.press("Escape")
        is_text(page)

    @pytest.mark.parametrize("path", rounds([spec.path for spec in PAGES if spec.series], always=("",)))
    def test_is_text_in_the_files_of_the_charts_of(
        self, path: str, server: Server, open_page: Any, executed: list[str]
    ) -> None:
        page = open_page(f"{server.url}/{path}?{WINDOW}")
        watch(page, executed)
        kinds = {"PNG", "SVG", "CSV", "JSON"}
        for index, card in enumerate(cards(page)):
            for kind in sorted(kinds) if index == 0 else ["SVG"]:
                card.scroll_into_view_if_needed()
                card.locator("[data-menu]").click()
                item = page.get_by_role("menuitem", name=f"Save as {kind}")
                if not item.is_visible():
                    page.keyboard.press("Escape")
                    continue
                with page.expect_download() as download:
                    item.click()
                assert "<" not in download.value.suggested_filename
                content = Path(download.value.path()).read_bytes()
                if kind == "SVG":
                    elements = {node.tag.removeprefix(SVG) for node in ElementTree.fromstring(content).iter()}  # noqa: S314
                    assert not elements & {"img", "image", "script", "foreignObject"}
                elif kind == "JSON":
                    json.loads(content)
        is_text(page)

    @pytest.mark.parametrize("extension", ["csv", "json", "ndjson"])
    @pytest.mark.parametrize("kind", EXPORTED)
    def test_is_text_in_the_export_of(self, kind: str, extension: str, server: Server) -> None:
        reply = server.get(f"/export/{kind}.{extension}?{WINDOW}{HISTORY if kind == 'history' else ''}")
        assert reply.status == 200
        assert HOSTILE.encode() in reply.body
        assert "html" not in reply.headers["Content-Type"]
        assert reply.headers["Content-Disposition"].startswith("attachment")
        assert reply.headers["X-Content-Type-Options"] == "nosniff"

    def test_is_text_in_the_admin(self, server: Server, open_page: Any, executed: list[str]) -> None:
        page = open_page(server.url)
        watch(page, executed)
        sign_in(page, server, PASSWORD)
        shown = 0
        for path in admin_addresses(page, server):
            page.goto(server.url + path)
            shown += HOSTILE in (page.locator("body").inner_text())
            is_text(page)
        assert shown > 20
