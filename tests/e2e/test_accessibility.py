"""What axe-core judges of the pages: no serious and no critical finding, in both themes."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import faults
from tests.support.server import Server

PASSWORD = "correct horse battery"
OWN_PASSWORD = {"env": {"LLMMONITOR_ADMIN_PASSWORD": PASSWORD}}
pytestmark = [pytest.mark.browser, pytest.mark.parametrize("module_server", [OWN_PASSWORD], indirect=True)]

THEMES = pytest.mark.parametrize("theme", ["light", "dark"])
PAGES = [
    "/",
    "/dashboard/alerts/",
    "/dashboard/connect/",
    "/dashboard/latency/",
    "/dashboard/throughput/",
    "/dashboard/queue/",
    "/dashboard/machines/",
    "/dashboard/models/",
    "/dashboard/requests/",
    "/dashboard/errors/",
]
ADMIN_PAGES = ["/admin/", "/admin/alerts/alertrule/", "/admin/alerts/alertrule/add/", "/admin/auth/user/"]


def sign_in(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/login/?next=/admin/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{server.url}/admin/")


def report(by_page: dict[str, list[str]]) -> list[str]:
    return [f"{path} {fault}" for path, faults in by_page.items() for fault in faults]


@THEMES
class ThePages:
    def test_have_no_serious_fault(self, module_server: Server, open_page: Any, theme: str) -> None:
        page = open_page(module_server.url, theme=theme)
        by_page = {}
        for path in PAGES:
            page.goto(module_server.url + path)
            expect(page.locator("html")).to_have_attribute("data-ready", "true")
            by_page[path] = faults(page)
        page.goto(f"{module_server.url}/login/")
        by_page["/login/"] = faults(page)
        assert report(by_page) == []

    def test_of_the_admin_have_no_serious_fault(self, module_server: Server, open_page: Any, theme: str) -> None:
        page = open_page(module_server.url, theme=theme)
        sign_in(page, module_server)
        by_page = {}
        for path in ADMIN_PAGES:
            page.goto(module_server.url + path)
            by_page[path] = faults(page)
        assert report(by_page) == []
