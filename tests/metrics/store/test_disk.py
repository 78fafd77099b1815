"""The disk of the store: its largest size, and the free space that new events need."""

from __future__ import annotations

import errno
import io
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics import readiness
from metrics.ingest.post import ingest
from metrics.ingest.recorder import close_recorder
from metrics.models import ErrorMetrics, GPUMetrics, InferenceMetrics, RecentId, SystemMetrics
from metrics.sizes.database import sqlite_file, used_bytes
from metrics.store import disk, raw_floors, write_check
from metrics.store.unavailable import StoreUnavailable
from metrics.store.upkeep import disk_limit, maintenance
from tests.metrics.store.kept import NOW, ago, by_hand, failure, machine, record, request, rolled_up

GIB, MIB = 2**30, 2**20
FAR_TOO_MUCH = 2**60
KINDS = ("over", "deleted")
FILLED_TOGETHER = 1_000


class TheFreeSpace:
    def test_is_enough_at_the_floor_and_too_little_below(self, limits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        limits(disk_floor=256 * MIB)

        monkeypatch.setattr(disk, "free_bytes", lambda: 256 * MIB)
        assert disk.low_space_message() is None
        monkeypatch.setattr(disk, "free_bytes", lambda: 256 * MIB - 1)
        assert "below 256 MiB (LLMMONITOR_DISK_FLOOR)" in str(disk.low_space_message())

    @pytest.mark.store
    @pytest.mark.django_db
    def test_of_a_database_server_is_unknown(self, limits: Any) -> None:
        limits(disk_floor=FAR_TOO_MUCH)

        assert (disk.free_bytes() is None) == (connection.vendor == "postgresql")
        assert (disk.low_space_message() is None) == (connection.vendor == "postgresql")

    @pytest.mark.django_db
    def test_needs_no_cache(self, limits: Any, settings: Any) -> None:
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",  # no server listens there
            }
        }

        assert disk.low_space_message() is None

        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


class ASize:
    @pytest.mark.parametrize(
        ("number", "text"),
        [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (256 * MIB, "256 MiB"), (5 * GIB, "5 GiB")],
    )
    def test_is_written_as_people_read_it(self, number: int, text: str) -> None:
        assert disk.format_bytes(number) == text


@pytest.fixture
def limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that changes settings, in a process that remembers nothing from before the test."""

    def change(**values: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=values)

    def forget_notices() -> None:
        caches["default"].delete_many([disk_limit.NOTICE, *(f"{disk_limit.NOTICE}:{kind}-logged" for kind in KINDS)])

    monkeypatch.setattr(raw_floors, "_last_read", {})
    forget_notices()
    yield change
    forget_notices()


def only_on(vendor: str) -> None:
    if connection.vendor != vendor:
        pytest.skip(f"about {vendor}")


@pytest.fixture
def without_autovacuum() -> Iterator[None]:
    """On PostgreSQL, a table is full when it has grown since it was vacuumed or analyzed, which tests do themselves."""
    if connection.vendor != "postgresql":
        yield
        return
    table = InferenceMetrics._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = false, toast.autovacuum_enabled = false)")
    yield
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RESET (autovacuum_enabled, toast.autovacuum_enabled)")


def fill(rows: int, minutes: int, prefix: str = "r", end: datetime = NOW) -> None:
    """Requests over the last minutes, each with about 1.5 kB of metadata."""
    step = timedelta(minutes=minutes) / rows
    metadata = {f"key{number}": "x" * 100 for number in range(12)}
    record([request(end - step * (rows - n - 1), f"{prefix}{n:05}", metadata=metadata) for n in range(rows)], at=end)


def fill_until_refused() -> str:
    """Requests, a hundred at a time, until the store refuses them; the reason. At most about 5 MB."""
    for batch in range(30):
        try:
            fill(100, minutes=5, prefix=f"more{batch}-")
        except StoreUnavailable as error:
            return error.reason
    return "accepted"


def checkpoint() -> None:
    """Move what is in SQLite's write-ahead log into the file."""
    disk.sqlite_pragma("wal_checkpoint(TRUNCATE)")


