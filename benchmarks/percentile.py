"""A percentile over 30 days: from the rollups, beside an exact scan of the raw rows.

The rollup's cost depends on the number of rollup rows in the window, the scan's on the number of requests. The table
also says how far the rollup's answer lies from the exact one; more than 1.1 % would be a fault, and stops the run.
"""

from __future__ import annotations

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
from metrics.store.writing.transaction import Store

SIZES = (100_000, 1_000_000)
DAYS = 30
BATCH = 10_000
ROUNDS = 5
SCANS = 3
METRIC = catalogue.get("inference.response_time_ms")
TABLE = InferenceMetrics._meta.db_table


def fill(count: int, start: datetime, seed: int) -> None:
    """Commit so many requests, spread over the 30 days, on the real write path."""
    store = Store()
    source = workload.requests(count, start, count / (DAYS * 86_400), seed)
    while batch := [InferenceEvent(**event) for event in islice(source, BATCH)]:
        store.commit(batch)


def timed(do: Callable[[], float], rounds: int) -> tuple[float, float]:
    """(median of the milliseconds, the answer)."""
    took: list[float] = []
    answer = 0.0
    for _ in range(rounds):
        begin = time.perf_counter()
        answer = do()
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.median(took), answer


def measure(quick: bool = False) -> str:
    """The table. `quick`: a hundredth of the requests, to see that it runs."""
    now = datetime.now(UTC)
    start = now - timedelta(days=DAYS) + timedelta(seconds=1)
    window = queries.Window.last(DAYS * 86_400, now)
    database = sqlite3.connect(f"file:{settings.DATABASES['default']['NAME']}?mode=ro", uri=True)
    where = f"FROM {TABLE} WHERE success AND response_time_ms IS NOT NULL"

    def from_rollups() -> float:
        found = queries.distribution(METRIC, window, queries.Filters(), now).percentiles["p99"]
        assert found is not None
        return found

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
        rollup_ms, answer = timed(from_rollups, ROUNDS)
        order_ms, exact = timed(by_order, SCANS)
        numpy_ms, same = timed(by_numpy, SCANS)
        assert exact == same, (exact, same)
        error = abs(answer / exact - 1)
        assert error <= RELATIVE_ERROR, (answer, exact)
        for name, took in (("rollups", rollup_ms), ("ORDER BY", order_ms), ("read and numpy.quantile", numpy_ms)):
            off = f"{error * 100:.2f} %" if name == "rollups" else "exact"
            rows.append((f"{size:,} requests: {name}", f"{took:,.1f}", f"{took / rollup_ms:,.1f}", off))
        rows[-3] = (f"{size:,} requests: rollups ({rollup_rows:,} rows in all)", *rows[-3][1:])
    database.close()
    return report.table(
        "The p99 of response time over 30 days",
        ("", "ms", "× rollups", "error"),
        rows,
        [
            f"{report.machine()}. Medians of {ROUNDS} reads and {SCANS} scans, five models.",
            "Rollups: the query layer's whole answer, all percentiles and the distribution. Scans: the p99 alone.",
        ],
    )
