"""A percentile over 30 days: from the rollups, compared with an exact scan of the raw rows.

The cost of the rollups depends on the number of rollup rows in the window, the cost of the scan on the number of
requests. The table also shows the error of the percentile from the rollups. An error above 1.1 % is a bug and stops the
run.
"""

from __future__ import annotations

import math
import sqlite3
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
from django.conf import settings

from benchmarks import report, workload
from metrics import catalogue, queries
from metrics.events import InferenceEvent
from metrics.histogram import RELATIVE_ERROR
from metrics.models import InferenceMetrics, InferenceRollup
from metrics.store.compaction import merge_leftovers
from metrics.store.upkeep.deleting import Steps
from metrics.store.writing.transaction import Store

SIZES = (100_000, 1_000_000)
DAYS = 30
BATCH = 10_000
ROUNDS = 5
SCANS = 3
METRIC = catalogue.get("inference.response_time_ms")
TABLE = InferenceMetrics._meta.db_table


def fill(count: int, start: datetime, seed: int) -> None:
    """Commit `count` requests, spread over the 30 days, with the store's own write path."""
    store = Store()
    source = workload.requests(count, start, count / (DAYS * 86_400), seed)
    while batch := [InferenceEvent(**event) for event in islice(source, BATCH)]:
        store.commit(batch)
    merge_leftovers(datetime.now(UTC), Steps(math.inf))  # as upkeep does


def timed(function: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Return (median run time in milliseconds, result of the function)."""
    run_times_ms: list[float] = []
    result = 0.0
    for _ in range(rounds):
        begin = time.perf_counter()
        result = function()
        run_times_ms.append((time.perf_counter() - begin) * 1000)
    return statistics.median(run_times_ms), result


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses a hundredth of the requests, which only shows that the benchmark works."""
    now = datetime.now(UTC)
    start = now - timedelta(days=DAYS) + timedelta(seconds=1)
    window = queries.Window.last(DAYS * 86_400, now)
    database = sqlite3.connect(f"file:{settings.DATABASES['default']['NAME']}?mode=ro", uri=True)
    where = f"FROM {TABLE} WHERE success AND response_time_ms IS NOT NULL"

    def from_rollups() -> float:
        p99 = queries.distribution(METRIC, window, queries.Filters(), now).percentiles["p99"]
        assert p99 is not None
        return p99

    def by_order() -> float:
        (count,) = database.execute(f"SELECT count(*) {where}").fetchone()
        rank = max(1, -(-99 * count // 100))
        (value,) = database.execute(
            f"SELECT response_time_ms {where} ORDER BY 1 LIMIT 1 OFFSET ?", [rank - 1]
        ).fetchone()
        return float(value)

    def by_numpy() -> float:
        values = np.fromiter((value for (value,) in database.execute(f"SELECT response_time_ms {where}")), float)
        return float(np.quantile(values, 0.99, method="inverted_cdf"))

    rows = []
    stored = 0
    for seed, size in enumerate((size // 100 if quick else size for size in SIZES), start=1):
        fill(size - stored, start, seed)
        stored = size
        assert InferenceMetrics.objects.count() == size
        rollup_rows = InferenceRollup.objects.count()
        rollup_ms, p99 = timed(from_rollups, ROUNDS)
        order_ms, exact = timed(by_order, SCANS)
        numpy_ms, same = timed(by_numpy, SCANS)
        assert exact == same, (exact, same)
        error = abs(p99 / exact - 1)
        assert error <= RELATIVE_ERROR, (p99, exact)
        for name, run_time_ms, error_text in (
            (f"rollups ({rollup_rows:,} rows)", rollup_ms, f"{error * 100:.2f} %"),
            ("ORDER BY", order_ms, "exact"),
            ("read and numpy.quantile", numpy_ms, "exact"),
        ):
            times = f"{run_time_ms / rollup_ms:,.1f}"
            rows.append((f"{size:,} requests: {name}", f"{run_time_ms:,.1f}", times, error_text))
    database.close()
    return report.table(
        "p99 of the response time over 30 days",
        ("", "ms", "× rollups", "error"),
        rows,
        [
            f"{report.machine()}. Medians of {ROUNDS} reads and {SCANS} scans, five models.",
            "Rollups: the whole result of the query, with all percentiles and the distribution. Scans: only the p99.",
        ],
    )
