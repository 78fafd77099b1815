"""Rows, bytes and the oldest row of each table, against counts and file sizes taken by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import randbytes
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from alerts.models import Alert, AlertChange
from llmmonitor.access.models import AuditEntry
from metrics.models import GaugeLabels, GaugeRollup, InferenceMetrics, InferenceRollup, Series
from metrics.sizes import measuring
from metrics.sizes.database import database_size, sqlite_file, sqlite_pragma
from metrics.sizes.growth import Measured
from metrics.sizes.measuring import measure
from metrics.sizes.tables import OTHER, TOTAL, StoredTable, stored_tables
from tests.metrics.store.kept import NOW, ago, failure, machine, queue, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db(transaction=True)]

LONG = 60.0
PLENTY = "x" * 400


def fill() -> None:
    """Rows of many tables, with free pages among them."""
    events = [request(ago(minutes=one), f"r{one}", metadata={"note": PLENTY}) for one in range(2_000)]
    events += [failure(ago(minutes=one), f"e{one}", error_message=PLENTY) for one in range(300)]
    record(
        [*events, *(machine(ago(seconds=one)) for one in range(300)), *(queue(ago(seconds=one)) for one in range(50))]
    )
    alert = Alert.objects.create(rule_id="slow", labels={}, since=NOW, updated_at=NOW)
    AlertChange.objects.bulk_create(AlertChange(alert=alert, at=ago(days=1), to="firing") for _ in range(70))
    AuditEntry.objects.bulk_create(AuditEntry(at=ago(hours=one), actor="ada", action=PLENTY[:60]) for one in range(500))
    InferenceMetrics.objects.filter(timestamp__lt=ago(minutes=1_500)).delete()


def measured() -> dict[str, Measured]:
    return measure(stored_tables(), NOW, LONG)


def of(name: str) -> StoredTable:
    return next(table for table in stored_tables() if table.name == name)


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A copy of SQLite's file, to take it apart."""
    if connection.vendor != "sqlite":
        pytest.skip("of SQLite")
    fill()
    sqlite_pragma("wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(tmp_path / "copy.sqlite3", isolation_level=None)) as opened:
        # Page by page. To open and close the file itself would drop the locks of this process, and another process
        # would then delete the write-ahead log under it.
        connection.connection.backup(opened)
        yield opened


def free_and_schema_pages(copy: sqlite3.Connection) -> int:
    """The schema shrinks with a dropped table; its pages are not those of the table."""
    (schema,) = copy.execute("SELECT count(*) FROM dbstat WHERE name = 'sqlite_schema'").fetchone()
    (free,) = copy.execute("PRAGMA freelist_count").fetchone()
    return int(free + schema)


class TheBytes:
    @pytest.mark.parametrize("name", ["requests", "errors", "host_samples", "alert_changes", "audit_log", "labels"])
    def test_of_a_table_are_those_that_dropping_it_sets_free(self, name: str, copy: sqlite3.Connection) -> None:
        before = free_and_schema_pages(copy)
        for table in of(name).tables():
            copy.execute(f'DROP TABLE "{table}"')
        dropped = free_and_schema_pages(copy) - before

        assert measured()[name].bytes == dropped * sqlite_pragma("page_size")
        assert dropped > 0

    def test_of_all_tables_and_the_free_pages_are_those_of_the_file(self, copy: sqlite3.Connection) -> None:
        sizes = measured()
        total = sizes.pop(TOTAL)
        size = database_size()

        assert size.free_pages
        assert sum(one.bytes or 0 for one in sizes.values()) + (size.free or 0) == sqlite_file().stat().st_size
        assert total.bytes == sum(one.bytes or 0 for one in sizes.values())
        assert size.total == sum(Path(f"{sqlite_file()}{end}").stat().st_size for end in ("", "-wal", "-shm"))

    def test_of_all_tables_are_those_that_postgresql_stores(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("of PostgreSQL")
        fill()
        sizes = measured()
        with connection.cursor() as cursor:
            cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = [name for (name,) in cursor.fetchall()]
            by_hand = {}
            for name in tables:
                cursor.execute("SELECT pg_table_size(%s) + pg_indexes_size(%s)", [f'"{name}"', f'"{name}"'])
                by_hand[name] = cursor.fetchone()[0]
            cursor.execute(
                "SELECT pg_database_size(current_database()), sum(pg_relation_size(oid, fork)) FROM pg_class, "
                "unnest(ARRAY['main', 'fsm', 'vm', 'init']) fork WHERE relnamespace = 'pg_catalog'::regnamespace "
                "OR relnamespace = 'pg_toast'::regnamespace AND relname ~ '_[0-9]{4}(_index)?$' "
                "OR relnamespace = 'information_schema'::regnamespace"
            )
            whole, system = cursor.fetchone()
        total = sizes.pop(TOTAL)

        assert sizes["requests"].bytes == by_hand["metrics_inferencemetrics"]
        assert sizes["audit_log"].bytes == by_hand["access_auditentry"]
        assert sum(one.bytes or 0 for one in sizes.values()) == sum(by_hand.values())
        assert total.bytes == pytest.approx(whole, rel=0.01)
        # Beside the tables of the system, a database has some small files.
        assert sum(by_hand.values()) == pytest.approx(int(whole - system), rel=0.05)

    def test_of_resolutions_in_one_table_are_split_by_the_size_of_their_rows(self) -> None:
        series = Series.objects.create(model_name="chatty", first_seen=NOW, last_seen=NOW)
        small, large = ({"series": series, "ttft_ms": randbytes(size)} for size in (50, 1_850))
        InferenceRollup.objects.bulk_create(
            [InferenceRollup(resolution=1, bucket=one, **small) for one in range(1_000)]
            + [InferenceRollup(resolution=3600, bucket=one * 3600, **large) for one in range(500)]
        )

        sizes = measured()

        shares = [sizes[f"rollups_{name}"].bytes or 0 for name in ("1s", "1min", "1h")]
        # 1,000 rows of 200 bytes and 500 of 2,000, each with 150 bytes beside its histograms.
        assert [share / sum(shares) for share in shares] == pytest.approx([1 / 6, 0, 5 / 6], abs=1e-5)
        assert sum(shares) >= 1_000 * 50 + 500 * 1_850

    def test_of_rollups_of_samples_are_split_by_their_number(self) -> None:
        labels = GaugeLabels.objects.create(host="alpha")
        row = {"metric": "system.cpu_percent", "labels": labels, "count": 1, "sum": 1, "min": 1, "max": 1, "last": 1}
        GaugeRollup.objects.bulk_create(
            GaugeRollup(resolution=length, bucket=one * length, last_at=1, **row)
            for length, number in ((60, 300), (3600, 100))
            for one in range(number)
        )

        sizes = measured()

        minutes, hours = sizes["gauge_rollups_1min"].bytes, sizes["gauge_rollups_1h"].bytes
        assert minutes is not None
        assert minutes == pytest.approx(3 * (hours or 0), abs=3)

    def test_are_unknown_where_sqlite_has_no_dbstat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        if connection.vendor != "sqlite":
            pytest.skip("of SQLite")
        fill()
        fetch = measuring._fetch
        monkeypatch.setattr(
            measuring, "_fetch", lambda statement, *values: [] if "module" in statement else fetch(statement, *values)
        )

        sizes = measured()
        total = sizes.pop(TOTAL)

        assert {one.bytes for one in sizes.values()} == {None}
        assert sizes["requests"].rows == InferenceMetrics.objects.count()
        assert total.bytes == database_size().used


class TheRows:
    def test_of_each_table_are_those_of_its_models(self) -> None:
        fill()
        by_hand = {}
        with connection.cursor() as cursor:
            for model in apps.get_models(include_auto_created=True):
                cursor.execute(f'SELECT COUNT(*) FROM "{model._meta.db_table}"')  # noqa: S608
                by_hand[model._meta.db_table] = cursor.fetchone()[0]

        sizes = measured()

        assert sizes["requests"].rows == by_hand["metrics_inferencemetrics"] == 1_501
        assert sizes["errors"].rows == by_hand["metrics_errormetrics"] == 300
        assert sizes["alert_changes"].rows == by_hand["alerts_alertchange"] == 70
        rollups = [sizes[f"rollups_{name}"].rows for name in ("1s", "1min", "1h")]
        assert sum(rollups) == by_hand["metrics_inferencerollup"]
        assert all(rollups)
        assert sizes[TOTAL].rows == sum(one.rows for name, one in sizes.items() if name != TOTAL)
        assert sizes[TOTAL].rows == sum(by_hand.values())

    def test_have_the_time_of_the_oldest(self) -> None:
        fill()

        sizes = measured()

        assert sizes["requests"].oldest == ago(minutes=1_500)
        assert sizes["host_samples"].oldest == ago(seconds=299)
        assert sizes["alert_changes"].oldest == ago(days=1)
        assert sizes["rollups_1h"].oldest == datetime(2026, 1, 19, 2, tzinfo=UTC)  # of the first request
        assert sizes["engine_samples"].oldest is None
        assert sizes["labels"].oldest is None


class TheTables:
    def test_are_each_in_one_row(self) -> None:
        rollups = ("metrics_inferencerollup", "metrics_gaugerollup")
        tables = [name for table in stored_tables() for name in table.tables() if name not in rollups]

        assert sorted([*tables, *rollups]) == sorted(
            model._meta.db_table for model in apps.get_models(include_auto_created=True)
        )

    def test_have_the_retention_of_the_settings(self, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"raw_inference_days": 3, "samples_hours": 7})

        kept = {table.name: table.kept for table in stored_tables()}

        assert kept["requests"] == timedelta(days=3)
        assert kept["gpu_samples"] == timedelta(hours=7)
        assert kept["rollups_1min"] == timedelta(days=8)
        assert kept["alert_changes"] == kept["audit_log"] == timedelta(days=400)
        assert kept["sessions"] == timedelta(days=14)
        assert kept["labels"] is kept[OTHER] is None


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n WHERE i < 0"


class AMeasurement:
    def test_omits_the_tables_that_its_time_does_not_suffice_for(self) -> None:
        fill()

        sizes = measure(stored_tables(), NOW, 0.0)

        assert set(sizes) < {table.name for table in stored_tables()} | {TOTAL}
        assert sizes[TOTAL].bytes == database_size().used

    def test_stops_a_statement_at_the_end_of_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(StoredTable, "count", lambda self: measuring._fetch(ENDLESS))

        assert list(measure(stored_tables(), NOW, 0.3)) == [TOTAL]

    def test_measures_the_tables_behind_one_that_takes_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        count = StoredTable.count

        def slow_count(self: StoredTable) -> Any:
            return measuring._fetch(ENDLESS) if self.name == "requests" else count(self)

        monkeypatch.setattr(StoredTable, "count", slow_count)
        tables = sorted(stored_tables(), key=lambda table: table.name != "requests")

        sizes = measure(tables, NOW, 4.0)

        assert set(sizes) == {table.name for table in tables[1:]} | {TOTAL}

    def test_tries_a_table_again_with_the_time_that_the_others_did_not_need(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        count, tries = StoredTable.count, []

        def first_slow_count(self: StoredTable) -> Any:
            if self.name == "requests":
                tries.append(self.name)
            return measuring._fetch(ENDLESS) if len(tries) == 1 and self.name == "requests" else count(self)

        monkeypatch.setattr(StoredTable, "count", first_slow_count)

        assert "requests" in measure(stored_tables(), NOW, 20.0)
        assert len(tries) == 2

    def test_leaves_no_transaction_open(self) -> None:
        fill()
        measured()

        if connection.vendor == "sqlite":
            assert not connection.connection.in_transaction
        # A writer does not wait.
        record([request(NOW, "next")])
        assert InferenceMetrics.objects.filter(request_id="next").exists()
