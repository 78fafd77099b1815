"""One `up` per data directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from llmmonitor.infra.data_dir_lock_file import running_url
from llmmonitor.process.data_dir_lock import DataDirectoryLock
from llmmonitor.process.preflight import CannotStart


class TheLock:
    def test_is_held_by_one_process_which_it_names(self, tmp_path: Path) -> None:
        with (
            DataDirectoryLock(tmp_path),
            pytest.raises(CannotStart, match=rf"is already starting \(pid {os.getpid()}, data in {tmp_path}\)"),
            DataDirectoryLock(tmp_path),
        ):
            pass
        with DataDirectoryLock(tmp_path):
            pass

    def test_names_the_address_once_it_is_known(self, tmp_path: Path) -> None:
        with DataDirectoryLock(tmp_path) as lock:
            lock.publish("http://127.0.0.1:8899")
            with (
                pytest.raises(CannotStart, match=r"is already running at http://127\.0\.0\.1:8899/ \(pid"),
                DataDirectoryLock(tmp_path),
            ):
                pass

    def test_tells_other_commands_the_address_while_it_is_held(self, tmp_path: Path) -> None:
        assert running_url(tmp_path) is None
        with DataDirectoryLock(tmp_path) as lock:
            assert running_url(tmp_path) is None
            lock.publish("http://127.0.0.1:9000")
            assert running_url(tmp_path) == "http://127.0.0.1:9000"
        (tmp_path / "lock").write_text("1 http://127.0.0.1:9000/")  # of a process that was killed
        assert running_url(tmp_path) is None

    def test_holds_on_a_full_disk_where_it_cannot_name_its_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        with (
            DataDirectoryLock(tmp_path),
            pytest.raises(CannotStart, match=r"\(pid unknown"),
            DataDirectoryLock(tmp_path),
        ):
            pass
