"""Measures side by side and prints a table for each subject; `make bench` runs them all, in a few minutes.

    python benchmarks/run.py [ingest] [percentile] [--quick]

Each subject runs in a process of its own, on SQLite in a data directory of its own that is removed afterwards. What
counts are the ratios within one run: rates are the machine's. ``--quick`` only shows that it runs.
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
SUBJECTS = ("ingest", "percentile")
LONGEST_SECONDS = 600  # for one subject; then it is stopped and the run fails


def run(subject: str, quick: bool) -> int:
    """One subject in a process of its own; its exit status."""
    given = {name: value for name, value in os.environ.items() if not name.startswith("LLMMONITOR_")}
    environment = {name: value for name, value in given.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    with tempfile.TemporaryDirectory(prefix="llmmonitor-bench-") as place:
        environment["LLMMONITOR_DATA_DIR"] = place
        command = [sys.executable, str(Path(__file__).resolve()), "--here", subject, *["--quick"][:quick]]
        try:
            # In the data directory, so that no .env of a person's own installation is read.
            return subprocess.run(command, cwd=place, env=environment, timeout=LONGEST_SECONDS, check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"{subject}: stopped after {LONGEST_SECONDS} s.", file=sys.stderr)
            return 1


def measure_here(subject: str, quick: bool) -> None:
    """Measure in this process, on the data directory that the environment names."""
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    print(importlib.import_module(f"benchmarks.{subject}").measure(quick), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure side by side; see the top of this file.")
    parser.add_argument("subjects", nargs="*", help=f"of {', '.join(SUBJECTS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="short: figures that say nothing")
    parser.add_argument("--here", choices=SUBJECTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.subjects) - set(SUBJECTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(SUBJECTS)}")
    if options.here:
        measure_here(options.here, options.quick)
        return 0
    return max(run(subject, options.quick) for subject in options.subjects or SUBJECTS)


if __name__ == "__main__":
    sys.exit(main())
