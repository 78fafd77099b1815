"""Whether everybody can use the pages: axe-core has no serious and no critical finding, and Tab reaches everything."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.pages import PAGES
from tests.e2e.admin import admin_addresses, sign_in
from tests.e2e.axe import faults
from tests.support.labelled import labelled_settings, store_labelled
from tests.support.rounds import rounds
from tests.support.server import Server

PASSWORD = "correct horse battery"
MODEL = "mistral-7b"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.parametrize("module_server", [labelled_settings(PASSWORD)], indirect=True),
]

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])
WINDOW = "range=6h"
ADDRESSES = [f"/{spec.path}" for spec in PAGES] + [f"/dashboard/models/{MODEL}/"]
# What a mouse may use, because it is a control or has the cursor of one, and Tab has not reached. In a menu or a list
# of tabs the arrow keys lead on.
UNREACHED = """() => {
  const controls = "a[href], button:not(:disabled), input:not([type=hidden], :disabled), select, textarea, summary";
  const groups = "[role=menu], [role=radiogroup], [role=tablist], [role=grid]";
  const isUsed = (node) => node.matches(controls)
    || (getComputedStyle(node).cursor === "pointer" && !node.closest(`label, [tabindex], ${controls}`));
  const isShown = (node) => node.checkVisibility({ visibilityProperty: true })
    && !node.closest("[inert], dialog:not([open])");
  return [...document.body.querySelectorAll("*")]
    .filter((node) => !node.dataset.reached && !node.closest(groups) && isUsed(node) && isShown(node))
    .map((node) => node.cloneNode().outerHTML);
}"""
MAX_TABS = 400


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    store_labelled(module_server, MODEL)
    return module_server


def ready(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-ready", "true")


def report(found: dict[str, list[str]]) -> list[str]:
    return [f"{path} {fault}" for path, faults in found.items() for fault in faults]


def tab_through(page: Page) -> int:
    """Press Tab until the focus leaves the page; mark what had it. Return the number of stops."""
    for stop in range(MAX_TABS):
        page.keyboard.press("Tab")
        if not page.evaluate(
            """() => {
              const node = document.activeElement;
              if (node === document.body || node.dataset.reached) return false;
              node.dataset.reached = "true";
              return true; }"""
        ):
            return stop
    raise AssertionError(f"more than {MAX_TABS} stops")


@THEMES
class ThePages:
    def test_have_no_serious_fault(self, server: Server, open_page: Any, console_errors: list[str], theme: str) -> None:
        page = open_page(server.url, theme=theme)
        found = {}
        for path in ADDRESSES:
            page.goto(f"{server.url}{path}?{WINDOW}")
            ready(page)
            found[path] = faults(page)
        request = server.get(f"/requests?{WINDOW}").json()["results"][0]["id"]
        page.goto(f"{server.url}/dashboard/requests/?{WINDOW}&request={request}")
        ready(page)
        expect(page.locator("#drawer .detail-id")).to_be_visible()
        found["the drawer of a request"] = faults(page)
        for path in (f"/dashboard/requests/{request}/", "/login/"):
            page.goto(server.url + path)
            found[path] = faults(page)
        assert report(found) == []
        assert console_errors == []

    def test_of_the_admin_have_no_serious_fault(self, server: Server, open_page: Any, theme: str) -> None:
        page = open_page(server.url, theme=theme)
        sign_in(page, server, PASSWORD)
        found = {}
        for path in admin_addresses(page, server):
            page.goto(server.url + path)
            found[path] = faults(page)
        assert len(found) > 50
        assert report(found) == []

    def test_that_document_the_api_have_no_serious_fault(
        self, server: Server, open_page: Any, console_errors: list[str], theme: str
    ) -> None:
        page = open_page(server.url, theme=theme)
        page.goto(f"{server.url}/docs")
        expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
        found = {"closed": faults(page)}
        for operation in ("track_inference_create", "metrics_history_retrieve"):
            page.locator(f"#operations-{operation.split('_')[0]}-{operation} .opblock-summary-control").click()
        page.get_by_role("button", name="Try it out").first.click()
        page.get_by_role("button", name="Execute").first.click()
        expect(page.locator(".live-responses-table")).to_be_visible()
        found["tried"] = faults(page)
        page.get_by_role("button", name="Authorize").first.click()
        expect(page.get_by_role("button", name="Close", exact=True).first).to_be_visible()
        found["the dialog of keys"] = faults(page)
        assert report(found) == []
        assert console_errors == []


class TheKeyboard:
    @pytest.mark.parametrize("path", rounds(ADDRESSES, always=("/", "/dashboard/requests/")))
    def test_reaches_everything_on(self, path: str, server: Server, open_page: Any, console_errors: list[str]) -> None:
        page = open_page(f"{server.url}{path}?{WINDOW}")
        page.keyboard.press("l")  # so that no row is replaced meanwhile
        assert tab_through(page) > 10
        assert page.evaluate(UNREACHED) == []
        assert console_errors == []

    def test_reaches_everything_in_the_documentation_of_the_api(
        self, server: Server, open_page: Any, console_errors: list[str]
    ) -> None:
        page = open_page(server.url)
        page.goto(f"{server.url}/docs")
        expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
        assert tab_through(page) > 50
        # The arrow at the end of an operation does what its button does.
        assert [node for node in page.evaluate(UNREACHED) if "opblock-control-arrow" not in node] == []
        assert console_errors == []
