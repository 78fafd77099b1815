"""Batch ingest: the way of an event from JSON to its commit, beside bare `sqlite3.executemany` of the same rows.

The bare side writes the raw rows alone, into a table with the same columns and indexes and with the same pragmas (WAL,
synchronous=FULL). Ours writes raw rows and the rollups of all resolutions, in one transaction. They take turns, so that
a slow moment of the machine meets both; each figure is the median of the rounds.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import connection

from benchmarks import report, workload
from llmmonitor.infra.databases import SQLITE_INIT
from metrics.events import InferenceEvent, Kind
from metrics.ingest.post import ingest
from metrics.models import InferenceMetrics
from metrics.store.writing.transaction import Store

ROUNDS = 5
BATCHED = 10_000  # events a round, where they come in batches
SINGLE = 500  # where each has a commit or a post of its own
CLIENTS = 16
PER_SECOND = 200.0  # of the events' own time: a batch of 1,000 spans five seconds
TABLE = InferenceMetrics._meta.db_table
Row = tuple[Any, ...]


class Bare:
    """A table like ours in a database of its own, written by `executemany` alone."""

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

    def rows_of_the_store(self) -> list[Row]:
        """What was stored on our side since the last call, as it lies in the table."""
        database = sqlite3.connect(f"file:{settings.DATABASES['default']['NAME']}?mode=ro", uri=True)
        names = ", ".join(f'"{column}"' for column in self.columns)
        found = database.execute(f"SELECT id, {names} FROM {TABLE} WHERE id > ? ORDER BY id", [self.newest]).fetchall()
        database.close()
        self.newest = found[-1][0]
        return [row[1:] for row in found]

    def write(self, rows: list[Row], batch: int) -> None:
        """Insert these, so many in a transaction."""
        for part in parts(rows, batch):
            self.database.execute("BEGIN IMMEDIATE")
            self.database.executemany(self.insert, part)
            self.database.execute("COMMIT")


def parts(items: list[Any], size: int) -> Iterator[list[Any]]:
    """The list in parts of this size."""
    return (items[start : start + size] for start in range(0, len(items), size))


def post(body: bytes) -> None:
    """One body through the door, up to its commit."""
    answer = ingest(Kind.INFERENCE, body, "application/json", None)
    assert answer.status == 200, answer.payload
    assert not answer.payload["rejected"], answer.payload


def seconds(do: Callable[[], object]) -> float:
    """How long it takes."""
    begin = time.perf_counter()
    do()
    return time.perf_counter() - begin


def measure(quick: bool = False) -> str:
    """The table. `quick`: one short round, to see that it runs."""
    rounds, batched, single = (1, 1_000, 20) if quick else (ROUNDS, BATCHED, SINGLE)
    start = datetime.now(UTC) - timedelta(hours=1)
    source = workload.requests(10**9, start, PER_SECOND)
    bare = Bare(Path(settings.LLMMONITOR.data_dir) / "bare.sqlite3")
    store = Store()
    clients = ThreadPoolExecutor(CLIENTS)
    rates: dict[str, list[float]] = {}

    def run(
        name: str, count: int, batch: int, prepare: Callable[[list[Any]], list[Any]], write: Callable[[Any], object]
    ) -> None:
        """Time our side on `count` new events, then the bare one on the rows that came of them."""
        prepared = prepare(list(islice(source, count)))
        rates.setdefault(name, []).append(count / seconds(lambda: write(prepared)))
        rows = bare.rows_of_the_store()
        assert len(rows) == count
        rates.setdefault(f"bare {batch}", []).append(count / seconds(lambda: bare.write(rows, batch)))

    def bodies(size: int) -> Callable[[list[Any]], list[Any]]:
        return lambda events: [orjson.dumps(part if size > 1 else part[0]) for part in parts(events, size)]

    def one_by_one(prepared: list[bytes]) -> None:
        for body in prepared:
            post(body)

    def commits(batches: list[list[InferenceEvent]]) -> None:
        for batch in batches:
            store.commit(batch)

    def validated(events: list[Any]) -> list[list[InferenceEvent]]:
        return list(parts([InferenceEvent(**event) for event in events], 1_000))

    for _ in range(rounds):
        run("commit 1000", batched, 1_000, validated, commits)
        run("post 1000", batched, 1_000, bodies(1_000), one_by_one)
        run("post 100", batched // 2, 100, bodies(100), one_by_one)
        run("post 1 × 16", single * 4, 1, bodies(1), lambda prepared: list(clients.map(post, prepared)))
        run("post 1", single, 1, bodies(1), one_by_one)

    median = {name: statistics.median(found) for name, found in rates.items()}
    lines = [
        ("executemany, 1,000 rows a commit", "bare 1000", "bare 1000"),
        ("raw rows and rollups, 1,000 validated events a commit", "commit 1000", "bare 1000"),
        ("JSON to commit, bodies of 1,000", "post 1000", "bare 1000"),
        ("executemany, 100 rows a commit", "bare 100", "bare 100"),
        ("JSON to commit, bodies of 100", "post 100", "bare 100"),
        ("executemany, 1 row a commit", "bare 1", "bare 1"),
        ("JSON to commit, bodies of 1, one client", "post 1", "bare 1"),
        ("JSON to commit, bodies of 1, 16 clients at once", "post 1 × 16", "bare 1"),
    ]
    return report.table(
        "Batch ingest beside bare sqlite3.executemany of the same rows",
        ("", "events/s", "of bare"),
        [(text, f"{median[name]:,.0f}", f"{median[name] / median[base]:.2f}") for text, name, base in lines],
        [
            f"{report.machine()}. Median of {rounds} rounds in turn.",
            "Bare: raw rows alone. Ours: validation, raw rows, and rollups of 1 s, 1 min and 1 h, in one transaction.",
        ],
    )
