"""`make bench` runs and prints its tables. What the figures are is for whoever reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "run.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


class TheBenchmark:
    @pytest.mark.parametrize(
        ("subject", "title", "lines"),
        [
            ("ingest", "Batch ingest compared with bare sqlite3.executemany of the same rows", 12),
            ("posts", "Single posts compared with a bare ASGI application under daphne", 3),
            ("percentile", "p99 of the response time over 30 days", 6),
            ("earlier", "CPU of reads in ms, compared with da735c5", 10),
            ("readers", "Single posts beside eight clients that read 30 days", 5),
            ("retention", "Batches of 1,000 while upkeep deletes old requests", 5),
            ("alerts", "Alert rules: the evaluation, and the delay of an alert", 6),
            ("backtest", "Backtest of an alert rule over days", 6),
            ("sdk", "The SDK: a tracked call compared with a span of OpenTelemetry", 6),
            pytest.param(
                "writers",
                "Two processes that write to one PostgreSQL database, compared with one",
                2,
                marks=pytest.mark.postgres,
            ),
        ],
    )
    def test_prints_its_table(self, subject: str, title: str, lines: int) -> None:
        finished = bench(subject, "--quick")
        assert finished.returncode == 0, finished.stderr
        printed = finished.stdout.splitlines()
        assert printed[0] == title
        table = printed[4 : printed.index("", 4)]
        assert len(table) == lines

    def test_names_the_subjects_when_one_is_unknown(self) -> None:
        finished = bench("speed")
        assert finished.returncode == 2
        assert "unknown: speed; choose from ingest, posts, percentile, earlier, readers, retention" in finished.stderr
