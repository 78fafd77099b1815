"""The other ways to run it: another ASGI server, and servers, worker and clock as processes of their own."""

from __future__ import annotations

import json
import re
import socket
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.celery import celery
from tests.support.server import UVICORN, MakeServer, Server

EVENT = {"model_name": "m", "prompt_tokens": 1, "completion_tokens": 1, "response_time_ms": 5.0, "success": True}


def read_ticks(live: ClientConnection, count: int, seconds: float = 60) -> list[dict[str, object]]:
    """The next ticks."""
    ticks: list[dict[str, object]] = []
    until = time.monotonic() + seconds
    while len(ticks) < count:
        message = json.loads(live.recv(max(0.1, until - time.monotonic())))
        if message["type"] == "tick":
            ticks.append(message)
    return ticks


class TheServerUnderUvicorn:
    def test_serves_pages_static_files_and_the_live_stream(self, make_server: MakeServer) -> None:
        server = make_server(command=UVICORN)
        page = server.get("/")
        assert page.status == 200
        style = re.search(rb'href="(/static/[0-9a-f]{12}/[^"]+\.css)"', page.body)
        assert style
        assert server.get(style[1].decode()).status == 200
        assert server.post("/track/inference", EVENT).status == 200
        with connect(server.ws_url) as live:
            hello = json.loads(live.recv(20))
            assert hello["type"] == "hello"
            assert "m" in hello["models"]
            live.send('{"type": "ping"}')
            assert json.loads(live.recv(20)) == {"type": "pong"}
        assert server.stop() in (0, -15)
        assert "Traceback" not in server.output

    def test_refuses_a_body_without_end_from_anybody(self, make_server: MakeServer) -> None:
        server = make_server(command=UVICORN, env={"LLMMONITOR_MAX_BODY_BYTES": "1000"})
        chunk = b"800\r\n" + b"x" * 0x800 + b"\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 20) as stranger:
            stranger.sendall(
                b"POST /track/inference HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-For: 203.0.113.7\r\n"
                b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk
            )
            assert stranger.recv(12) == b"HTTP/1.1 413"


@pytest.mark.postgres
class TheServerOnPostgreSQL:
    def test_makes_its_tables_stores_ticks_and_ends_in_order(self, make_server: MakeServer, postgres_url: str) -> None:
        server = make_server(env={"DATABASE_URL": postgres_url})
        assert "the user is admin" in server.output
        assert server.post("/track/inference", EVENT).json()["accepted"] == 1
        with connect(server.ws_url) as live:
            assert read_ticks(live, 2)[-1]["models"]
        assert server.stop() == 0
        assert not (server.data_dir / "llmmonitor.sqlite3-wal").exists()
        server.start()
        assert server.get("/metrics/summary").json()["total_requests"] == 1
        assert "Traceback" not in server.output


@pytest.mark.redis
class TheSeparateProcesses:
    def test_tick_each_second_once_on_every_server(self, make_server: MakeServer, redis_url: str) -> None:
        env = {"REDIS_URL": redis_url}
        first = make_server(env=env, command=("manage.py", "serve"))
        second = Server(first.data_dir, env, ("manage.py", "serve"))
        with ExitStack() as running:
            running.callback(second.kill)
            second.start()
            worker = running.enter_context(celery(first, "worker", "--pool", "threads", "--concurrency", "4"))
            for _ in range(2):  # a second clock does no harm: each second belongs to who claims it first
                running.enter_context(celery(first, "beat"))
            lives = [running.enter_context(connect(one.ws_url)) for one in (first, second)]
            assert first.post("/track/inference", EVENT).status == 200
            ticks = [read_ticks(live, 4) for live in lives]
            for client_ticks in ticks:
                seqs = [tick["seq"] for tick in client_ticks]
                assert len(set(seqs)) == len(seqs)
                assert seqs == sorted(seqs)  # type: ignore[type-var]
            assert ticks[0][-1]["models"]
            assert ticks[0][-1]["hosts"]
            assert {tick["seq"] for tick in ticks[0]} & {tick["seq"] for tick in ticks[1]}
            assert second.get("/metrics/summary").json()["total_requests"] == 1
            # The worker's sample has what all processes did.
            stamped = {**EVENT, "request_id": "twice", "timestamp": datetime.now(UTC).isoformat()}
            assert [one.post("/track/inference", stamped).status for one in (first, second)] == [200, 200]
            until = time.monotonic() + 60
            own: dict[str, Any] = {}
            while (own.get("monitor_events_duplicate"), own.get("monitor_live_clients")) != (1, 2):
                assert time.monotonic() < until, own
                hosts = first.get("/metrics/current").json()["hosts"]
                own = next((host for host in hosts if host.get("monitor_cpu_percent") is not None), {})
                time.sleep(0.2)
            processes = [psutil.Process(pid) for pid in (first.pid, second.pid, worker.pid)]
            assert own["monitor_memory_mb"] > 0.6 * sum(process.memory_info().rss for process in processes) / 2**20
            worker.terminate()
            assert worker.wait(30) == 0
