"""Runs the suite on SQLite; at the same time the store tests on PostgreSQL, the live tests on Redis, then Chromium's.

Before them it runs the tests of the pages' scripts with Node.js, which take seconds.

    python scripts/test.py [--full] [ARGUMENTS FOR pytest]

Environment variables select the database and the broker before Django starts, so each run has its own process. The
tests that drive Chromium run after those of the services, so that both halves take about as long. The output of the
suite is printed after that of the others. All runs end; the last lines name those that failed.

If a service is missing, its tests are skipped and a line names what to install; under ``CI=true`` the run fails.
``LLMMONITOR_TEST_POSTGRES_URL`` and ``LLMMONITOR_TEST_REDIS_URL`` select other servers.
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

import node  # noqa: E402

from tests import services  # noqa: E402

SUITE = "The suite on SQLite"
BROWSER = "browser"  # the marker of tests that drive Chromium
POLL_SECONDS = 0.2  # how often new output of the suite is read


def start_pytest(
    arguments: list[str], variables: dict[str, str] | None = None, output: IO[bytes] | None = None
) -> subprocess.Popen[bytes]:
    """Start pytest in its own process. Its output goes to the screen, or to `output`."""
    # Tests must not write to the database of the user.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "pytest", *arguments]
    errors = None if output is None else subprocess.STDOUT
    return subprocess.Popen(command, cwd=ROOT, env=environment | (variables or {}), stdout=output, stderr=errors)


def run_script_tests() -> int:
    """Run the tests of the scripts' pure parts with Node.js. Return the exit status."""
    print("── The tests of the pages' scripts", flush=True)
    variables = node.environment()
    if variables is None:
        print("Node.js is not installed: run `make setup-dev`.", file=sys.stderr)
        return 1
    tests = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "tests" / "js").glob("*.test.js"))
    command = ["node", "--test", "--test-reporter=spec", *tests]
    return subprocess.run(command, cwd=ROOT, env=variables, check=False).returncode


def run_on_services(pytest_arguments: list[str]) -> list[str]:
    """Run the tests of each service and of Chromium in turn. Return the titles of the failed runs."""
    failed = []
    for title, marker, variable, service in (
        ("The store tests on PostgreSQL", "store", "DATABASE_URL", services.postgres()),
        ("The live tests on Redis", "live", "REDIS_URL", services.redis()),
    ):
        with service as server:
            if server.url:
                print(f"── {title}", flush=True)
                if start_pytest(["-q", "-m", marker, *pytest_arguments], {variable: server.url}).wait():
                    failed.append(title)
            elif services.are_required():
                print(f"── {title}: {server.missing}", file=sys.stderr)
                failed.append(title)
            else:
                print(f"── {title}: skipped. {server.missing}", flush=True)
    title = "The tests in Chromium"
    print(f"── {title}", flush=True)
    if start_pytest(["-q", "-m", BROWSER, *pytest_arguments]).wait():
        failed.append(title)
    return failed


def follow(suite: subprocess.Popen[bytes], output: IO[bytes]) -> int:
    """Print the output of the suite until it ends. Return its exit status."""
    print(f"── {SUITE}", flush=True)
    ended = False
    while not ended:
        ended = suite.poll() is not None
        while chunk := output.read(2**16):
            sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        if not ended:
            time.sleep(POLL_SECONDS)
    return suite.returncode


def run_at_once(suite_arguments: list[str], pytest_arguments: list[str]) -> list[str]:
    """Run the suite beside the tests of the services. Return the titles of the failed runs."""
    with tempfile.NamedTemporaryFile(prefix="llmmonitor-suite-") as written, open(written.name, "rb") as output:
        suite = start_pytest(suite_arguments, output=written.file)
        try:
            failed = run_on_services(pytest_arguments)
            return [*failed, SUITE] if follow(suite, output) else failed
        finally:
            if suite.poll() is None:
                suite.send_signal(signal.SIGINT)  # lets it stop the servers that it has started
                suite.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; see the top of this file.")
    parser.add_argument("--full", action="store_true", help="run all rounds of the long tests")
    options, pytest_arguments = parser.parse_known_args()
    # Arguments such as a file or -k select tests: they run once, on SQLite.
    only_suite = bool(pytest_arguments)
    if options.full:
        pytest_arguments.append("--full")
    if only_suite:
        return start_pytest(pytest_arguments).wait()
    if status := run_script_tests():
        return status
    suite_arguments = ["-m", f"not {BROWSER}", *pytest_arguments]
    if os.environ.get("LLMMONITOR_TEST_REDIS_URL"):  # two runs at the same time would both empty it
        failed = run_on_services(pytest_arguments)
        print(f"── {SUITE}", flush=True)
        if start_pytest(suite_arguments).wait():
            failed.append(SUITE)
    else:
        failed = run_at_once(suite_arguments, pytest_arguments)
    for title in failed:
        print(f"Failed: {title}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
