"""An update of the schema while the version before still stores events: no statement fails, and no figure changes.

The version before is represented by the models and columns of its migrations.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Max

from llmmonitor.infra.management.commands import migrate
from llmmonitor.infra.snapshot import snapshot
from metrics import queries
from metrics.events import InferenceEvent, build_event
from metrics.histogram import Histogram
from metrics.models import SystemMetrics
from metrics.queries import Filters, SeriesSpec, Window
from metrics.queries.read import gauge_cache, rollup_cache
from metrics.store.commit_result import CommitResult
from metrics.store.writing.transaction import Store
from tests.metrics.store.kept import NOW, failure, machine, queue, record, request
from tests.support.contents import figures
from tests.support.many_requests import fields_of
from tests.support.programs import run_program

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

# The newest migrations of the oldest version from which an update may run beside the processes of that version.
START = [("metrics", "0015_model_aliases"), ("alerts", "0011_last_sent"), ("backup", None)]
SHORT, FULL = 3_000, 1_000_000  # requests
TOGETHER = 5_000
SECONDS = 60.0
OLD = "version-before"  # the service and the host of what it stores
LATER = NOW + timedelta(hours=2)  # when it does: after the window of the figures that are compared
TABLES = (
    ("metrics", "InferenceMetrics"),
    ("metrics", "InferenceRollup"),
    ("metrics", "ErrorMetrics"),
    ("metrics", "SystemMetrics"),
    ("metrics", "GPUMetrics"),
    ("metrics", "QueueMetrics"),
    ("metrics", "GaugeRollup"),
    ("alerts", "Alert"),
    ("alerts", "AlertChange"),
)


def fill(number: int) -> None:
    """Store requests of 29 days, and a fiftieth as many errors and samples of a host, a GPU and a queue."""
    store, random, step = Store(clock=lambda: NOW), Random(1), timedelta(days=29) / number
    for first in range(0, number, TOGETHER):
        numbers = range(first, min(number, first + TOGETHER))
        at = {index: NOW - step * (number - index) for index in numbers}
        store.commit([build_event(InferenceEvent, fields_of(random, index, at[index]), []) for index in numbers])
        store.commit([failure(at[index], f"error-{index}") for index in numbers if index % 50 == 0])
    step_of_samples = timedelta(hours=23) / number
    for first in range(0, number, TOGETHER):
        times = [NOW - step_of_samples * index for index in range(first, min(number, first + TOGETHER), 50)]
        store.commit([sample for at in times for sample in (machine(at), queue(at))])


def store_alerts(apps: Any, number: int) -> None:
    """Store alerts that have ended, each with a change."""
    alert, change = (apps.get_model("alerts", name) for name in ("Alert", "AlertChange"))
    alerts = [
        alert(
            rule_id="high-cpu",
            rule_name="CPU",
            severity="warning",
            metric="system.cpu_percent",
            stat="avg",
            labels={"host": "big"},
            labels_hash=f"{index}",
            state="resolved",
            since=NOW,
            ended_at=NOW,
            updated_at=NOW,
        )
        for index in range(number)
    ]
    alert.objects.bulk_create(alerts)
    change.objects.bulk_create([change(alert=one, at=NOW, to="resolved") for one in alerts])


@contextmanager
def version_before(number: int) -> Iterator[Any]:
    """Yield the models of the version before, of a database that has its schema and this number of requests."""
    fill(number)
    apps = MigrationExecutor(connection).migrate(START).apps
    store_alerts(apps, number // 100)
    try:
        yield apps
    finally:
        call_command("migrate", verbosity=0)


@pytest.fixture
def before(full: bool) -> Iterator[Any]:
    with version_before(FULL if full else SHORT) as apps:
        yield apps


@pytest.fixture
def small_before() -> Iterator[Any]:
    with version_before(SHORT) as apps:
        yield apps


def migrate_in_thread() -> None:
    try:
        call_command("migrate", verbosity=0)
    finally:
        connection.close()


class VersionBefore:
    """Stores and reads rows, one transaction after the other, until the block ends. `stored` counts them."""

    def __init__(self, apps: Any) -> None:
        self.apps = apps
        self.model = {name: apps.get_model(app, name) for app, name in TABLES}
        self.series = apps.get_model("metrics", "Series").objects.create(
            model_name="m", service=OLD, first_seen=LATER, last_seen=LATER
        )
        self.labels = apps.get_model("metrics", "GaugeLabels").objects.create(host=OLD)
        self.stored = 0
        self.longest_seconds = 0.0
        self.has_stored = threading.Condition()
        self.is_over = threading.Event()

    def run(self) -> None:
        """For a thread, which has a connection of its own."""
        try:
            while not self.is_over.wait(0.005):
                begin = time.monotonic()
                self.store()
                self.read()
                self.longest_seconds = max(self.longest_seconds, time.monotonic() - begin)
                with self.has_stored:
                    self.stored += 1
                    self.has_stored.notify_all()
        finally:
            connection.close()

    def store(self) -> None:
        at = LATER + timedelta(milliseconds=self.stored)
        second = int(at.timestamp())
        with transaction.atomic():
            self.model["InferenceMetrics"].objects.create(
                timestamp=at, request_id=f"{self.stored}", model_key=1, series=self.series, success=True, outcome="ok",
                completion_tokens=7, response_time_ms=120.0,
            )  # fmt: skip
            for resolution in (1, 60, 3600):
                self.model["InferenceRollup"].objects.create(
                    resolution=resolution, bucket=second // resolution * resolution, series=self.series, ok=1,
                    completion_tokens=7, response_time_ms=Histogram.of([120.0]).pack(),
                )  # fmt: skip
            self.model["SystemMetrics"].objects.create(timestamp=at, host=OLD, labels=self.labels, cpu_percent=20.0)
            for resolution in (60, 3600):
                self.model["GaugeRollup"].objects.create(
                    resolution=resolution, bucket=second // resolution * resolution, metric="system.cpu_percent",
                    labels=self.labels, count=1, sum=20.0, min=20.0, max=20.0, last=20.0, last_at=second * 10**6,
                )  # fmt: skip
            store_alerts(self.apps, 1)

    def read(self) -> None:
        for model in self.model.values():
            assert list(model.objects.order_by("-pk")[:5])

    def wait_for(self, more: int, running: Future[None]) -> None:
        """Return when it has stored this number of rows more. Fails if one of its statements has failed."""
        with self.has_stored:
            wanted = self.stored + more
            assert self.has_stored.wait_for(lambda: self.stored >= wanted or running.done(), SECONDS)
        assert not running.done(), running.exception()

    @contextmanager
    def stores_while(self) -> Iterator[Future[None]]:
        """Store rows before, in, and after the block. Fails if a statement fails."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self.run)
            try:
                self.wait_for(5, running)
                yield running
                self.wait_for(5, running)
            finally:
                self.is_over.set()
        running.result()


