"""How a complete file gets its name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from llmmonitor.infra import files
from llmmonitor.infra.files import name_file


def has_no_hard_links(*paths: Path) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("link", [os.link, has_no_hard_links])
class AName:
    @pytest.fixture(autouse=True)
    def file_system(self, link: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(files.os, "link", link)

    @pytest.fixture
    def partial(self, tmp_path: Path) -> Path:
        partial = tmp_path / ".partial"
        partial.write_text("complete")
        return partial

    def test_that_is_free_is_given(self, partial: Path, tmp_path: Path) -> None:
        name_file(partial, tmp_path / "file")
        assert (tmp_path / "file").read_text() == "complete"

    def test_of_another_file_is_not(self, partial: Path, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("of another")
        with pytest.raises(FileExistsError):
            name_file(partial, tmp_path / "file")
        assert (tmp_path / "file").read_text() == "of another"

    def test_of_a_link_without_target_is_not(self, partial: Path, tmp_path: Path) -> None:
        (tmp_path / "file").symlink_to(tmp_path / "none")
        with pytest.raises(FileExistsError):
            name_file(partial, tmp_path / "file")
        assert (tmp_path / "file").is_symlink()
