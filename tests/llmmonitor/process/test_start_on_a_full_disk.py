"""Starts and commands on a full disk, which is a small one in memory: each ends with one sentence, or does without."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import services
from tests.support.server import ROOT, Server, copy_prepared, environment

# Mounts a disk, copies a data directory onto it, and fills it but for some kilobytes. Nobody else sees this disk, and
# it goes with the process. Arguments: where, what to copy, kilobytes, the command.
SCRIPT = """
set -e
disk=$1 from=$2 room=$3
shift 3
mount -t tmpfs -o size=8m none "$disk"
mkdir "$disk/data"
cp -RP "$from/." "$disk/data"
head -c "${room}k" /dev/zero > "$disk/room"
cat /dev/zero > "$disk/filler" 2> /dev/null || true
rm "$disk/room"
exec "$@"
"""
NO_ROOM = 0
ROOM_TO_READ = 40  # kB: SQLite needs 32 to read, and some more to write

RunOnFullDisk = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def full_disk(tmp_path: Path) -> Path:
    """Where the disk is mounted, for the process alone that `run` starts."""
    disk = tmp_path / "disk"
    disk.mkdir()
    return disk


@pytest.fixture
def run(full_disk: Path) -> RunOnFullDisk:
    """`run(data_dir, room, "up")` starts a command of manage.py on a full disk with a copy of `data_dir`."""
    apart = ["unshare", "--mount", *([] if os.getuid() == 0 else ["--map-root-user"])]
    probe = [*apart, "mount", "-t", "tmpfs", "none", str(full_disk)]
    if not shutil.which("unshare") or subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.skip("unshare (util-linux), and the right to mount what only oneself sees, make a small disk")

    def start(data_dir: Path, room: int, *command: str, port: int = 0) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*apart, "sh", "-c", SCRIPT, "sh", full_disk, data_dir, str(room), sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=environment(full_disk / "data", port),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.fixture
def unused(prepared_data_dir: Path, tmp_path: Path) -> Path:
    """A data directory with all that a first start makes, but without a user."""
    data_dir = copy_prepared(prepared_data_dir, tmp_path / "unused")
    (data_dir / "secret_key").write_text("k" * 67)
    return data_dir


@pytest.fixture(scope="module")
def used(module_server: Server) -> Path:
    """The data directory of a server that ran before. The commands run on copies of it."""
    assert module_server.stop() == 0
    return module_server.data_dir


def refused(process: subprocess.Popen[str]) -> str:
    """Return the last line of a command that fails. It must have no traceback and a status other than 0."""
    output = process.communicate(timeout=60)[0].strip()
    assert process.returncode not in (0, None), output
    assert "Traceback" not in output
    return output.splitlines()[-1].removeprefix("CommandError: ")


class AFullDisk:
    @pytest.mark.parametrize("command", ["up", "login-link"])
    def test_has_no_room_for_the_signing_key(
        self, run: RunOnFullDisk, full_disk: Path, tmp_path: Path, command: str
    ) -> None:
        empty = tmp_path / "empty"
        empty.mkdir()
        assert refused(run(empty, NO_ROOM, command)) == (
            f"Cannot write to LLMMONITOR_DATA_DIR={full_disk}/data (No space left on device). Free space on its disk."
        )

    @pytest.mark.parametrize(
        "command", [("up",), ("login-link",), ("create-key", "x"), ("forget", "--model", "x"), ("demo",)]
    )
    def test_on_which_the_database_cannot_even_be_read_is_named(
        self, run: RunOnFullDisk, full_disk: Path, unused: Path, command: tuple[str, ...]
    ) -> None:
        assert refused(run(unused, NO_ROOM, *command)) == (
            "The database cannot be used (disk I/O error). "
            f"Free space on the disk of {full_disk}/data/llmmonitor.sqlite3."
        )

    def test_has_no_room_to_claim_the_example_data(self, run: RunOnFullDisk, full_disk: Path, unused: Path) -> None:
        assert refused(run(unused, ROOM_TO_READ, "forget", "--demo")) == (
            "The database cannot be used (database or disk is full). "
            f"Free space on the disk of {full_disk}/data/llmmonitor.sqlite3."
        )

    @pytest.mark.parametrize("command", ["up", "serve"])
    def test_has_no_room_for_the_first_user(
        self, run: RunOnFullDisk, full_disk: Path, unused: Path, command: str
    ) -> None:
        assert refused(run(unused, ROOM_TO_READ, command)) == (
            "The database cannot be used (database or disk is full). "
            f"Free space on the disk of {full_disk}/data/llmmonitor.sqlite3."
        )

    def test_has_no_room_for_a_login_link_or_a_key(self, run: RunOnFullDisk, used: Path) -> None:
        assert "(database or disk is full). Free space" in refused(run(used, ROOM_TO_READ, "login-link"))
        assert "(database or disk is full). Free space" in refused(run(used, ROOM_TO_READ, "create-key", "x"))

    def test_takes_no_example_data(self, run: RunOnFullDisk, used: Path) -> None:
        assert "(database or disk is full). Free space" in refused(run(used, ROOM_TO_READ, "demo"))

    def test_keeps_no_server_from_its_start_which_goes_without_a_link(
        self, run: RunOnFullDisk, full_disk: Path, used: Path
    ) -> None:
        port = services.free_port()
        server = Server(full_disk / "data", port=port)
        server.process = process = run(used, ROOM_TO_READ, "up", port=port)  # type: ignore[assignment]
        assert process.stdout is not None
        output = ""
        try:
            while "Ctrl-C stops" not in output and (line := process.stdout.readline()):
                output += line
            assert server.get("/health").status == 200
            assert server.stop() == 0
        finally:
            server.kill()
            process.stdout.close()
        assert "Cannot create a login link (database or disk is full). Free space" in output
        assert "Then run `manage.py login-link` to print a link." in output
        assert "Sign in (once" not in output