def places() -> dict[str, int]:
    """Where each table and each index is stored. A table that is rewritten, and an index that is built again, moves."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT relname, pg_relation_filenode(oid) FROM pg_class"
                " WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
            )
        else:
            cursor.execute("SELECT name, rootpage FROM sqlite_master WHERE rootpage > 0")
        return dict(cursor.fetchall())


def figures_of_30_days() -> dict[str, Any]:
    """The summary, histograms and series, read from the tables."""
    caches["queries"].clear()
    rollup_cache.cache.clear()
    gauge_cache.cache.clear()
    return figures(NOW)


def rows_of(apps: Any, newest: Mapping[str, int] | None = None) -> dict[str, tuple[int, int]]:
    """The number of rows of each table and the newest id, of those up to the `newest` ids."""
    found = {}
    for app, name in TABLES:
        rows = apps.get_model(app, name).objects.all()
        if newest is not None:
            rows = rows.filter(pk__lte=newest[name])
        found[name] = (rows.count(), rows.aggregate(newest=Max("pk"))["newest"])
    return found


def stored_by_the_version_before() -> dict[str, Any]:
    """What this version reads of it."""
    window, now = Window(LATER, LATER + timedelta(hours=1)), LATER + timedelta(hours=1)
    requests = queries.summary(window, Filters(service=(OLD,)), now).as_dict()
    cpu_percent = SeriesSpec.of("system.cpu_percent", "avg")
    hours = queries.series([cpu_percent], window, Filters(host=(OLD,)), step=3600, now=now).as_dict()
    names = ("total_requests", "completion_tokens", "p95_response_time_ms")
    return {name: requests[name] for name in names} | {"cpu_percent": hours["series"][0]["points"][0][1]}


class AnUpdate:
    def test_lets_no_statement_of_the_version_before_fail_and_changes_no_figure(self, before: Any) -> None:
        figures_before, rows_before, places_before = figures_of_30_days(), rows_of(before), places()
        requests, _ = rows_before["InferenceMetrics"]
        assert figures_before["summary"]["total_requests"] >= requests >= SHORT
        old = VersionBefore(before)

        with old.stores_while() as running:
            begin, old.longest_seconds = time.monotonic(), 0.0
            call_command("migrate", verbosity=0)
            seconds, longest = time.monotonic() - begin, old.longest_seconds
            old.wait_for(5, running)
            new = [machine(LATER, "new", monitor_commit_ms=3.0), request(LATER, "new", service="new")]
            assert record(new, at=LATER) == CommitResult(2, 0, [], [])

        print(
            f"{connection.vendor}, {requests:,} requests: {seconds:.2f} s of migrations; the"
            f" longest transaction of the version before took {longest:.2f} s ({old.stored} were stored)"
        )
        assert places_before.items() <= places().items()
        assert figures_of_30_days() == figures_before
        newest = {name: last for name, (_, last) in rows_before.items()}
        assert rows_of(before, newest) == rows_before
        assert stored_by_the_version_before() == {
            "total_requests": old.stored,
            "completion_tokens": 7 * old.stored,
            "p95_response_time_ms": pytest.approx(120, rel=0.011),
            "cpu_percent": 20.0,
        }
        assert SystemMetrics.objects.filter(host=OLD, monitor_commit_ms=None).count() == old.stored

    def test_lets_writers_of_sqlite_continue_after_each_migration(
        self, small_before: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("about SQLite, whose writers have no queue")
        old, pauses = VersionBefore(small_before), []
        monkeypatch.setattr(migrate, "LONG_SECONDS", 0.0)
        executor = MigrationExecutor(connection)
        migrations = executor.migration_plan(executor.loader.graph.leaf_nodes())

        with old.stores_while() as running:
            monkeypatch.setattr(migrate, "pause", lambda: pauses.append(old.wait_for(2, running)))
            call_command("migrate", verbosity=0)

        assert len(pauses) == len(migrations) > 1

    def test_continues_while_a_long_transaction_reads_the_tables(
        self, small_before: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        has_waited = threading.Event()
        monkeypatch.setattr(migrate, "pause", has_waited.set)
        old = VersionBefore(small_before)

        with ThreadPoolExecutor(1) as pool, old.stores_while() as running:
            with snapshot():  # of a backup
                samples = SystemMetrics.objects.count()
                update = pool.submit(migrate_in_thread)
                if connection.vendor == "postgresql":  # where a new column waits for the readers of its table
                    assert has_waited.wait(SECONDS)
                else:
                    update.result(SECONDS)
                old.wait_for(20, running)
                assert SystemMetrics.objects.count() == samples
            update.result(SECONDS)

        executor = MigrationExecutor(connection)
        assert executor.migration_plan(executor.loader.graph.leaf_nodes()) == []


class AFirstStart:
    def test_does_not_pause_for_writers_that_there_cannot_be(self, tmp_path: Path) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("about SQLite, where migrations pause")
        code = (
            "import django; django.setup()\n"
            "from django.core.management import call_command\n"
            "from llmmonitor.infra.management.commands import migrate\n"
            "migrate.LONG_SECONDS, migrate.pause = 0.0, lambda: print('a pause')\n"
            "call_command('migrate', verbosity=0)\n"
        )
        program = run_program(code, data_dir=str(tmp_path))

        assert (program.returncode, program.stdout) == (0, ""), program.stderr
        assert (tmp_path / "llmmonitor.sqlite3").exists()
