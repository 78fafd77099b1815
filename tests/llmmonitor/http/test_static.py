"""Static files: served from where they are, below a prefix that changes with them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmmonitor.http import static
from tests.support.server import Server


class TheFilesOfAPage:
    @pytest.mark.parametrize("path", ["/", "/docs", "/login/"])
    def test_are_served_below_one_fingerprint_and_may_be_cached_for_ever(
        self, module_server: Server, path: str
    ) -> None:
        page = module_server.get(path)
        named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.body.decode())
        assert page.status == 200
        assert named
        assert {re.match(r"/static/([0-9a-f]{12})/", name)[1] for name in named} == {static.fingerprint()}  # type: ignore[index]
        for name in named:
            reply = module_server.get(name)
            assert reply.status == 200
            assert "immutable" in reply.headers["Cache-Control"]

    def test_import_each_other_below_the_same_fingerprint(self, module_server: Server) -> None:
        page = module_server.get("/").body.decode()
        entry = re.search(r'<script type="module" src="(/static/[^"]+)"', page)
        assert entry
        imported = re.findall(r'from "(\.[^"]+)";', module_server.get(entry[1]).body.decode())
        assert imported
        for name in imported:
            assert module_server.get(os.path.normpath(os.path.join(os.path.dirname(entry[1]), name))).status == 200

    def test_of_another_fingerprint_are_the_current_ones_with_a_short_cache_time(self, module_server: Server) -> None:
        for prefix in ("/static/", "/static/0123456789ab/"):
            reply = module_server.get(f"{prefix}dashboard/css/base.css")
            assert reply.status == 200
            assert reply.headers["Cache-Control"] == f"max-age={static.MAX_AGE_SECONDS}, public"

    @pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fsettings.py", "dashboard/", ""])
    def test_are_nothing_else(self, module_server: Server, name: str) -> None:
        assert module_server.get(f"/static/{static.fingerprint()}/{name}").status == 404


class TheFingerprint:
    @pytest.fixture
    def directory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setattr(static, "directories", lambda: [str(tmp_path)])
        (tmp_path / "a.js").write_text("1")
        yield tmp_path
        static.fingerprint.cache_clear()

    def test_changes_with_the_files(self, directory: Path) -> None:
        digests = []
        for change in (lambda: None, lambda: (directory / "a.js").write_text("22"), (directory / "b.js").touch):
            change()
            static.fingerprint.cache_clear()
            digests.append(static.fingerprint())
        assert len(set(digests)) == 3
