"""Processes of Celery."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.server import ROOT, Server, environment


@contextmanager
def celery(server: Server, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process of Celery on the server's settings, started as the documentation does."""
    variables = environment(server.data_dir, server.port, server.env)
    variables.pop("DJANGO_SETTINGS_MODULE", None)  # it is set by pytest-django
    with server.log_path.with_suffix(f".{arguments[0]}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "llmmonitor", *arguments],
            cwd=ROOT,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
