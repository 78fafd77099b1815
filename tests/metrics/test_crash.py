"""The promise of an acknowledgement: what was answered 200 is there, exactly once, whatever happens to the server.

Four clients post batches and retry what was not answered, as any client does; the server is killed with `kill -9` and
started again, twice (twenty times in a full run): in turn at a random moment and while it merges rollup rows.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from metrics.aggregation import OUTCOME_COLUMNS, RESOLUTIONS
from tests.support.server import MakeServer, Server

CLIENTS = 4
RETRY_SECONDS = 0.05
MERGE_SECONDS = 60  # until a server that dies while merging has died
WHILE_MERGING = ("-m", "tests.support.killed_while_merging")


class Client(threading.Thread):
    """Posts batches of one event to fifty, half of them stamped, and knows which were acknowledged."""

    def __init__(self, name: str, server: Server, stop: threading.Event, progress: threading.Condition) -> None:
        super().__init__(name=name, daemon=True)
        self._server, self._stopping, self._progress = server, stop, progress
        self._random = random.Random(name)
        self.acknowledged: list[str] = []
        self.retried = 0
        self.refused: list[bytes] = []

    def run(self) -> None:
        number = 0
        while not self._stopping.is_set():
            batch = [self._event(f"{self.name}-{number}-{place}") for place in range(self._random.randint(1, 50))]
            number += 1
            self._post(batch)

    def _event(self, request_id: str) -> dict[str, Any]:
        event: dict[str, Any] = {
            "request_id": request_id,
            "model_name": self._random.choice(["a", "b"]),
            "prompt_tokens": 7,
            "completion_tokens": 3,
            "response_time_ms": self._random.uniform(1, 1000),
            "success": self._random.random() < 0.9,
        }
        return event | ({"timestamp": datetime.now(UTC).isoformat()} if self._random.random() < 0.5 else {})

    def _post(self, batch: list[dict[str, Any]]) -> None:
        """Until it is acknowledged."""
        while True:
            try:
                reply = self._server.post("/track/inference", batch, timeout=20)
            except OSError:
                reply = None
            if reply is not None and reply.status == 200:
                answer = reply.json()
                if answer["accepted"] + answer["duplicates"] != len(batch):
                    self.refused.append(reply.body)
                with self._progress:
                    self.acknowledged += [event["request_id"] for event in batch]
                    self._progress.notify_all()
                return
            self.retried += 1
            time.sleep(RETRY_SECONDS)


class AnAcknowledgement:
    def test_holds_after_kill_9(self, make_server: MakeServer, full: bool) -> None:
        server = make_server()
        acknowledged = kill_and_restart(server, 20 if full else 2)
        with closing(sqlite3.connect(server.data_dir / "llmmonitor.sqlite3")) as database:
            assert_stored_once(database, acknowledged)

    @pytest.mark.postgres
    def test_holds_after_kill_9_on_postgresql(self, make_server: MakeServer, full: bool, postgres_url: str) -> None:
        server = make_server(env={"DATABASE_URL": postgres_url})
        acknowledged = kill_and_restart(server, 20 if full else 2)
        with closing(psycopg.connect(postgres_url)) as database:
            assert_stored_once(database, acknowledged)


def kill_and_restart(server: Server, rounds: int) -> list[str]:
    """Kill the server that many times under load. Return the ids of the requests that it acknowledged."""
    moments = random.Random(9)
    as_usual = server.command
    stop, progress = threading.Event(), threading.Condition()
    clients = [Client(f"client-{number}", server, stop, progress) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for number in range(rounds):
            with progress:
                assert progress.wait(60)  # one more batch is acknowledged
            if server.command == as_usual:
                time.sleep(moments.uniform(0.0, 0.8))
                server.kill()
            else:
                assert server.process is not None
                assert server.process.wait(MERGE_SECONDS) == -signal.SIGKILL
            server.command = WHILE_MERGING if number % 2 == 0 and number + 1 < rounds else as_usual
            server.start(wait=server.command == as_usual)
    finally:
        stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
        assert not client.refused
    assert sum(client.retried for client in clients) > 0  # the kills did meet posts
    assert server.stop() == 0
    return [name for client in clients for name in client.acknowledged]


def assert_stored_once(database: Any, acknowledged: list[str]) -> None:
    """Compare the requests and the rollups of every resolution with what was acknowledged."""
    stored = [name for (name,) in database.execute("SELECT request_id FROM metrics_inferencemetrics").fetchall()]
    outcomes = " + ".join(OUTCOME_COLUMNS)
    sums = database.execute(
        f"SELECT resolution, SUM({outcomes}), SUM(prompt_tokens) FROM metrics_inferencerollup GROUP BY resolution"  # noqa: S608
    ).fetchall()
    assert len(acknowledged) == len(set(acknowledged))
    assert sorted(stored) == sorted(acknowledged)
    assert sorted(sums) == [(resolution, len(stored), 7 * len(stored)) for resolution in RESOLUTIONS]
