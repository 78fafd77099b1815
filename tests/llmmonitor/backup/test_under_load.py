"""A backup while events arrive has one state: raw rows and rollups agree in it. A large one needs little memory."""

from __future__ import annotations

import json
import pickle
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from llmmonitor.backup import tables
from llmmonitor.backup.file import Manifest, Reader
from tests.support.instances import CONTENTS, Instance, MakeInstance
from tests.support.many_requests import SERVICE
from tests.support.server import MakeServer, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")

SHORT, FULL = 5_000, 1_000_000
MOST_MEMORY_MIB = 256  # for any number of rows
BATCH = 50
FILLED = "tests.support.many_requests"

# With POST_TO, it also posts a request before it writes each member, so that the tables change while they are read.
MEASURED = """
import os, re, sys
from pathlib import Path
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
if url := os.environ.get("POST_TO"):
    from urllib.request import Request, urlopen
    from llmmonitor.backup.file import Writer
    add = Writer.add
    def add_after_a_post(self, *arguments):
        body = b'{"model_name": "m", "service": "load", "response_time_ms": 10, "completion_tokens": 7}'
        urlopen(Request(url, body, {"Content-Type": "application/json"})).read()
        return add(self, *arguments)
    Writer.add = add_after_a_post
execute_from_command_line(["manage.py", *sys.argv[1:]])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
CHECK = """
import json
from django.db.models import F, Sum
from metrics.models import InferenceMetrics, InferenceRollup
load = InferenceMetrics.objects.filter(series__service="load")
def rollups(resolution):
    rows = InferenceRollup.objects.filter(resolution=resolution, series__service="load")
    counts = F("ok") + F("client_error") + F("rate_limited") + F("server_error") + F("timeout") + F("cancelled")
    return list(rows.aggregate(a=Sum(counts), b=Sum("completion_tokens")).values())
print(json.dumps({
    "raw": [load.count(), load.aggregate(tokens=Sum("completion_tokens"))["tokens"]],
    "rollups": [rollups(resolution) for resolution in (1, 60, 3600)],
}))
"""


@dataclass
class Load:
    """Posts of 50 requests each, one after the other, from a thread."""

    server: Server
    accepted: int = 0
    has_begun: threading.Event = field(default_factory=threading.Event)
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        event = {"model_name": "m", "service": "load", "response_time_ms": 10, "completion_tokens": 7}
        while not self.is_over.is_set():
            reply = self.server.post("/track/inference", [event | {"success": n % 10 > 0} for n in range(BATCH)])
            if reply.status == 200:
                self.accepted += reply.json()["accepted"]
                self.has_begun.set()


@contextmanager
def load_on(server: Server) -> Iterator[Load]:
    load = Load(server)
    thread = threading.Thread(target=load.run)
    thread.start()
    try:
        assert load.has_begun.wait(30), server.output
        yield load
    finally:
        load.is_over.set()
        thread.join()


def run_measured(instance: Instance, *arguments: str | Path, **env: str) -> float:
    """Run a command of `manage.py`, and return the most memory that its process had, in MiB."""
    process = instance.start(["-c", MEASURED, *arguments], **env)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return int(output.splitlines()[-1]) / 1024


def figures(instance: Instance, now: datetime) -> Any:
    path = instance.data_dir / "figures.pickle"
    instance.run(CONTENTS, path, now.isoformat(), SERVICE)
    return pickle.loads(path.read_bytes())  # noqa: S301 (written by our own program)


def manifest_of(path: Path) -> Manifest:
    with Reader(path) as reader:
        return reader.manifest


def check_agreement(instance: Instance, at_least: int, at_most: int) -> None:
    """Check that raw rows and the rollups of each resolution have the same requests and tokens."""
    done = instance.manage("shell", "-v0", "-c", CHECK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    requests, tokens = found["raw"]
    assert found["rollups"] == [[requests, tokens]] * 3
    assert tokens == 7 * requests
    assert at_least <= requests <= at_most


class ABackupWhileEventsArrive:
    @pytest.mark.parametrize("on_postgres", [False, True])
    def test_has_raw_rows_and_rollups_of_one_moment(
        self,
        on_postgres: bool,
        make_server: MakeServer,
        make_instance: MakeInstance,
        tmp_path: Path,
        full: bool,
        request: pytest.FixtureRequest,
    ) -> None:
        """With `--full`, of a million requests, which are restored into the other database as well."""
        env = {"DATABASE_URL": request.getfixturevalue("postgres_url")} if on_postgres else {}
        server = make_server(env=env, start=False)
        source = Instance(server.data_dir, env)
        source.run(FILLED, str(FULL if full else SHORT))
        server.start()
        file = tmp_path / "monitor.zip"

        with load_on(server) as load:
            before = load.accepted
            memory = run_measured(source, "backup", file, POST_TO=f"{server.url}/track/inference")
            after = load.accepted + BATCH + len(tables.STORED)  # BATCH: the post whose response is on its way
        server.stop()

        target = make_instance(empty=True)
        memory = max(memory, run_measured(target, "restore", file))
        now = datetime.now(UTC)
        assert figures(target, now) == figures(source, now)
        check_agreement(target, before, after)
        assert memory < MOST_MEMORY_MIB
        again = tmp_path / "again.zip"
        target.manage("backup", again)
        if not on_postgres:  # whose jsonb has another text
            assert manifest_of(again).members == manifest_of(file).members

    @pytest.mark.full
    def test_of_a_million_requests_is_restored_into_postgresql(
        self, make_instance: MakeInstance, tmp_path: Path, postgres_url: str
    ) -> None:
        source = make_instance()
        source.run(FILLED, str(FULL))
        source.manage("backup", tmp_path / "monitor.zip")
        target = make_instance(database_url=postgres_url)
        memory = run_measured(target, "restore", tmp_path / "monitor.zip")
        now = datetime.now(UTC)
        assert figures(target, now) == figures(source, now)
        assert memory < MOST_MEMORY_MIB
