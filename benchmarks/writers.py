"""Two processes that write to one PostgreSQL database, compared with one: CPU time of an event, and waits for locks.

One and two writers alternate, each in its own database. A writer sets `lock_timeout` to 10 ms, so a commit that
waits longer for a lock fails; it is counted and repeated. The CPU time is that of the writers, without PostgreSQL, and
includes the merging of rollup rows until none is due.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from benchmarks import report, workload
from tests.services import postgres_database

ROOT = Path(__file__).resolve().parent.parent
EVENTS = 20_000  # of each writer in a round
BATCH = 1_000
PER_SECOND = 1_000.0
ROUNDS = 5
TIMEOUT_SECONDS = 120


def write(seed: int, count: int) -> None:
    """Commit `count` events to DATABASE_URL once a line is read from standard input. Print the figures as JSON."""
    import django
    from django.db import connection

    django.setup()
    from metrics.events import InferenceEvent
    from metrics.store.unavailable import StoreUnavailable
    from metrics.store.writing.transaction import Store

    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '10ms'")
    start = datetime.now(UTC) - timedelta(seconds=(count + BATCH) / PER_SECOND)
    source = workload.requests(count + BATCH, start, PER_SECOND, seed)
    batches = [[InferenceEvent(**event) for event in islice(source, BATCH)] for _ in range(count // BATCH + 1)]
    store = Store()
    waits = 0

    def commit(batch: list[InferenceEvent]) -> bool:
        try:
            store.commit(batch)
        except StoreUnavailable:
            return False
        while store.compact():
            pass
        return True

    while not commit(batches[0]):  # label sets, statements and caches
        pass
    print("ready", flush=True)
    sys.stdin.readline()
    begin = time.process_time()
    for batch in batches[1:]:
        while not commit(batch):
            waits += 1
    print(json.dumps({"cpu_us": (time.process_time() - begin) / count * 1e6, "waits": waits}), flush=True)


def run_writers(url: str, writers: int, count: int, seed: int) -> tuple[float, int]:
    """Return the mean CPU time of an event in µs, and the number of commits that waited for a lock."""
    environment = {**os.environ, "DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    environment["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", f"from benchmarks import writers; writers.write({seed + number}, {count})"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        results = [json.loads(process.communicate(timeout=TIMEOUT_SECONDS)[0]) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return statistics.mean(result["cpu_us"] for result in results), sum(result["waits"] for result in results)


def measure(quick: bool = False) -> str:
    """Return the table. `quick` runs one short round, which only shows that the benchmark works."""
    rounds, count = (1, BATCH) if quick else (ROUNDS, EVENTS)
    results: dict[int, list[tuple[float, int]]] = {1: [], 2: []}
    for number in range(rounds):
        for writers, of_writers in results.items():
            with postgres_database(f"llmmonitor_bench_{writers}") as database:
                if database.missing:
                    return f"Two writers on PostgreSQL: not measured. {database.missing}\n"
                environment = {**os.environ, "DATABASE_URL": database.url}
                migrate = [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"]
                subprocess.run(migrate, env=environment, check=True, timeout=TIMEOUT_SECONDS)
                of_writers.append(run_writers(database.url, writers, count, 10 * number))
    cpu_us = {writers: statistics.median(figure for figure, _ in of) for writers, of in results.items()}
    return report.table(
        "Two processes that write to one PostgreSQL database, compared with one",
        ("", "CPU µs per event", "of one writer", "waits over 10 ms"),
        [
            (
                f"{writers} writer{'s' * (writers > 1)}",
                f"{cpu_us[writers]:.1f}",
                f"{cpu_us[writers] / cpu_us[1]:.2f}",
                str(sum(waits for _, waits in of)),
            )
            for writers, of in results.items()
        ],
        [
            f"{report.machine()}. Median of {rounds} alternating rounds of {count:,} events for each writer.",
            f"Commits of {BATCH:,} events; with the merging of rollup rows.",
        ],
    )
