"""Runs the benchmarks and prints a table for each; `make bench` runs all of them, in a few minutes.

    python benchmarks/run.py [ingest] [posts] [percentile] [earlier] [readers] [retention] [writers] [alerts]
                             [backtest] [sdk] [--quick]

Each benchmark runs in its own process, on SQLite in a temporary data directory; `writers` runs on PostgreSQL. Compare
the ratios within one run; rates depend on the machine. ``--quick`` only shows that the benchmarks work.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BENCHMARKS = (
    "ingest",
    "posts",
    "percentile",
    "earlier",
    "readers",
    "retention",
    "writers",
    "alerts",
    "backtest",
    "sdk",
)
TIMEOUT_SECONDS = 1_200  # of each benchmark


def run(benchmark: str, quick: bool) -> int:
    """Run a benchmark in its own process. Return its exit status."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LLMMONITOR_") and name not in ("DATABASE_URL", "REDIS_URL")
    }
    with tempfile.TemporaryDirectory(prefix="llmmonitor-bench-") as data_dir:
        environment["LLMMONITOR_DATA_DIR"] = data_dir
        command = [sys.executable, str(Path(__file__).resolve()), "--here", benchmark, *["--quick"][:quick]]
        try:
            # Runs in the data directory, so that it does not read the user's .env.
            finished = subprocess.run(command, cwd=data_dir, env=environment, timeout=TIMEOUT_SECONDS, check=False)
            return finished.returncode
        except subprocess.TimeoutExpired:
            print(f"{benchmark}: stopped after {TIMEOUT_SECONDS} s.", file=sys.stderr)
            return 1


def measure_here(benchmark: str, quick: bool) -> None:
    """Run a benchmark in this process, in the data directory that the environment names."""
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(importlib.import_module(f"benchmarks.{benchmark}").measure(quick), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run benchmarks; see the top of this file.")
    parser.add_argument("benchmarks", nargs="*", help=f"{', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="short rounds, which only show that the benchmarks work")
    parser.add_argument("--here", choices=BENCHMARKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.benchmarks) - set(BENCHMARKS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(BENCHMARKS)}")
    if options.here:
        measure_here(options.here, options.quick)
        return 0
    return max(run(benchmark, options.quick) for benchmark in options.benchmarks or BENCHMARKS)


if __name__ == "__main__":
    sys.exit(main())
