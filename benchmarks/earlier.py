"""What reads cost in CPU, compared with an earlier commit of this repository.

Both sides fill a store of their own with the same requests and run the same reads, each after a new commit, in turn, so
that a slow moment of the machine affects both. The earlier code comes from the repository's history, which a shallow
clone does not have.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import report

ROOT = Path(__file__).resolve().parent.parent
EARLIER = "da735c5"  # before the write path and the reads were rebuilt
SIZES = (100_000, 1_000_000)
ROUNDS = 7


@contextlib.contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the files of a commit. Raise RuntimeError if the repository does not have it."""
    with tempfile.TemporaryDirectory(prefix="llmmonitor-earlier-") as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise RuntimeError(f"git archive {commit}: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        yield Path(folder)


@contextlib.contextmanager
def reader(code: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    """Start `benchmarks.read_costs` with the code of a checkout and a data directory of its own."""
    with tempfile.TemporaryDirectory(prefix="llmmonitor-bench-") as data_dir:
        environment = {**os.environ, "PYTHONPATH": str(code), "LLMMONITOR_DATA_DIR": data_dir}
        process = subprocess.Popen(
            [sys.executable, str(ROOT / "benchmarks" / "read_costs.py"), str(count)],
            cwd=data_dir,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait()


def read_once(process: subprocess.Popen[str]) -> dict[str, float]:
    """Let the process run each read once. Return milliseconds of CPU by name."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{process.args!r} ended; its error is above.")
    costs: dict[str, float] = json.loads(line)
    return costs


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses a hundredth of the requests, which only shows that the benchmark works."""
    rows = []
    with checkout(EARLIER) as earlier:
        for size in (size // 100 if quick else size for size in SIZES):
            with reader(earlier, size) as before, reader(ROOT, size) as now:
                for process in (before, now):  # fills, and loads what a server has loaded
                    read_once(process)
                rounds = [(read_once(before), read_once(now)) for _ in range(2 if quick else ROUNDS)]
            for name in rounds[0][0]:
                old = statistics.median(costs[name] for costs, _ in rounds)
                new = statistics.median(costs[name] for _, costs in rounds)
                rows.append((f"{size:,} requests: {name}", f"{old:.1f}", f"{new:.1f}", f"{old / new:.1f}"))
    return report.table(
        f"CPU of reads in ms, compared with {EARLIER}",
        ("", EARLIER, "now", "times faster"),
        rows,
        [f"{report.machine()}. Medians of {ROUNDS} rounds, five models and a host, each read after a new commit."],
    )
