"""Runs the tests: the suite, and before it the store's tests on PostgreSQL and the live ones on Redis.

    python scripts/test.py [--full] [ARGUMENTS FOR pytest]

The database and the broker are chosen by the environment before Django starts, so each needs a process of its own. The
first that fails stops the run: pytest's closing line, the last on the screen, is then the one that tells. The whole
suite comes last for the same reason.

A service that is missing fails the run under ``CI=true``; on a person's machine its part is skipped, with a line that
names what to install. ``LLMMONITOR_TEST_POSTGRES_URL`` and ``LLMMONITOR_TEST_REDIS_URL`` say where other services are.
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


def run_pytest(title: str, arguments: list[str], **variables: str) -> int:
    """Runs pytest in a process of its own; answers its exit status."""
    print(f"── {title}", flush=True)
    # A person's own server must not become the one that tests write to.
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment | variables, check=False).returncode


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests; see the top of this file.")
    parser.add_argument("--full", action="store_true", help="all rounds of the long tests")
    options, passed_on = parser.parse_known_args()
    if options.full:
        passed_on.append("--full")

    # With arguments of one's own (a file, -k …) one suite is meant, not three.
    if not [argument for argument in passed_on if argument != "--full"]:
        for title, marker, variable, service in (
            ("The store on PostgreSQL", "store", "DATABASE_URL", services.postgres()),
            ("Live and tasks on Redis", "live", "REDIS_URL", services.redis()),
        ):
            with service as found:
                if found.url:
                    status = run_pytest(title, ["-q", "-m", marker, *passed_on], **{variable: found.url})
                    if status != 0:
                        return status
                elif services.must_be_there():
                    print(f"── {title}: {found.missing}", file=sys.stderr)
                    return 1
                else:
                    print(f"── {title}: skipped. {found.missing}", flush=True)
    return run_pytest("The suite (SQLite, in-process parts)", passed_on)


if __name__ == "__main__":
    sys.exit(main())
