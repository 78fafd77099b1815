"""The button of the System page that starts a backup, in a browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.e2e import axe
from tests.e2e.conftest import OpenPage
from tests.support.server import MakeServer

pytestmark = pytest.mark.browser


class TheButton:
    def test_starts_a_backup_which_the_card_then_has(
        self, make_server: MakeServer, open_page: OpenPage, console_errors: list[str], tmp_path: Path
    ) -> None:
        folder = tmp_path / "backups"
        folder.mkdir()
        server = make_server(fresh=True, env={"LLMMONITOR_BACKUP_DIR": str(folder)})
        link = re.search(rf"{re.escape(server.url)}/login/link/\S+", server.output)
        assert link
        page = open_page(link[0])
        page.goto(f"{server.url}/dashboard/system/?range=5m")
        card = page.locator("[data-table=backup]")
        expect(card).to_contain_text("Rows", timeout=60_000)
        before = card.locator("time").first.get_attribute("datetime")
        assert axe.faults(page) == []

        page.get_by_role("button", name="Back up now").click()

        expect(page).to_have_url(re.compile(r"/dashboard/system/\?range=5m#backup-title$"))
        expect(card.locator("time").first).not_to_have_attribute("datetime", before or "", timeout=60_000)
        assert len(list(folder.glob("*.zip"))) == 2
        assert console_errors == []
