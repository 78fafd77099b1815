"""The promise of an acknowledgement: what was answered 200 is there, exactly once, whatever happens to the server.

Four clients post batches and retry what was not answered, as any client does; the server is killed with `kill -9` at a
random moment and started again, three times (twenty in a full run).
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from metrics.aggregation import OUTCOME_COLUMNS, RESOLUTIONS
from tests.support.server import MakeServer, Server

CLIENTS = 4
RETRY_SECONDS = 0.05


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
        moments = random.Random(9)
        server = make_server()
        stop, progress = threading.Event(), threading.Condition()
        clients = [Client(f"client-{number}", server, stop, progress) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            for _ in range(20 if full else 3):
                with progress:
                    assert progress.wait(60)  # one more batch is acknowledged
                time.sleep(moments.uniform(0.0, 0.8))
                server.kill()
                server.start()
        finally:
            stop.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive()
            assert not client.refused
        assert sum(client.retried for client in clients) > 0  # the kills did meet posts
        assert server.stop() == 0

        acknowledged = [name for client in clients for name in client.acknowledged]
        with closing(sqlite3.connect(server.data_dir / "llmmonitor.sqlite3")) as database:
            stored = [name for (name,) in database.execute("SELECT request_id FROM metrics_inferencemetrics")]
            outcomes = " + ".join(OUTCOME_COLUMNS)
            rollups = dict(
                database.execute(
                    f"SELECT resolution, SUM({outcomes}) FROM metrics_inferencerollup GROUP BY resolution"  # noqa: S608
                ).fetchall()
            )
            tokens = database.execute(
                "SELECT (SELECT SUM(prompt_tokens) FROM metrics_inferencemetrics),"
                " (SELECT SUM(prompt_tokens) FROM metrics_inferencerollup WHERE resolution = 60)"
            ).fetchone()
        assert len(acknowledged) == len(set(acknowledged))
        assert sorted(stored) == sorted(acknowledged)
        assert rollups == dict.fromkeys(RESOLUTIONS, len(stored))
        assert tokens == (7 * len(stored), 7 * len(stored))
