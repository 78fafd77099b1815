"""The storage statistics, against counts by hand and known measurements."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import connection
from redis import Redis

from alerts.models import Alert, AlertChange
from metrics import queries
from metrics.models import TableSize
from metrics.queries.answers import storage as answer
from metrics.sizes.database import DatabaseSize, database_bytes, sqlite_file
from metrics.sizes.measuring import measure
from metrics.sizes.tables import TOTAL, stored_tables
from tests.metrics.store.kept import NOW, ago, failure, machine, record, request

pytestmark = [pytest.mark.store, pytest.mark.django_db]

DAY, MIB, GIB = timedelta(days=1), 2**20, 2**30


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    caches["queries"].clear()


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """A file of 100 MiB with 20 free, on a disk with 3 GiB free; 1 GiB is allowed."""
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_disk": GIB, "disk_floor": GIB})
    known = DatabaseSize(
        total=110 * MIB, used=80 * MIB, free=20 * MIB, free_pages=5120, write_ahead_log=10 * MIB, disk_free=3 * GIB
    )
    monkeypatch.setattr(answer, "database_size", lambda: known)


def add(table: str, days_ago: float, size: int | None, oldest_days_ago: float | None = None, rows: int = 1_000) -> None:
    """A stored measurement, with the age that the oldest row had then."""
    at = NOW - days_ago * DAY
    oldest = None if oldest_days_ago is None else at - oldest_days_ago * DAY
    TableSize.objects.create(at=at, table=table, rows=rows, bytes=size, oldest=oldest)


def table(name: str) -> queries.TableStorage:
    return next(one for one in queries.storage(NOW).tables if one.name == name)


class TheSixStatistics:
    def test_are_the_rows_and_sizes_now(self) -> None:
        record([*(request(ago(minutes=one), f"r{one}") for one in range(7)), failure(NOW, "e"), failure(NOW, "f")])
        record([machine(ago(seconds=one)) for one in range(3)])
        alert = Alert.objects.create(rule_id="slow", labels={}, since=NOW, updated_at=NOW)
        AlertChange.objects.bulk_create(AlertChange(alert=alert, at=NOW, to="firing") for _ in range(4))

        statistics = queries.storage(NOW).as_dict()

        assert statistics["inference_metrics_count"] == 7
        assert statistics["error_metrics_count"] == 2
        assert statistics["system_metrics_count"] == 3
        assert statistics["alert_history_count"] == 4
        assert statistics["database_size_mb"] == round(database_bytes() / MIB, 3)
        assert statistics["redis_memory_usage"] is None

    def test_have_the_size_of_the_files(self) -> None:
        if connection.vendor == "sqlite":
            by_hand = sum(Path(f"{sqlite_file()}{end}").stat().st_size for end in ("", "-wal", "-shm"))
        else:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_database_size(current_database())")
                by_hand = cursor.fetchone()[0]

        assert queries.storage(NOW).database_size_mb * MIB == by_hand

    @pytest.mark.redis
    def test_have_the_memory_of_redis(self, redis_url: str, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"redis_url": redis_url})
        with Redis.from_url(redis_url) as client:
            client.setrange("large", 5 * MIB, b"x")  # without a large buffer of the connection
            by_hand = client.info("memory")["used_memory"] / MIB

        assert queries.storage(NOW).redis_memory_usage == pytest.approx(by_hand, rel=0.02)

    def test_are_read_again_after_some_seconds(self) -> None:
        assert queries.storage(NOW).inference_metrics_count == 0
        record([request(NOW, "r")])

        assert queries.storage(NOW + timedelta(seconds=9)).inference_metrics_count == 0
        assert queries.storage(NOW + timedelta(seconds=11)).inference_metrics_count == 1

    def test_are_read_less_often_where_that_takes_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        times = iter([100.0, 102.0])
        monkeypatch.setattr(answer, "monotonic", lambda: next(times))
        queries.storage(NOW)
        monkeypatch.undo()
        record([request(NOW, "r")])

        assert queries.storage(NOW + timedelta(seconds=39)).inference_metrics_count == 0
        assert queries.storage(NOW + timedelta(seconds=41)).inference_metrics_count == 1


class ATable:
    def test_has_its_newest_measurement(self) -> None:
        add("errors", 1, 100, rows=1)
        add("errors", 0.1, 900, oldest_days_ago=2, rows=8)

        errors = table("errors")

        assert (errors.rows, errors.bytes, errors.bytes_per_row) == (8, 900, 112.5)
        assert (errors.measured_at, errors.oldest) == (NOW - 0.1 * DAY, NOW - 2.1 * DAY)
        assert errors.kept == timedelta(days=90)
        assert errors.growth_bytes_per_day == pytest.approx(800 / 0.9)

    def test_keeps_its_last_one_where_a_measurement_lacks_it(self) -> None:
        add("errors", 0.2, 100)
        add(TOTAL, 0.2, 500)
        add(TOTAL, 0.1, 600)

        assert table("errors").bytes == 100
        assert queries.storage(NOW).measured_at == NOW - 0.1 * DAY

    def test_without_rows_has_no_bytes_a_row(self) -> None:
        add("errors", 0, 4096, rows=0)

        assert table("errors").bytes_per_row is None

    def test_that_was_not_measured_yet_is_named_with_its_retention(self) -> None:
        assert table("errors").as_dict() == {
            "name": "errors",
            "title": "Errors",
            "rows": None,
            "bytes": None,
            "bytes_per_row": None,
            "oldest": None,
            "kept_seconds": 90 * 86_400,
            "growth_bytes_per_day": None,
            "measured_at": None,
        }
        assert queries.storage(NOW).measured_at is None


class TheStore:
    def test_is_full_when_its_limit_is_reached(self, size: None) -> None:
        add(TOTAL, 2, 60 * MIB)
        add(TOTAL, 0, 80 * MIB)
        add("requests", 2, 10 * MIB, oldest_days_ago=1)
        add("requests", 0, 30 * MIB, oldest_days_ago=3)

        statistics = queries.storage(NOW)

        # 27 days are 270 MiB of the 944 that are left, so that the requests never fill the store alone.
        assert statistics.room_bytes == GIB - 80 * MIB
        assert statistics.growth_bytes_per_day == 10 * MIB
        assert statistics.days_until_full is None

        caches["queries"].clear()
        add("labels", 2, 0)
        add("labels", 0, 40 * MIB)
        # 27 days of 30 MiB a day, then 20 a day for the other 134.
        assert queries.storage(NOW).days_until_full == pytest.approx(27 + 134 / 20)

    def test_is_full_when_the_disk_is_before(self, size: None, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_disk": 100 * GIB})
        add(TOTAL, 1, 60 * MIB)
        add(TOTAL, 0, 160 * MIB)

        statistics = queries.storage(NOW)

        assert statistics.room_bytes == 2 * GIB + 20 * MIB
        assert statistics.days_until_full == pytest.approx((2 * GIB + 20 * MIB) / (100 * MIB))

    @pytest.mark.parametrize("sizes", [(), (80,), (90, 80), (80, 80)], ids=["none", "one", "shrinking", "equal"])
    def test_has_no_such_time_where_it_does_not_grow_or_nothing_is_known(
        self, sizes: tuple[int, ...], size: None
    ) -> None:
        for number, one in enumerate(sizes):
            add(TOTAL, len(sizes) - number, one * MIB)
            add("labels", len(sizes) - number, number)

        assert queries.storage(NOW).days_until_full is None

    def test_is_full_now_without_room(self, size: None, settings: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"max_disk": 80 * MIB})

        assert queries.storage(NOW).days_until_full == 0

    def test_has_its_free_pages_and_its_log(self, size: None) -> None:
        statistics = queries.storage(NOW).as_dict()

        assert statistics["free_page_bytes"] == 20 * MIB
        assert statistics["free_pages"] == 5120
        assert statistics["write_ahead_log_bytes"] == 10 * MIB
        assert statistics["disk_free_bytes"] == 3 * GIB
        assert (statistics["used_bytes"], statistics["max_bytes"]) == (80 * MIB, GIB)

    def test_has_the_history_of_its_size(self) -> None:
        add(TOTAL, 30, 5)
        add(TOTAL, 1, 7)
        add("requests", 1, 3)

        history = queries.storage(NOW).as_dict()["history"]

        assert history == [[round((NOW - days * DAY).timestamp() * 1000), size] for days, size in ((30, 5), (1, 7))]


class AMeasurementOfNow:
    def test_is_the_newest_of_the_history(self) -> None:
        record([request(NOW, "r")])
        add("requests", 1, 0)
        add(TOTAL, 1, 0)

        statistics = queries.storage(NOW, measure(stored_tables(), NOW, 60.0))

        requests = next(one for one in statistics.tables if one.name == "requests")
        assert (requests.rows, requests.measured_at) == (1, NOW)
        assert requests.growth_bytes_per_day == requests.bytes
        assert [at for at, _ in statistics.history] == [NOW - DAY, NOW]
        assert TableSize.objects.count() == 2
