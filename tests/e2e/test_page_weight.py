"""What a first visit of a page transfers, as it is served to a browser that accepts compression."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from dashboard.pages import PAGES
from tests.e2e.test_overview import request, send
from tests.support.rounds import rounds
from tests.support.server import Server

pytestmark = pytest.mark.browser
PATHS = [*(f"/{spec.path}" for spec in PAGES), "/dashboard/models/model-1/", "/docs"]
MAX_BYTES = 500_000
MODELS = 8


@pytest.fixture(scope="module")
def server(module_server: Server) -> Server:
    """A server with several models in the last hour."""
    send(
        module_server,
        *(request(f"model-{model}", 60 * minute) for model in range(MODELS) for minute in range(60)),
    )
    return module_server


def transferred(page: Page, address: str, is_shown: Callable[[], None]) -> int:
    """Load a page with an empty cache. Return the bytes of all responses, with their headers, as they were sent."""
    total = 0

    def add(event: dict[str, Any]) -> None:
        nonlocal total
        total += event["encodedDataLength"]

    session = page.context.new_cdp_session(page)
    session.on("Network.loadingFinished", add)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(address, wait_until="load")
    is_shown()
    session.detach()
    return total


class AFirstVisit:
    @pytest.mark.parametrize("path", rounds(PATHS, always=("/", "/docs")))
    def test_transfers_less_than_500_kb(self, path: str, server: Server, open_page: Any) -> None:
        page = open_page("about:blank")

        def is_shown() -> None:
            if path == "/docs":
                expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
            else:
                expect(page.locator("html")).to_have_attribute("data-ready", "true")

        total = transferred(page, f"{server.url}{path}", is_shown)

        print(f"\n{path}: {total / 1000:.0f} kB")  # `pytest -s` shows it
        assert 0 < total < MAX_BYTES

    def test_gets_compressed_html(self, server: Server) -> None:
        for spec in PAGES:
            packed = server.get(f"/{spec.path}", headers={"Accept-Encoding": "gzip"})
            assert packed.headers["Content-Encoding"] == "gzip", spec.name
            assert server.get(f"/{spec.path}").headers["Content-Encoding"] is None
