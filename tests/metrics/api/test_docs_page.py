"""`/docs` in a real browser, under the same strict policy as every page."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.support.server import Server


@pytest.mark.browser
class TheDocsPage:
    def test_shows_every_operation_and_breaks_no_policy(self, module_server: Server, chromium_path: str) -> None:
        complaints: list[str] = []
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium_path, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page()
            page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", lambda request: complaints.append(request.url))
            page.on("request", lambda request: self.is_ours(request.url, module_server, complaints))
            page.goto(f"{module_server.url}/docs")
            expect(page.locator(".opblock").first).to_be_visible(timeout=30_000)
            expect(
                page.locator("#operations-track-track_inference_create, [id*=track_inference]").first
            ).to_be_visible()
            page.locator("[id*=track_inference] button").first.click()
            expect(page.get_by_role("button", name="Try it out").first).to_be_visible()
            browser.close()
        assert complaints == []

    def is_ours(self, url: str, server: Server, complaints: list[str]) -> None:
        if not url.startswith((server.url, "data:")):
            complaints.append(f"asked elsewhere: {url}")
