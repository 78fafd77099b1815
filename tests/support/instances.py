"""Instances without a server: a data directory, or a database of PostgreSQL, and what is done to them by processes.

source = make_instance()
source.run(EVERY_TABLE)
assert source.manage("backup", "monitor.zip").returncode == 0
assert contents(source) == …
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.support.server import ROOT, copy_prepared, environment

SECONDS = 300.0  # a process that takes longer hangs
EVERY_TABLE = "tests.support.every_table"
CONTENTS = "tests.support.contents"


@dataclass
class Instance:
    """A data directory, and the database that its processes use."""

    data_dir: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def sqlite(self) -> Path:
        return self.data_dir / "llmmonitor.sqlite3"

    def manage(self, *arguments: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        """Run `manage.py` to its end."""
        return self._run(["manage.py", *map(str, arguments)], env)

    def run(self, module: str, *arguments: str | Path, **env: str) -> None:
        """Run a program of the tests. Fails if it fails."""
        done = self._run(["-m", module, *map(str, arguments)], env)
        assert done.returncode == 0, done.stderr

    def start(self, arguments: Sequence[str | Path], **env: str) -> subprocess.Popen[str]:
        """Start a Python process."""
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env=environment(self.data_dir, 0, {**self.env, **env}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _run(self, arguments: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        process = self.start(arguments, **env)
        try:
            output, errors = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


class MakeInstance(Protocol):
    """Makes instances: on SQLite with a migrated database, or `empty` without a file; with the URL, on PostgreSQL."""

    def __call__(self, *, database_url: str = "", empty: bool = False, **env: str) -> Instance: ...


def instances_in(folder: Path, prepared: Path) -> MakeInstance:
    numbers = iter(range(1_000))

    def make(*, database_url: str = "", empty: bool = False, **env: str) -> Instance:
        data_dir = folder / f"instance-{next(numbers)}"
        if empty or database_url:
            data_dir.mkdir(mode=0o700)
        else:
            copy_prepared(prepared, data_dir)
        return Instance(data_dir, {"DATABASE_URL": database_url, **env} if database_url else dict(env))

    return make


@pytest.fixture
def make_instance(prepared_data_dir: Path, tmp_path: Path) -> MakeInstance:
    return instances_in(tmp_path, prepared_data_dir)


@pytest.fixture(scope="module")
def make_module_instance(prepared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeInstance:
    """Makes instances that the tests of one module share."""
    return instances_in(tmp_path_factory.mktemp("module"), prepared_data_dir)


def contents(instance: Instance, now: datetime) -> dict[str, Any]:
    """Return the rows of each table, read with Django's models, and the figures of 30 days up to `now`."""
    path = instance.data_dir / "contents.pickle"
    instance.run(CONTENTS, path, now.isoformat())
    found: dict[str, Any] = pickle.loads(path.read_bytes())  # noqa: S301 (written by our own program)
    return found
