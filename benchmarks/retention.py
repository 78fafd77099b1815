"""How long posts take while upkeep deletes a million requests whose retention has ended.

Batches arrive at half the rate that one client reaches, first while nothing is deleted, then while upkeep deletes. The
first posts after each start are not counted. Then upkeep runs to its end without posts, to see how much of the file it
gives back to the disk.
"""

from __future__ import annotations

import http.client
import os
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

import orjson

from benchmarks import report, workload
from benchmarks.monitor_server import server, status_of
from metrics.events import InferenceEvent
from metrics.models import InferenceMetrics
from metrics.sizes.database import DatabaseSize, database_bytes, database_size
from metrics.store.upkeep.maintenance import maintain
from metrics.store.writing.transaction import Store

REQUESTS = 1_000_000
BATCH = 1_000
COMMITTED_TOGETHER = 10_000
QUIET_SECONDS, MOST_SECONDS = 30.0, 480.0
UPKEEP_SECONDS, MOST_UPKEEP_SECONDS = 20.0, 240.0  # of a run of upkeep, and of all runs together after the posts
KEPT_DAYS = "LLMMONITOR_RAW_INFERENCE_DAYS"
OLDEST_DAYS, NEWEST_DAYS = 75, 45  # of the old requests
MIB = 2**20


def fill(count: int) -> None:
    """Commit `count` requests of 75 to 45 days ago."""
    store, now = Store(), datetime.now(UTC)
    seconds = (OLDEST_DAYS - NEWEST_DAYS) * 86_400
    source = workload.requests(count, now - timedelta(days=OLDEST_DAYS), count / seconds, 1)
    while batch := [InferenceEvent(**event) for event in islice(source, COMMITTED_TOGETHER)]:
        store.commit(batch)


def post_while(goes_on: Callable[[], bool], port: int, per_second: float, seed: int) -> list[float]:
    """Post batches at a rate (0: as fast as possible). Return how long each took, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    source = workload.requests(10**9, datetime.now(UTC) - timedelta(minutes=1), 10_000.0, seed)
    times: list[float] = []
    due = time.perf_counter()
    while goes_on():
        body = orjson.dumps(list(islice(source, BATCH)))
        if per_second:
            due += BATCH / per_second
            time.sleep(max(0.0, due - time.perf_counter()))
        begin = time.perf_counter()
        assert status_of(connection, "POST", "/track/inference", body) == 200
        times.append((time.perf_counter() - begin) * 1_000)
    return times


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Return a function that is true for some seconds from now on."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() < until


def run_upkeep_to_its_end() -> DatabaseSize:
    """Run upkeep until it deletes nothing and the file no longer shrinks. Return the size of the database."""
    goes_on = for_seconds(MOST_UPKEEP_SECONDS)
    size = database_size()
    while goes_on():
        before, deleted = size, sum(maintain(datetime.now(UTC), UPKEEP_SECONDS).values())
        size = database_size()
        if not deleted and size.total == before.total:
            break
    return size


def sizes(database: DatabaseSize) -> str:
    """Return the size of the database and that of its free pages."""
    return f"{database.total / MIB:.0f} MiB with {(database.free or 0) / MIB:.0f} MiB free"


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses few requests, which only shows that the benchmark works."""
    count, quiet_seconds, most = (2_000, 1.0, 1.0) if quick else (REQUESTS, QUIET_SECONDS, MOST_SECONDS)
    fill(count)
    boundary = datetime.now(UTC) - timedelta(days=NEWEST_DAYS - 1)
    old = InferenceMetrics.objects.filter(timestamp__lt=boundary)
    os.environ[KEPT_DAYS] = str(2 * OLDEST_DAYS)
    with server() as (port, _):
        post_while(for_seconds(quiet_seconds / 10), port, 0, 2)
        begin = time.monotonic()
        fastest = post_while(for_seconds(quiet_seconds / 6), port, 0, 3)
        rate = BATCH * len(fastest) / (time.monotonic() - begin) / 2
        quiet = post_while(for_seconds(quiet_seconds), port, rate, 4)
    before = database_bytes()
    os.environ[KEPT_DAYS] = "30"
    with server() as (port, _):
        post_while(for_seconds(quiet_seconds / 10), port, rate, 5)
        until = time.monotonic() + most
        post_while(lambda: old.count() == count and time.monotonic() < until, port, rate, 6)  # upkeep runs each minute
        begin, first = time.monotonic(), old.count()
        beside = post_while(lambda: old.exists() and time.monotonic() < until, port, rate, 7)
        seconds, left = time.monotonic() - begin, old.count()
    after = database_size()
    at_end, left_at_end = run_upkeep_to_its_end(), old.count()
    p99_quiet, p99_beside = (
        statistics.quantiles(times, n=100)[-1] if len(times) > 1 else times[0] for times in (quiet, beside or quiet)
    )
    medians = [statistics.median(times) for times in (quiet, beside or quiet)]
    return report.table(
        "Batches of 1,000 while upkeep deletes old requests",
        ("", "quiet", "while deleting", "ratio"),
        [
            ("a batch, median (ms)", *(f"{one:.1f}" for one in medians), f"{medians[1] / medians[0]:.2f}"),
            ("a batch, 99th percentile (ms)", f"{p99_quiet:.1f}", f"{p99_beside:.1f}", f"{p99_beside / p99_quiet:.2f}"),
            ("requests deleted, per second", "", f"{(first - left) / max(seconds, 0.001):,.0f}", ""),
            ("requests left", f"{count:,}", f"{left:,}", ""),
            ("size of the database (MiB)", f"{before / MIB:.0f}", f"{after.total / MIB:.0f}", ""),
        ],
        [
            f"{report.machine()}. {rate:,.0f} events/s, half of what one client reaches; {count:,} old requests.",
            f"When upkeep had run to its end without posts, {left_at_end:,} of them were left.",
            f"Size, and free pages in it: before {sizes(after)}, then {sizes(at_end)}.",
        ],
    )
