"""Runs the store tests on PostgreSQL, the live tests on Redis, then the suite on SQLite with the tests in Chromium.

Before them it runs the tests of the pages' scripts with Node.js, which take seconds.

    python scripts/test.py [--full] [ARGUMENTS FOR pytest]

Environment variables select the database and the broker before Django starts, so each run has its own processes. Many
tests wait for a server, so a run has more processes than the machine has cores (pytest-xdist); each process has its own
database, and runs whole files. All runs end; the last lines name those that failed.

If a service is missing, its tests are skipped and a line names what to install; under ``CI=true`` the run fails.
``LLMMONITOR_TEST_POSTGRES_URL`` and ``LLMMONITOR_TEST_REDIS_URL`` select other servers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import node  # noqa: E402

from tests import services  # noqa: E402

PROCESSES_PER_CORE = 2
MOST_PROCESSES = 12


def processes() -> int:
    """Return how many processes a run has: one if all would empty the same Redis."""
    if os.environ.get("LLMMONITOR_TEST_REDIS_URL"):
        return 1
    return min(MOST_PROCESSES, PROCESSES_PER_CORE * (os.cpu_count() or 1))


def run_pytest(arguments: list[str], variables: dict[str, str] | None = None, workers: int = 1) -> int:
    """Run pytest with as many processes. Return its exit status."""
    # Tests must not write to the database of the user.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    # Files in the order of their folders: those with few but slow tests are then not the last.
    spread = ["-n", str(workers), "--dist", "loadfile", "--no-loadscope-reorder"] if workers > 1 else []
    command = [sys.executable, "-m", "pytest", *spread, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment | (variables or {}), check=False).returncode


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
    """Run the tests of each service. Return the titles of the failed runs."""
    failed = []
    for title, marker, variable, service, workers in (
        ("The store tests on PostgreSQL", "store", "DATABASE_URL", services.postgres(), processes()),
        # One process: all tests of this run use the same Redis.
        ("The live tests on Redis", "live", "REDIS_URL", services.redis(), 1),
    ):
        with service as server:
            if server.url:
                print(f"── {title}", flush=True)
                if run_pytest(["-q", "-m", marker, *pytest_arguments], {variable: server.url}, workers):
                    failed.append(title)
            elif services.are_required():
                print(f"── {title}: {server.missing}", file=sys.stderr)
                failed.append(title)
            else:
                print(f"── {title}: skipped. {server.missing}", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; see the top of this file.")
    parser.add_argument("--full", action="store_true", help="run all rounds of the long tests")
    options, pytest_arguments = parser.parse_known_args()
    # Arguments such as a file or -k select tests: they run once, on SQLite, in one process.
    only_suite = bool(pytest_arguments)
    if options.full:
        pytest_arguments.append("--full")
    if only_suite:
        return run_pytest(pytest_arguments)
    if status := run_script_tests():
        return status
    failed = run_on_services(pytest_arguments)
    print("── The suite on SQLite", flush=True)
    if run_pytest(["-q", *pytest_arguments], workers=processes()):
        failed.append("The suite on SQLite")
    for title in failed:
        print(f"Failed: {title}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
