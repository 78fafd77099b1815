"""Starts `manage.py up` for a benchmark, on the data directory of the benchmark's process."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
HEADERS = {"Content-Type": "application/json"}


@contextmanager
def server() -> Iterator[tuple[int, psutil.Process]]:
    """Run a server on the data directory of this process. Yield its port and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "CI": "true", "LLMMONITOR_RATE_LIMIT_READ_PER_MINUTE": "1000000"}
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--port", str(port)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + START_SECONDS
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("The server did not start.")
            time.sleep(0.1)
        yield port, psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def is_ready(port: int) -> bool:
    """Return whether the server is ready."""
    try:
        return status_of(http.client.HTTPConnection("127.0.0.1", port, timeout=10), "GET", "/health/ready") == 200
    except OSError:
        return False


def status_of(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> int:
    """Send a request, read the whole response, and return its status."""
    connection.request(method, path, body, HEADERS)
    response = connection.getresponse()
    response.read()
    return response.status
