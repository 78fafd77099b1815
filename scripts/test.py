"""Runs the store tests on PostgreSQL, the live tests on Redis, then the suite on SQLite with the tests in Chromium.

    python scripts/test.py [--full] [ARGUMENTS FOR pytest]

Environment variables select the database and the broker before Django starts, so each run has its own processes: as
many as there are cores, at least two. A file of tests runs in one process, because its tests may share a server. The
first failed run ends everything, so that its summary is the last line of the output.

If a service is missing, its tests are skipped and a line names what to install; under ``CI=true`` the run fails.
``LLMMONITOR_TEST_POSTGRES_URL`` and ``LLMMONITOR_TEST_REDIS_URL`` select other servers. Arguments such as a file or -k
select tests, which run once, on SQLite, in one process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import services  # noqa: E402

IN_PARALLEL = ["-n", str(max(2, os.cpu_count() or 2)), "--dist", "loadfile"]


def run_pytest(arguments: list[str], variables: dict[str, str] | None = None) -> int:
    """Run pytest in its own process. Return its exit status."""
    # Tests must not write to the database of the user.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment | (variables or {}), check=False).returncode


def run_on_services(arguments: list[str]) -> int:
    """Run the tests of each service. Return the exit status of the first failed run, or 0."""
    for title, marker, variable, service in (
        ("The store tests on PostgreSQL", "store", "DATABASE_URL", services.postgres()),
        ("The live tests on Redis", "live", "REDIS_URL", services.redis()),
    ):
        with service as server:
            if server.url:
                print(f"── {title}", flush=True)
                status = run_pytest(["-q", *IN_PARALLEL, "-m", marker, *arguments], {variable: server.url})
                if status != 0:
                    return status
            elif services.are_required():
                print(f"── {title}: {server.missing}", file=sys.stderr)
                return 1
            else:
                print(f"── {title}: skipped. {server.missing}", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; see the top of this file.")
    parser.add_argument("--full", action="store_true", help="run all rounds of the long tests")
    options, selection = parser.parse_known_args()
    full = ["--full"] if options.full else []
    if selection:
        return run_pytest([*full, *selection])
    status = run_on_services(full)
    if status == 0:
        print("── The suite on SQLite", flush=True)
        status = run_pytest([*IN_PARALLEL, *full])
    return status


if __name__ == "__main__":
    sys.exit(main())
