"""The collected static files: what pages load and nothing else, and whole or not there."""

from __future__ import annotations

import re
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from llmmonitor.http import static
from llmmonitor.process.preflight import CannotStart
from tests.support.server import Server


@pytest.fixture
def root(tmp_path: Path, settings: Any) -> Path:
    """Where the files are collected, with an older collection in it."""
    root = tmp_path / "static"
    root.mkdir()
    (root / "of-an-older-version.js").touch()
    (root / static.FINGERPRINT).write_text("older")
    settings.STATIC_ROOT = root
    return root


@pytest.fixture
def no_room() -> Iterator[None]:
    """Nothing that this process and its children write may become longer than a tenth of Swagger UI's script."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TheCollectedFiles:
    @pytest.mark.parametrize("path", ["/", "/docs", "/login/"])
    def test_are_all_that_a_page_names(self, module_server: Server, path: str) -> None:
        page = module_server.get(path)
        named = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.body.decode())
        assert page.status == 200
        assert named
        assert all(re.search(r"\.[0-9a-f]{12}\.\w+$", name) for name in named)
        assert {name: module_server.get(name).status for name in named} == dict.fromkeys(named, 200)

    def test_are_none_that_no_page_loads(self, prepared_data_dir: Path) -> None:
        root = prepared_data_dir / "static"
        assert (root / "drf_spectacular_sidecar" / "swagger-ui-dist" / "swagger-ui-bundle.js").exists()
        assert list(root.rglob("*.map*")) == []
        assert not (root / "drf_spectacular_sidecar" / "redoc").exists()
        assert not (root / "rest_framework").exists()


class ACollection:
    def test_takes_the_place_of_an_older_one_and_of_the_remains_of_a_killed_start(self, root: Path) -> None:
        partial = root.with_name("static.partial")
        partial.mkdir()
        (partial / "half.js").touch()
        static.prepare()
        assert (root / static.FINGERPRINT).read_text() == static.fingerprint()
        assert (root / "staticfiles.json").exists()
        assert not (root / "of-an-older-version.js").exists()
        assert not (root / "half.js").exists()
        assert {path.name for path in root.parent.iterdir()} == {"static", "static.lock"}

    @pytest.mark.usefixtures("no_room")
    def test_that_finds_no_room_says_so_and_leaves_the_older_one(self, root: Path) -> None:
        with pytest.raises(CannotStart) as refused:
            static.prepare()
        assert str(refused.value) == (
            f"The static files could not be collected into {root}: File too large. Free space on its disk."
        )
        assert (root / "of-an-older-version.js").exists()
        assert {path.name for path in root.parent.iterdir()} == {"static", "static.lock"}

    def test_that_does_not_end_is_ended_and_says_so(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(static, "COLLECT", "import threading; threading.Event().wait()")
        monkeypatch.setattr(static, "COLLECT_SECONDS", 0.3)
        with pytest.raises(
            CannotStart, match=r"could not be collected into .*/static within 0 s\. Check that its disk"
        ):
            static.prepare()
        assert (root / "of-an-older-version.js").exists()
        assert {path.name for path in root.parent.iterdir()} == {"static", "static.lock"}

    def test_is_made_anew_when_other_files_are_left_out(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        before = static.fingerprint()
        left_out = ["*.of-no-file-at-all"]
        monkeypatch.setattr(apps.get_app_config("staticfiles"), "ignore_patterns", left_out)
        with_more = static.fingerprint()
        left_out.append("*.of-none-either")
        assert len({before, with_more, static.fingerprint()}) == 3
