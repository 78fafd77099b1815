"""Batch ingest, from JSON to commit, compared with bare `sqlite3.executemany` of the same rows.

The bare side inserts only the raw rows, into a table with the same columns, indexes and pragmas (WAL,
synchronous=FULL). LLM Monitor writes the raw rows and the rollups of all resolutions in one transaction, and merges
rollup rows until none is due; all of it is timed. The two sides alternate, so that a slow moment of the machine affects
both. Each figure is the median of the rounds.
"""

from __future__ import annotations

import json
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from benchmarks import report, workload
from benchmarks.posts import MONITOR, running
from llmmonitor.infra.databases import SQLITE_INIT
from metrics.events import InferenceEvent, Kind
from metrics.ingest.post import ingest
from metrics.models import InferenceMetrics
from metrics.store.writing.transaction import Store

ROUNDS = 5
BATCHED = 10_000  # events per round in batches
SINGLE = 500  # events per round that are posted singly
CLIENTS = 16
PER_SECOND = 1_000.0  # by their timestamps: a batch of 1,000 spans one second
SPREAD_DAYS = 29  # of the other batches
TABLE = InferenceMetrics._meta.db_table
Row = tuple[Any, ...]


class Bare:
    """A copy of the raw table in another database, written with `executemany`."""

    def __init__(self, path: Path) -> None:
        self.database = sqlite3.connect(path, isolation_level=None)
        self.database.executescript(SQLITE_INIT)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sql FROM sqlite_master WHERE tbl_name = %s AND sql IS NOT NULL ORDER BY rowid", [TABLE]
            )
            for (statement,) in cursor.fetchall():
                self.database.execute(statement)
        self.columns = [field.column for field in InferenceMetrics._meta.fields if not field.primary_key]
        names = ", ".join(f'"{column}"' for column in self.columns)
        self.insert = f"INSERT INTO {TABLE} ({names}) VALUES ({', '.join('?' * len(self.columns))})"
        self.newest = 0

    def new_raw_rows(self) -> list[Row]:
        """Return the raw rows that LLM Monitor has stored since the last call."""
        database = sqlite3.connect(f"file:{settings.DATABASES['default']['NAME']}?mode=ro", uri=True)
        names = ", ".join(f'"{column}"' for column in self.columns)
        rows = database.execute(f"SELECT id, {names} FROM {TABLE} WHERE id > ? ORDER BY id", [self.newest]).fetchall()
        database.close()
        self.newest = rows[-1][0]
        return [row[1:] for row in rows]

    def write(self, rows: list[Row], batch: int) -> None:
        """Insert the rows, `batch` rows per transaction."""
        for part in parts(rows, batch):
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(self.insert, part)
            self.database.execute("COMMIT")


def parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    """Split the list into parts of this size."""
    return (items[start : start + size] for start in range(0, len(items), size))


def post(body: bytes) -> None:
    """Ingest a body and wait for its commit."""
    response = ingest(Kind.INFERENCE, body, "application/json", None)
    assert response.status == 200, response.payload
    assert not response.payload["rejected"], response.payload


