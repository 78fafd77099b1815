"""Single posts beside readers: how long a post takes alone, and beside clients that repeat the heaviest queries.

The server is `manage.py up` on a store of 200,000 requests over 30 days. One client posts single events over one
connection. Beside it, eight clients read the summary and the table of models of 30 days, each as fast as the server
responds. The two situations alternate.
"""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice

import orjson
from django.db import connections
from django.utils.timezone import now

from benchmarks import report, workload
from benchmarks.monitor_server import server, status_of
from metrics.events import InferenceEvent
from metrics.store.upkeep.maintenance import maintain
from metrics.store.writing.transaction import Store

REQUESTS = 200_000
DAYS = 30
BATCH = 10_000
READERS = 8
PATHS = ("/metrics/summary?range=30d", "/models?range=30d")
ROUNDS = 3
SECONDS = 8.0  # of each situation in a round


def fill(count: int) -> None:
    """Commit `count` requests that end now, and delete the rollups that have expired, as the server would."""
    start = now() - timedelta(days=DAYS)
    source = workload.requests(count, start, count / (DAYS * 86_400))
    store = Store()
    while batch := [InferenceEvent(**event) for event in islice(source, BATCH)]:
        store.commit(batch)
    maintain(now(), budget_seconds=60)
    connections.close_all()


@contextmanager
def readers(port: int, statuses: Counter[int]) -> Iterator[None]:
    """Let READERS clients read during the block. Count their responses by status."""
    stopped = threading.Event()

    def read(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while not stopped.is_set():
            number += 1
            status = status_of(connection, "GET", PATHS[number % len(PATHS)])
            statuses[status] += 1
            if status == 503:
                stopped.wait(1.0)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(READERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def post_for(seconds: float, port: int, ids: Iterator[int]) -> list[float]:
    """Post single events for some seconds. Return how long each took, in milliseconds."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    times: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until or not times:
        event = next(workload.requests(1, datetime.now(UTC) - timedelta(seconds=1), 1.0, seed=next(ids)))
        body = orjson.dumps(event)
        begin = time.perf_counter()
        status = status_of(connection, "POST", "/track/inference", body)
        times.append((time.perf_counter() - begin) * 1000)
        assert status == 200, status
        time.sleep(0.005)
    return times


def measure(quick: bool = False) -> str:
    """Return the table. `quick` uses few requests and short rounds, which only shows that the benchmark works."""
    rounds, seconds, count = (1, 0.5, 2_000) if quick else (ROUNDS, SECONDS, REQUESTS)
    fill(count)
    ids = iter(range(2, 1_000_000))
    quiet: list[float] = []
    busy: list[float] = []
    statuses: Counter[int] = Counter()
    reading_seconds = 0.0
    most_memory = 0
    with server() as (port, process):
        post_for(seconds / 4, port, ids)  # opens the connections of the server
        for _ in range(rounds):
            quiet += post_for(seconds, port, ids)
            begin = time.monotonic()
            with readers(port, statuses):
                busy += post_for(seconds, port, ids)
                most_memory = max(most_memory, process.memory_info().rss)
            reading_seconds += time.monotonic() - begin
    alone, beside = statistics.median(quiet), statistics.median(busy)
    p95_alone, p95_beside = (
        statistics.quantiles(times, n=20)[-1] if len(times) > 1 else times[0] for times in (quiet, busy)
    )
    return report.table(
        "Single posts beside eight clients that read 30 days",
        ("", "alone", "beside readers", "ratio"),
        [
            ("a post, median (ms)", f"{alone:.1f}", f"{beside:.1f}", f"{beside / alone:.1f}"),
            ("a post, 95th percentile (ms)", f"{p95_alone:.1f}", f"{p95_beside:.1f}", f"{p95_beside / p95_alone:.1f}"),
            ("responses to readers, per second", "", f"{statuses[200] / reading_seconds:.1f}", ""),
            ("of their responses, 503 (%)", "", f"{100 * statuses[503] / max(1, statuses.total()):.0f}", ""),
            ("memory of the server (MB)", "", f"{most_memory / 1e6:.0f}", ""),
        ],
        [f"{report.machine()}. {rounds} alternating rounds of {seconds:g} s; {count:,} requests over {DAYS} days."],
    )
