"""The signing key in the data directory: the same for all processes, complete or missing, and its errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmmonitor.infra.secret_key import NoSecretKey, secret_key_in
from tests.support.server import ROOT

# Prints what it is about to do, and generates a key only on a signal.
MAKER = """
import fcntl, pathlib, secrets, sys
from llmmonitor.infra import secret_key

def telling(what, call, wait=False):
    def announced(*arguments):
        print(what, flush=True)
        if wait:
            sys.stdin.readline()
        return call(*arguments)
    return announced

fcntl.flock = telling("locking", fcntl.flock)
secrets.token_urlsafe = telling("making", secrets.token_urlsafe, wait=True)
print(secret_key.secret_key_in(pathlib.Path(sys.argv[1])))
"""


def maker(data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(data_dir)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class ASecretKey:
    def test_is_made_once_and_for_its_owner_alone(self, tmp_path: Path) -> None:
        data_dir = tmp_path / "not" / "there"

        key = secret_key_in(data_dir)

        assert len(key) > 50
        assert secret_key_in(data_dir) == key
        assert oct(data_dir.stat().st_mode & 0o777) == "0o700"
        assert {path.name: oct(path.stat().st_mode & 0o777) for path in data_dir.iterdir()} == {"secret_key": "0o600"}

    def test_is_one_for_two_first_starts_at_once(self, tmp_path: Path) -> None:
        with maker(tmp_path) as first:
            assert [next_line(first), next_line(first)] == ["locking", "making"]
            with maker(tmp_path) as second:
                assert next_line(second) == "locking"
                keys = [process.communicate("\n", timeout=30)[0].split()[-1] for process in (first, second)]

        assert keys == [secret_key_in(tmp_path)] * 2

    @pytest.mark.parametrize("left", [b"", b"\n", b"\0" * 67])
    def test_that_a_full_disk_or_a_power_cut_has_left_blank_is_made_anew(self, tmp_path: Path, left: bytes) -> None:
        (tmp_path / "secret_key").write_bytes(left)

        key = secret_key_in(tmp_path)

        assert len(key) > 50
        assert key.isprintable()
        assert secret_key_in(tmp_path) == key

    def test_is_made_beside_the_remains_of_a_killed_start(self, tmp_path: Path) -> None:
        (tmp_path / "secret_key.partial").write_text("ha")

        assert len(secret_key_in(tmp_path)) > 50
        assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


class ASecretKeyThatCannotBe:
    def test_kept_on_a_full_disk_says_so_and_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*arguments: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "fsync", full)

        with pytest.raises(NoSecretKey) as refused:
            secret_key_in(tmp_path)
        assert str(refused.value) == (
            f"Cannot write to LLMMONITOR_DATA_DIR={tmp_path} (No space left on device). Free space on its disk."
        )
        assert list(tmp_path.iterdir()) == []

    def test_kept_where_no_directory_can_be_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()

        with pytest.raises(NoSecretKey, match=r"^Cannot write to LLMMONITOR_DATA_DIR=.*/file/data \(Not a dir"):
            secret_key_in(tmp_path / "file" / "data")

    def test_read_says_so(self, tmp_path: Path) -> None:
        (tmp_path / "secret_key").mkdir()

        with pytest.raises(NoSecretKey, match=r"^Cannot read .*/secret_key \(Is a directory\)\. Run as the user who"):
            secret_key_in(tmp_path)
