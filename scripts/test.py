"""Runs the tests: the suite, and beside it the store's tests on PostgreSQL and the live ones on Redis.

    python scripts/test.py [--full] [ARGUMENTS FOR pytest]

The database and the broker are chosen by the environment before Django starts, so each needs a process of its own. They
run at the same time, for most of a test is waiting; what the suite says is shown once the other two are through. The
first that fails stops the run: pytest's closing line, the last on the screen, is then the one that tells.

A service that is missing fails the run under ``CI=true``; on a person's machine its part is skipped, with a line that
names what to install. ``LLMMONITOR_TEST_POSTGRES_URL`` and ``LLMMONITOR_TEST_REDIS_URL`` say where other services are.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import services  # noqa: E402

SUITE = "The suite (SQLite, in-process parts)"
LOOK_SECONDS = 0.2  # between two looks at what the suite has said


def start_pytest(
    arguments: list[str], variables: dict[str, str] | None = None, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """pytest in a process of its own, writing to the screen or to `output`."""
    # A person's own server must not become the one that tests write to.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "pytest", *arguments]
    to = None if output is None else subprocess.STDOUT
    return subprocess.Popen(command, cwd=ROOT, env=environment | (variables or {}), stdout=output, stderr=to)


def run_on_services(passed_on: list[str]) -> int:
    """The tests that run on a service, one service after the other. Answers the exit status of the first that fails."""
    for title, marker, variable, service in (
        ("The store on PostgreSQL", "store", "DATABASE_URL", services.postgres()),
        ("Live and tasks on Redis", "live", "REDIS_URL", services.redis()),
    ):
        with service as found:
            if found.url:
                print(f"── {title}", flush=True)
                status = start_pytest(["-q", "-m", marker, *passed_on], {variable: found.url}).wait()
                if status != 0:
                    return status
            elif services.must_be_there():
                print(f"── {title}: {found.missing}", file=sys.stderr)
                return 1
            else:
                print(f"── {title}: skipped. {found.missing}", flush=True)
    return 0


def show(suite: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    """Everything that the suite has said so far, and on until it ends. Answers its exit status."""
    print(f"── {SUITE}", flush=True)
    ended = False
    while not ended:
        ended = suite.poll() is not None
        while said := output.read(2**16):
            sys.stdout.buffer.write(said)
        sys.stdout.flush()
        if not ended:
            time.sleep(LOOK_SECONDS)
    return suite.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; see the top of this file.")
    parser.add_argument("--full", action="store_true", help="all rounds of the long tests")
    options, passed_on = parser.parse_known_args()
    # With arguments of one's own (a file, -k …) one suite is meant, not three.
    only_suite = bool(passed_on)
    if options.full:
        passed_on.append("--full")
    if only_suite:
        return start_pytest(passed_on).wait()
    if os.environ.get("LLMMONITOR_TEST_REDIS_URL"):  # both would empty it
        return run_on_services(passed_on) or start_pytest(passed_on).wait()

    with tempfile.NamedTemporaryFile(prefix="llmmonitor-suite-") as written, open(written.name, "rb") as output:
        suite = start_pytest(passed_on, output=written.file)
        try:
            return run_on_services(passed_on) or show(suite, output)
        finally:
            if suite.poll() is None:
                suite.send_signal(signal.SIGINT)  # so that it stops the servers that it has started
                suite.wait()


if __name__ == "__main__":
    sys.exit(main())