def file_bytes() -> int:
    return disk.sqlite_pragma("page_count") * disk.sqlite_pragma("page_size")


def bytes_on_disk() -> int:
    """The size of SQLite's file, without its write-ahead log."""
    return sqlite_file().stat().st_size


def vacuumed(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if "VACUUM" in query["sql"]]


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("without_autovacuum")
class AStoreOverItsLimit:
    def test_removes_its_oldest_raw_rows_first_and_logs_it(self, limits: Any, caplog: pytest.LogCaptureFixture) -> None:
        fill(1_000, minutes=300)
        limits(max_disk=used_bytes() - 400_000)
        caplog.set_level(logging.WARNING, "metrics")

        counts = maintenance.maintain(NOW, 10.0)

        left = list(by_hand())
        assert 0 < len(left) < 1_000
        assert left == [f"r{number:05}" for number in range(1_000 - len(left), 1_000)]
        assert counts["inference_metrics"] == 1_000 - len(left)
        assert "LLMMONITOR_MAX_DISK" in caplog.text
        assert "of its oldest raw rows were deleted" in str(readiness.check()["parts"]["disk"]["detail"])

    def test_is_below_it_afterwards_and_removes_no_more(self, limits: Any) -> None:
        fill(1_000, minutes=300)
        limit = used_bytes() + 200_000  # near its limit, because PostgreSQL's files do not shrink
        limits(max_disk=limit)

        maintenance.maintain(NOW, 10.0)
        left = InferenceMetrics.objects.count()
        maintenance.maintain(NOW, 10.0)

        assert left < 1_000
        assert used_bytes() <= limit
        assert InferenceMetrics.objects.count() == left

    def test_keeps_all_rollups(self, limits: Any) -> None:
        fill(500, minutes=300)
        before = rolled_up(60), rolled_up(3600)
        limits(max_disk=used_bytes() - 300_000)

        maintenance.maintain(NOW, 10.0)

        assert (rolled_up(60), rolled_up(3600)) == before == (500, 500)

    def test_moves_the_raw_floor_and_rejects_what_is_older(self, limits: Any) -> None:
        fill(1_000, minutes=300)
        limits(max_disk=used_bytes() - 400_000)
        maintenance.maintain(NOW, 10.0)
        limits(max_disk=5 * GIB)

        recorded = record([request(ago(minutes=299), "r00001")])

        floor = raw_floors.raw_floor("inference")
        assert (recorded.accepted, len(recorded.rejected)) == (0, 1)
        assert floor is not None
        assert floor <= InferenceMetrics.objects.earliest("timestamp").timestamp

    def test_removes_all_kinds_of_raw_rows_by_age(self, limits: Any) -> None:
        record([failure(ago(hours=7), "f-old"), machine(ago(hours=6)), machine(ago(minutes=2))])
        fill(1_000, minutes=300)
        limits(max_disk=used_bytes() - 400_000)

        maintenance.maintain(NOW, 10.0)

        assert not ErrorMetrics.objects.exists()
        assert SystemMetrics.objects.get().timestamp == ago(minutes=2)
        assert GPUMetrics.objects.get().timestamp == ago(minutes=2)

    def test_never_removes_the_last_minutes_and_logs_that_it_does_not_help(
        self, limits: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        fill(200, minutes=20)
        limits(max_disk=1)
        caplog.set_level(logging.WARNING, "metrics")

        maintenance.maintain(NOW, 10.0)

        kept = InferenceMetrics.objects.order_by("timestamp").values_list("timestamp", flat=True)
        assert kept[0] >= NOW - disk_limit.MIN_KEPT
        assert len(kept) == 51
        assert "Raise the limit" in caplog.text

    def test_that_stays_over_it_is_logged_once_a_day(self, limits: Any, caplog: pytest.LogCaptureFixture) -> None:
        fill(200, minutes=20)
        limits(max_disk=1)
        caplog.set_level(logging.WARNING, "metrics")

        for _ in range(3):
            maintenance.maintain(NOW, 10.0)
        assert caplog.text.count("Raise the limit") == 1
        assert "none of its raw rows could be deleted" in str(disk_limit.limit_notice())

        caches["default"].delete(f"{disk_limit.NOTICE}:over-logged")  # as it expires
        maintenance.maintain(NOW, 10.0)
        assert caplog.text.count("Raise the limit") == 2

    def test_gives_the_pages_back(self, limits: Any) -> None:
        only_on("sqlite")
        fill(1_500, minutes=300)
        limit = used_bytes() - 1_000_000
        limits(max_disk=limit)

        maintenance.maintain(NOW, 10.0)

        assert file_bytes() <= limit

    def test_stops_growing_when_events_arrive_faster_than_rows_are_removed(self, limits: Any) -> None:
        only_on("sqlite")
        fill(300, minutes=3)
        checkpoint()
        limits(max_disk=used_bytes() // 2)

        assert fill_until_refused() == "disk_full"


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class AFileWhoseRowsAreTooOld:
    def test_is_little_larger_than_the_other_rows_need(
        self, full: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """With `--full`, of 100,000 requests, and free pages are given back from as many on as those of a server."""
        only_on("sqlite")
        old, young, least = (100_000, 10_000, disk_limit.FREE_BYTES) if full else (3_000, 200, MIB // 4)
        monkeypatch.setattr(disk_limit, "FREE_BYTES", least)
        last_day = ago(days=31)
        for first in range(0, old, FILLED_TOGETHER):
            fill(min(FILLED_TOGETHER, old - first), minutes=60, prefix=f"old{first}-", end=last_day)
        fill(young, minutes=300)
        checkpoint()
        before = bytes_on_disk()

        is_over = False
        while not is_over:
            size = bytes_on_disk()
            deleted = sum(maintenance.maintain(NOW, 1.0).values())
            is_over = not deleted and bytes_on_disk() == size

        assert InferenceMetrics.objects.count() == young
        connection.connection.execute("VACUUM INTO ?", [str(tmp_path / "packed.sqlite3")])
        needed, after = (tmp_path / "packed.sqlite3").stat().st_size, bytes_on_disk()
        free = disk.sqlite_pragma("freelist_count") * disk.sqlite_pragma("page_size")
        print(f"MiB: {before / MIB:.1f}, then {after / MIB:.1f} with {free / MIB:.1f} free; needed: {needed / MIB:.1f}")
        assert free <= max(least, after * disk_limit.FREE_SHARE)
        assert after - free <= 1.1 * needed
        assert after < before / 2


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("without_autovacuum")
class AStoreOnPostgresql:
    @pytest.fixture(autouse=True)
    def _of_postgresql(self) -> None:
        only_on("postgresql")

    @staticmethod
    def table_bytes() -> int:
        return disk_limit._postgres_table(InferenceMetrics).size

    def test_vacuums_the_tables_that_lost_rows_and_no_others(self, limits: Any) -> None:
        fill(200, minutes=20)
        limits(max_disk=1)

        with CaptureQueriesContext(connection) as first:
            maintenance.maintain(NOW, 10.0)
        with CaptureQueriesContext(connection) as second:
            maintenance.maintain(NOW, 10.0)

        assert vacuumed(first) == [f'VACUUM (ANALYZE) "{InferenceMetrics._meta.db_table}"']
        assert vacuumed(second) == []

    def test_removes_rows_again_only_when_new_rows_have_used_their_space(
        self, limits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fill(2_000, minutes=300)
        size = self.table_bytes()
        monkeypatch.setattr(disk_limit, "used_bytes", self.table_bytes)  # as if all other tables were empty
        limits(max_disk=size)
        end, sizes, removals = NOW, [], 0

        for number in range(80):
            end += timedelta(minutes=4)
            fill(25, minutes=4, prefix=f"more{number}-", end=end)
            before = InferenceMetrics.objects.count()
            maintenance.maintain(end, 10.0)
            removals += InferenceMetrics.objects.count() < before
            sizes.append(self.table_bytes())

        assert 3 <= removals <= 20
        assert max(sizes) < size * 1.2
        assert InferenceMetrics.objects.count() > 1_400

    def test_removes_no_more_while_an_open_transaction_keeps_the_space_in_use(
        self, limits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if connection.pg_version < 150_000:
            pytest.skip("needs pg_stat_force_next_flush")
        fill(2_000, minutes=300)
        monkeypatch.setattr(disk_limit, "used_bytes", self.table_bytes)
        limits(max_disk=self.table_bytes())
        reader = connection.copy()
        reader.set_autocommit(False)
        try:
            with reader.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT count(*) FROM metrics_series")
            maintenance.maintain(NOW, 10.0)
            left = InferenceMetrics.objects.count()
            for number in range(5):
                with connection.cursor() as cursor:  # without it a session reports its deleted rows after a second
                    cursor.execute("SELECT pg_stat_force_next_flush()")
                fill(25, minutes=4, prefix=f"more{number}-", end=NOW)
                maintenance.maintain(NOW, 10.0)
        finally:
            reader.close()

        assert left < 2_000
        assert InferenceMetrics.objects.count() >= left


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class AStoreAtItsLimit:
    @pytest.fixture(autouse=True)
    def _on_sqlite(self) -> None:
        only_on("sqlite")

    def test_accepts_events_until_its_free_pages_are_used_up(self, limits: Any) -> None:
        fill(600, minutes=300)
        InferenceMetrics.objects.filter(request_id__lt="r00300").delete()
        checkpoint()
        size = file_bytes()
        limits(max_disk=size)

        assert fill_until_refused() == "disk_full"
        assert InferenceMetrics.objects.filter(request_id__startswith="more0-").count() == 100
        assert file_bytes() == size

    def test_accepts_events_again_after_the_next_upkeep(self, limits: Any) -> None:
        fill(600, minutes=300)
        checkpoint()
        limits(max_disk=file_bytes())
        assert fill_until_refused() == "disk_full"

        maintenance.maintain(NOW, 10.0)
        fill(10, minutes=5, prefix="after-")

        assert InferenceMetrics.objects.filter(request_id__startswith="after-").count() == 10

    def test_names_its_limit_before_the_first_checkpoint(self, limits: Any) -> None:
        connection.ensure_connection()
        connection.connection.execute("VACUUM")
        checkpoint()
        limits(max_disk=file_bytes() + MIB)

        with pytest.raises(StoreUnavailable) as rejected:
            fill(2_000, minutes=5)  # all of it is still in the write-ahead log

        assert "LLMMONITOR_MAX_DISK" in rejected.value.detail

    def test_grows_again_when_the_limit_is_raised(self, limits: Any) -> None:
        fill(50, minutes=5)
        checkpoint()
        limits(max_disk=file_bytes())
        assert fill_until_refused() == "disk_full"
        limits(max_disk=5 * GIB)

        fill(500, minutes=5, prefix="after-")

        assert InferenceMetrics.objects.filter(request_id__startswith="after-").count() == 500


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class WhenOtherProgramsFillTheDisk:
    @pytest.fixture(autouse=True)
    def _on_sqlite(self) -> None:
        only_on("sqlite")

    def test_no_row_is_removed(self, limits: Any) -> None:
        fill(300, minutes=300)
        limits(disk_floor=FAR_TOO_MUCH)

        maintenance.maintain(NOW, 10.0)

        assert InferenceMetrics.objects.count() == 300

    def test_new_events_get_503_below_the_floor(self, limits: Any) -> None:
        limits(disk_floor=FAR_TOO_MUCH)
        body = orjson.dumps({"request_id": "one", "model_name": "chatty", "response_time_ms": 5})

        try:
            answer = ingest("inference", body, "application/json", None)
        finally:
            close_recorder(5)

        assert answer.status == 503
        assert answer.retry_after in (1, 2, 3)
        assert "LLMMONITOR_DISK_FLOOR" in str(answer.payload)
        assert not InferenceMetrics.objects.exists()
        disk_part = readiness.check()["parts"]["disk"]
        assert disk_part["status"] == "failing"
        assert "LLMMONITOR_DISK_FLOOR" in disk_part["detail"]


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class TheWriteCheck:
    def test_passes_and_leaves_nothing(self, limits: Any) -> None:
        write_check.write_check()

        assert not RecentId.objects.exists()

    def test_fails_below_the_floor(self, limits: Any) -> None:
        only_on("sqlite")
        limits(disk_floor=FAR_TOO_MUCH)

        with pytest.raises(StoreUnavailable) as refused:
            write_check.write_check()

        assert refused.value.reason == "disk_full"

    def test_fails_on_a_read_only_database(self, limits: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "PRAGMA query_only = 1" if connection.vendor == "sqlite" else "SET default_transaction_read_only = on"
            )
        try:
            with pytest.raises(StoreUnavailable) as refused:
                write_check.write_check()
        finally:
            connection.close()

        assert refused.value.reason == "read_only"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")
    def test_fails_where_no_byte_more_can_be_written(self, monkeypatch: pytest.MonkeyPatch) -> None:
        full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 (check_disk closes it)
        monkeypatch.setattr(write_check.tempfile, "TemporaryFile", lambda **_: full)

        with pytest.raises(StoreUnavailable) as refused:
            write_check.check_disk(Path("/"))

        assert refused.value.reason == "disk_full"

    def test_writes_a_whole_mebibyte(self, monkeypatch: pytest.MonkeyPatch) -> None:
        written = []

        class File(io.BytesIO):
            def write(self, data: Any) -> int:
                written.append(min(len(data), 2**18 + 1))
                return written[-1]

        monkeypatch.setattr(write_check.tempfile, "TemporaryFile", lambda **_: File())
        write_check.check_disk(Path("/"))
        assert sum(written) == 2**20

    def test_fails_beyond_the_quota_of_the_user(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(**_: Any) -> None:
            raise OSError(errno.EDQUOT, "Disk quota exceeded")

        monkeypatch.setattr(write_check.tempfile, "TemporaryFile", fail)
        with pytest.raises(StoreUnavailable) as refused:
            write_check.check_disk(Path("/"))
        assert refused.value.reason == "disk_full"

    def test_waits_for_all_its_locks_together_for_two_seconds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        only_on("sqlite")
        clock, waits = [0.0], []

        @contextmanager
        def write_lock(longest_wait: float) -> Iterator[bool]:
            waits.append(longest_wait)
            clock[0] += 1.5
            yield True

        @contextmanager
        def busy_timeout(milliseconds: int) -> Iterator[None]:
            waits.append(milliseconds / 1000)
            yield

        monkeypatch.setattr(write_check, "time", SimpleNamespace(monotonic=lambda: clock[0]))
        monkeypatch.setattr(write_check, "write_lock", write_lock)
        monkeypatch.setattr(write_check, "busy_timeout", busy_timeout)
        write_check.write_check()
        assert waits == [2.0, 0.5]

    def test_fails_where_no_file_can_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable) as refused:
            write_check.check_disk(tmp_path / "missing")

        assert refused.value.reason == "read_only"

    def test_tries_the_disk_of_the_store_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[Path] = []
        monkeypatch.setattr(write_check, "check_disk", tried.append)

        write_check.write_check()

        name = connection.settings_dict["NAME"]
        assert tried == ([Path(name).parent] if connection.vendor == "sqlite" else [])

    def test_says_that_another_program_holds_the_lock_instead_of_waiting_for_it(
        self, limits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        only_on("sqlite")
        monkeypatch.setattr(write_check, "LOCK_SECONDS", 0)
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            with pytest.raises(StoreUnavailable) as refused:
                write_check.write_check()
        finally:
            other.close()

        assert refused.value.reason == "locked"
        assert connection.connection.execute("PRAGMA busy_timeout").fetchone() == (15_000,)


@pytest.mark.django_db(transaction=True)
class ANewConnection:
    def test_is_made_while_somebody_writes(self) -> None:
        only_on("sqlite")
        connection.close()
        other = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            started = time.monotonic()
            connection.ensure_connection()
            assert connection.connection.execute("SELECT count(*) FROM metrics_series").fetchone() == (0,)
        finally:
            other.close()

        assert time.monotonic() - started < 10  # the wait for the lock would be 15 s
        assert disk.sqlite_pragma("auto_vacuum") == 2  # incremental
