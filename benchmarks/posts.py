"""Single posts over HTTP, each acknowledged after its commit, compared with a bare ASGI application under daphne.

The servers are separate processes. In each round, the same load generator drives one after the other, so that a slow
moment of the machine affects all. Each figure is the median of the rounds. CPU is that of the server's process. It
includes the merging of rollup rows, which the server does until none is due.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = (1, 16, 32)
ROUNDS = 5
SECONDS = 2.0  # of each round, connections and server
START_SECONDS = 60.0
STOP_SECONDS = 20.0
IDLE_SECONDS = 0.1
BARE, MONITOR, WITHOUT_LANE = "bare ASGI application", "LLM Monitor", "LLM Monitor without its fast lane"
SERVERS = {
    BARE: (["-m", "daphne", "-v", "0", "-b", "127.0.0.1", "-p", "{port}", "benchmarks.bare_asgi:application"], {}),
    MONITOR: (["{root}/manage.py", "serve", "--port", "{port}"], {}),
    WITHOUT_LANE: (["{root}/manage.py", "serve", "--port", "{port}"], {"LLMMONITOR_FAST_LANE": "false"}),
}


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(name: str) -> Iterator[tuple[int, psutil.Process]]:
    """Start a server in the data directory of this benchmark. Yield its port and process, and stop it at the end."""
    arguments, more = SERVERS[name]
    port = free_port()
    command = [sys.executable, *(part.format(port=port, root=ROOT) for part in arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLMMONITOR_LOG_LEVEL": "WARNING", **more}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    try:
        wait_until_listening(port, process)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until_listening(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when a connection can be made. Raise RuntimeError if the process ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"The server did not start: {process.args!r}")


def drive(port: int, process: psutil.Process, connections: int, seconds: float) -> tuple[float, float, float]:
    """Return responses per second, milliseconds of server CPU for each, and the median response time in ms."""
    before = process.cpu_times()
    generator = [sys.executable, str(ROOT / "benchmarks" / "http_load.py"), str(port), str(connections), str(seconds)]
    finished = subprocess.run(generator, capture_output=True, text=True, check=False, timeout=60 + seconds)
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    time.sleep(IDLE_SECONDS)  # the last rollup rows are merged
    after = process.cpu_times()
    result = json.loads(finished.stdout)
    cpu_seconds = after.user + after.system - before.user - before.system
    return (
        result["responses"] / result["seconds"],
        1000 * cpu_seconds / max(1, result["responses"]),
        result["p50_ms"],
    )


def most_rows_of_a_bucket() -> int:
    """Return the largest number of rollup rows that wait to be merged into one."""
    from django.db.models import Count

    from metrics.models import InferenceRollup

    rows = InferenceRollup.objects.values("resolution", "bucket", "series").annotate(rows=Count("id"))
    return int(rows.order_by("-rows").values_list("rows", flat=True).first() or 0)


def measure(quick: bool = False) -> str:
    """Return the table. `quick` runs one short round, which only shows that the benchmark works."""
    rounds, seconds, numbers = (1, 0.2, CONNECTIONS[:1]) if quick else (ROUNDS, SECONDS, CONNECTIONS)
    rows: list[tuple[str, ...]] = []
    with contextlib.ExitStack() as stack:
        servers = {name: stack.enter_context(running(name)) for name in SERVERS}
        for server in servers.values():
            drive(*server, 1, seconds / 2)  # imports and caches
        for connections in numbers:
            results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in servers}
            for _ in range(rounds):
                for name, server in servers.items():
                    results[name].append(drive(*server, connections, seconds))
            medians = {
                name: [statistics.median(column) for column in zip(*results[name], strict=True)] for name in servers
            }
            for name, (rate, cpu_ms, p50_ms) in medians.items():
                of_bare = rate / medians[BARE][0]
                label = f"{connections} connection{'s' * (connections > 1)}, {name}"
                rows.append((label, f"{rate:,.0f}", f"{of_bare:.2f}", f"{cpu_ms:.2f}", f"{p50_ms:.1f}"))
        most_rows = most_rows_of_a_bucket()
    return report.table(
        "Single posts compared with a bare ASGI application under daphne",
        ("", "posts/s", "of bare", "CPU ms", "p50 ms"),
        rows,
        [
            f"{report.machine()}. Median of {rounds} alternating rounds.",
            f"At the end, a bucket and series has at most {most_rows} rollup rows.",
            "Bare: reads the body and responds. LLM Monitor: `manage.py serve`, responds after the commit.",
        ],
    )
