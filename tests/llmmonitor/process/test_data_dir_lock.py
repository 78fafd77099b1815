"""One `up` for one data directory."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from llmmonitor.process.data_dir_lock import AlreadyRunning, DataDirectoryLock


class TheLock:
    def test_is_had_by_one_whose_number_it_tells(self, tmp_path: Path) -> None:
        lock = DataDirectoryLock(tmp_path)
        lock.acquire()

        with pytest.raises(AlreadyRunning, match=rf"\(pid {os.getpid()}\) already runs on {tmp_path}\."):
            DataDirectoryLock(tmp_path).acquire()
        lock.release()
        DataDirectoryLock(tmp_path).acquire()

    def test_holds_on_a_full_disk_where_its_holder_cannot_be_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        DataDirectoryLock(tmp_path).acquire()

        with pytest.raises(AlreadyRunning, match=r"\(pid unknown\)"):
            DataDirectoryLock(tmp_path).acquire()
