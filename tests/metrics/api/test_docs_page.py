"""`/docs` in a real browser, with the same Content-Security-Policy as every page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.server import Server


@pytest.mark.browser
class TheDocsPage:
    def test_shows_the_operations_without_errors(self, module_server: Server, chromium_path: str) -> None:
        errors: list[str] = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("requestfailed", lambda request: errors.append(request.url))
            page.on("request", lambda request: self.check_host(request.url, module_server, errors))
            page.goto(f"{module_server.url}/docs")
            expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
            expect(
                page.locator("#operations-track-track_inference_create, [id*=track_inference]").first
            ).to_be_visible()
            page.locator("[id*=track_inference] button").first.click()
            expect(page.get_by_role("button", name="Try it out").first).to_be_visible()
            browser.close()
        assert errors == []

    def check_host(self, url: str, server: Server, errors: list[str]) -> None:
        if not url.startswith((server.url, "data:")):
            errors.append(f"request to another host: {url}")