def _in_random_order(events: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    shuffled = list(events)
    random.Random(1).shuffle(shuffled)
    return iter(shuffled)


def seconds(function: Callable[[], object]) -> float:
    """Return the run time of the function."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def measure(quick: bool = False) -> str:
    """Return the table. `quick` runs one short round, which only shows that the benchmark works."""
    rounds, batched, single = (1, 1_000, 20) if quick else (ROUNDS, BATCHED, SINGLE)
    start = datetime.now(UTC) - timedelta(hours=1)
    source = workload.requests(10**9, start, PER_SECOND)
    span = timedelta(days=SPREAD_DAYS)
    spread = 2 * batched * rounds
    of_days = (datetime.now(UTC) - span, spread / span.total_seconds())
    replay = workload.requests(spread, *of_days, seed=2)
    mixed = _in_random_order(workload.requests(spread, *of_days, seed=3))
    bare = Bare(Path(settings.LLMMONITOR.data_dir) / "bare.sqlite3")
    store = Store()
    clients = ThreadPoolExecutor(CLIENTS)
    rates: dict[str, list[float]] = {}

    def run(
        name: str,
        count: int,
        batch: int,
        prepare: Callable[[list[Any]], list[Any]],
        write: Callable[[Any], object],
        events: Iterator[dict[str, Any]] = source,
    ) -> None:
        """Time LLM Monitor on `count` new events, then the bare side on the rows that it has stored."""
        prepared = prepare(list(islice(events, count)))
        rates.setdefault(name, []).append(count / seconds(lambda: write(prepared)))
        rows = bare.new_raw_rows()
        assert len(rows) == count
        rates.setdefault(f"bare {batch}", []).append(count / seconds(lambda: bare.write(rows, batch)))

    def over_http(prepared: list[bytes]) -> None:
        for body in prepared:
            server.request("POST", "/track/inference", body, {"Content-Type": "application/json"})
            response = json.load(server.getresponse())
            assert not response["rejected"], response

    def bodies(size: int) -> Callable[[list[Any]], list[Any]]:
        return lambda events: [orjson.dumps(part if size > 1 else part[0]) for part in parts(events, size)]

    def one_by_one(prepared: list[bytes]) -> None:
        for body in prepared:
            post(body)

    def commits(batches: list[list[InferenceEvent]]) -> None:
        for batch in batches:
            store.commit(batch)
        while store.compact():
            pass

    def validated(events: list[Any]) -> list[list[InferenceEvent]]:
        return list(parts([InferenceEvent(**event) for event in events], 1_000))

    with running(MONITOR) as (port, _):
        server = HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(rounds):
            run("http 1000", batched, 1_000, bodies(1_000), over_http)
            run("http 1000 of a replay", batched, 1_000, bodies(1_000), over_http, replay)
    for _ in range(rounds):
        run("commit 1000", batched, 1_000, validated, commits)
        run("commit 1000 of a replay", batched, 1_000, validated, commits, replay)
        run("commit 1000 mixed", batched, 1_000, validated, commits, mixed)
        run("post 1000", batched, 1_000, bodies(1_000), one_by_one)
        run("post 100", batched // 2, 100, bodies(100), one_by_one)
        run("post 1 × 16", single * 4, 1, bodies(1), lambda prepared: list(clients.map(post, prepared)))
        run("post 1", single, 1, bodies(1), one_by_one)

    median = {name: statistics.median(values) for name, values in rates.items()}
    lines = [
        ("executemany, 1,000 rows per commit", "bare 1000", "bare 1000"),
        ("raw rows and rollups, 1,000 validated events per commit", "commit 1000", "bare 1000"),
        (f"the same, {SPREAD_DAYS} days in the order of time", "commit 1000 of a replay", "bare 1000"),
        (f"the same, each commit spread over {SPREAD_DAYS} days", "commit 1000 mixed", "bare 1000"),
        ("JSON to commit, bodies of 1,000", "post 1000", "bare 1000"),
        ("the same over HTTP, one client", "http 1000", "bare 1000"),
        (f"the same over HTTP, {SPREAD_DAYS} days in the order of time", "http 1000 of a replay", "bare 1000"),
        ("executemany, 100 rows per commit", "bare 100", "bare 100"),
        ("JSON to commit, bodies of 100", "post 100", "bare 100"),
        ("executemany, 1 row per commit", "bare 1", "bare 1"),
        ("JSON to commit, bodies of 1, one client", "post 1", "bare 1"),
        ("JSON to commit, bodies of 1, 16 concurrent clients", "post 1 × 16", "bare 1"),
    ]
    return report.table(
        "Batch ingest compared with bare sqlite3.executemany of the same rows",
        ("", "events/s", "of bare"),
        [(text, f"{median[name]:,.0f}", f"{median[name] / median[base]:.2f}") for text, name, base in lines],
        [
            f"{report.machine()}. Median of {rounds} alternating rounds.",
            "Bare: raw rows only. LLM Monitor: validation, raw rows and the rollups of 1 s, 1 min and 1 h.",
        ],
    )
