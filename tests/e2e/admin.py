"""The pages of the admin, for tests that visit them all."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from django.contrib import admin
from playwright.sync_api import Page, expect

from tests.support.server import Server

ALWAYS = ["/admin/", "/admin/password_change/"]


def sign_in(page: Page, server: Server, password: str) -> None:
    page.goto(f"{server.url}/login/?next=/admin/")
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{server.url}/admin/")


def admin_addresses(page: Page, server: Server) -> Iterator[str]:
    """Yield the addresses of the admin: those of its parts, and of each model the list, the form to add, and the pages
    of the first row (change, history, deletion) where they exist. The page is signed in, and visits the lists.
    """
    yield from ALWAYS
    for model in admin.site._registry:
        names = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        response = page.goto(f"{server.url}{names}")
        assert response is not None
        assert response.status == 200, names
        first = page.locator("#result_list tbody a[href*='/change/']").first
        row = urlsplit(first.get_attribute("href") or "").path if first.count() else ""
        pages = [f"{names}add/", row, row.replace("/change/", "/history/"), row.replace("/change/", "/delete/")]
        yield names
        for path in filter(None, pages):
            if page.request.get(server.url + path).status == 200:
                yield path
