"""The store within its disk: a bound of its own, a reserve that is left to others, a floor to take nothing below."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from django.core.cache import caches
from django.db import connection
from django.test.utils import CaptureQueriesContext

from metrics.api import readiness
from metrics.ingest.post import ingest
from metrics.ingest.recorder import close_recorder
from metrics.models import ErrorMetrics, GPUMetrics, InferenceMetrics, RecentId, SystemMetrics
from metrics.store import disk, raw_floors, write_check
from metrics.store.availability import StoreUnavailable
from metrics.store.disk import DiskState, Limits, judge
from metrics.store.upkeep import retention, shedding
from metrics.store.upkeep.deleting import Steps
from tests.metrics.store.kept import NOW, ago, by_hand, failure, machine, record, request, rolled_up

GIB, MIB = 2**30, 2**20
FAR_TOO_MUCH = 2**60
LIMITS = Limits(max_disk=5 * GIB, floor=256 * MIB, reserve=None)


def seen(store: int = GIB, free: int | None = 100 * GIB, total: int = 500 * GIB, **more: Any) -> DiskState:
    return judge(store, free, total, LIMITS, **more)


class TheVerdictOnTheDisk:
    def test_is_nothing_while_there_is_room(self) -> None:
        assert seen() == DiskState(GIB, 100 * GIB, may_grow=True, may_accept=True, message=None)

    @pytest.mark.parametrize(
        ("total", "reserve"),
        [(500 * GIB, GIB), (10 * GIB, GIB // 2), (20 * GIB, GIB)],
        ids=["big", "small", "at 1 GiB"],
    )
    def test_lets_the_store_grow_down_to_the_smaller_of_5_percent_and_1_gib(self, total: int, reserve: int) -> None:
        assert seen(free=reserve, total=total).may_grow
        below = seen(free=reserve - 1, total=total)
        assert (below.may_grow, below.may_accept) == (False, True)
        assert "LLMMONITOR_DISK_RESERVE" in str(below.message)

    def test_takes_no_events_below_the_floor(self) -> None:
        assert seen(free=256 * MIB).may_accept
        below = seen(free=256 * MIB - 1)
        assert (below.may_grow, below.may_accept) == (False, False)
        assert "LLMMONITOR_DISK_FLOOR" in str(below.message)

    def test_follows_the_settings(self) -> None:
        lowered = Limits(max_disk=5 * GIB, floor=MIB, reserve=2 * MIB)

        assert judge(GIB, 3 * MIB, 10 * MIB, lowered).may_grow
        assert not judge(GIB, 2 * MIB - 1, 10 * MIB, lowered).may_grow
        assert judge(GIB, MIB, 10 * MIB, lowered).may_accept

    def test_ends_the_file_a_tenth_above_its_bound(self) -> None:
        assert seen(store=int(5.4 * GIB)).may_grow
        assert not seen(store=int(5.6 * GIB)).may_grow
        assert seen(store=int(5.6 * GIB), wal_bytes=GIB).may_grow  # the log comes and goes by itself

    def test_knows_no_free_space_of_a_database_server(self) -> None:
        assert seen(store=50 * GIB, free=None, total=0) == DiskState(50 * GIB, None, True, True, None)


class TheStateOfTheDisk:
    @pytest.mark.django_db
    def test_needs_no_cache(self, limits: Any, settings: Any) -> None:
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",  # nobody is there
            }
        }

        assert disk.disk_state(fresh=True).may_accept

        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}

    @pytest.mark.django_db
    def test_is_measured_at_most_once_a_second(self, limits: Any) -> None:
        limits()

        assert disk.disk_state() is disk.disk_state()
        assert disk.disk_state(fresh=True) is disk.disk_state()


class ASize:
    @pytest.mark.parametrize(
        ("number", "text"),
        [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (256 * MIB, "256 MiB"), (5 * GIB, "5 GiB")],
    )
    def test_is_written_as_people_read_it(self, number: int, text: str) -> None:
        assert disk.size(number) == text


@pytest.fixture
def limits(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A function that changes settings of the environment, in a process that remembers nothing before the test."""

    def change(**values: Any) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=values)
        monkeypatch.setattr(disk, "_cached", None)

    monkeypatch.setattr(disk, "_cached", None)
    monkeypatch.setattr(disk, "_said", None)
    monkeypatch.setattr(shedding, "_said_over", False)
    monkeypatch.setattr(raw_floors, "_last_read", {})
    caches["default"].delete(shedding.NOTICE)
    yield change
    caches["default"].delete(shedding.NOTICE)


def sqlite_only() -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the disk of a database server is its own affair")


def fill(rows: int, minutes: int, prefix: str = "r") -> None:
    """Requests over the last minutes, each with some 1.5 kB of metadata."""
    step = timedelta(minutes=minutes) / rows
    some = {f"key{number}": "x" * 100 for number in range(12)}
    record([request(NOW - step * (rows - n - 1), f"{prefix}{n:05}", metadata=some) for n in range(rows)])


def fill_until_refused() -> str:
    """Requests, a hundred at a time, until the store refuses them; the reason. At most some 5 MB."""
    for batch in range(30):
        try:
            fill(100, minutes=5, prefix=f"more{batch}-")
        except StoreUnavailable as error:
            return error.reason
    return "taken"


def used() -> int:
    """What the rows use, as the bound counts it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")
    return int(shedding._usage()())


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class AStoreOverItsBound:
    def test_sheds_its_oldest_raw_rows_first_and_says_so(self, limits: Any, caplog: pytest.LogCaptureFixture) -> None:
        fill(1_000, minutes=300)
        limits(max_disk=used() - 400_000)
        caplog.set_level(logging.WARNING, "metrics")

        counts = retention.maintain(NOW, 10.0)

        left = list(by_hand())
        assert 0 < len(left) < 1_000
        assert left == [f"r{number:05}" for number in range(1_000 - len(left), 1_000)]
        assert counts["inference_metrics"] == 1_000 - len(left)
        assert "LLMMONITOR_MAX_DISK" in caplog.text
        assert "of its oldest raw rows were removed" in str(readiness.check()["parts"]["disk"]["detail"])
        assert disk.disk_state(fresh=True).may_accept

    def test_is_below_it_afterwards_and_sheds_no_more(self, limits: Any) -> None:
        fill(1_000, minutes=300)
        bound = used() - 400_000
        limits(max_disk=bound)
        retention.maintain(NOW, 10.0)
        left = InferenceMetrics.objects.count()

        retention.maintain(NOW, 10.0)

        assert used() <= bound
        assert InferenceMetrics.objects.count() == left

    def test_keeps_all_rollups(self, limits: Any) -> None:
        fill(500, minutes=300)
        before = rolled_up(60), rolled_up(3600)
        limits(max_disk=used() - 300_000)

        retention.maintain(NOW, 10.0)

        assert (rolled_up(60), rolled_up(3600)) == before == (500, 500)

    def test_moves_the_raw_floor_and_refuses_what_is_older(self, limits: Any) -> None:
        fill(1_000, minutes=300)
        limits(max_disk=used() - 400_000)
        retention.maintain(NOW, 10.0)
        limits(max_disk=5 * GIB)

        recorded = record([request(ago(minutes=299), "r00001")])

        floor = raw_floors.raw_floor("inference")
        assert (recorded.accepted, len(recorded.rejected)) == (0, 1)
        assert floor is not None
        assert floor <= InferenceMetrics.objects.earliest("timestamp").timestamp

    def test_sheds_all_kinds_of_raw_rows_by_age(self, limits: Any) -> None:
        record([failure(ago(hours=7), "f-old"), machine(ago(hours=6)), machine(ago(minutes=2))])
        fill(1_000, minutes=300)
        limits(max_disk=used() - 400_000)

        retention.maintain(NOW, 10.0)

        assert not ErrorMetrics.objects.exists()
        assert SystemMetrics.objects.get().timestamp == ago(minutes=2)
        assert GPUMetrics.objects.get().timestamp == ago(minutes=2)

    def test_never_sheds_the_last_minutes_and_says_that_it_does_not_help(
        self, limits: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        fill(200, minutes=20)
        limits(max_disk=1)
        caplog.set_level(logging.WARNING, "metrics")

        retention.maintain(NOW, 10.0)

        kept = InferenceMetrics.objects.order_by("timestamp").values_list("timestamp", flat=True)
        assert kept[0] >= NOW - shedding.MIN_KEPT
        assert len(kept) == 51
        assert "Raise the bound" in caplog.text

    def test_that_shedding_cannot_help_says_so_once_until_it_is_below_again(
        self, limits: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        fill(200, minutes=20)
        caplog.set_level(logging.WARNING, "metrics")

        for bound, said in ((1, 1), (1, 1), (1, 1), (5 * GIB, 1), (1, 2)):
            limits(max_disk=bound)
            retention.maintain(NOW, 10.0)
            assert caplog.text.count("Raise the bound") == said
        assert "none of its raw rows could be removed" in str(shedding.shed_notice())

    def test_that_is_hardly_below_again_has_not_ended_it(
        self, limits: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits(max_disk=1_000)
        caplog.set_level(logging.WARNING, "metrics")

        for bytes_used, said in ((1_001, 1), (990, 1), (1_001, 1), (940, 1), (1_001, 2)):
            monkeypatch.setattr(shedding, "_usage", lambda used=bytes_used: lambda shed=0: used)
            retention.maintain(NOW, 10.0)
            assert caplog.text.count("Raise the bound") == said

    def test_vacuums_on_postgresql_the_tables_that_lost_rows_and_no_others(self, limits: Any) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite gives pages back by itself")
        fill(200, minutes=20)
        limits(max_disk=1)

        with CaptureQueriesContext(connection) as first:
            retention.maintain(NOW, 10.0)
        with CaptureQueriesContext(connection) as second:
            retention.maintain(NOW, 10.0)

        vacuumed = [[query["sql"] for query in asked if "VACUUM" in query["sql"]] for asked in (first, second)]
        assert vacuumed == [[f'VACUUM (ANALYZE) "{InferenceMetrics._meta.db_table}"'], []]

    def test_gives_the_pages_back(self, limits: Any) -> None:
        sqlite_only()
        fill(1_500, minutes=300)
        bound = used() - 1_000_000
        limits(max_disk=bound)

        retention.maintain(NOW, 10.0)

        assert shedding._pragma("page_count") * shedding._pragma("page_size") <= bound

    def test_stops_growing_when_shedding_cannot_keep_up(self, limits: Any) -> None:
        sqlite_only()
        fill(300, minutes=3)
        shedding._pragma("wal_checkpoint(TRUNCATE)")
        limits(max_disk=used() // 2)

        assert fill_until_refused() == "disk_full"


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class WhenOthersFillTheDisk:
    @pytest.fixture(autouse=True)
    def _on_sqlite(self) -> None:
        sqlite_only()

    def test_nothing_is_shed_for_their_sake(self, limits: Any) -> None:
        fill(300, minutes=300)
        limits(disk_reserve=FAR_TOO_MUCH, disk_floor=FAR_TOO_MUCH)

        retention.maintain(NOW, 10.0)

        assert InferenceMetrics.objects.count() == 300

    def test_the_store_takes_events_until_its_free_pages_are_used_up(self, limits: Any) -> None:
        fill(600, minutes=300)
        InferenceMetrics.objects.filter(request_id__lt="r00300").delete()
        shedding._pragma("wal_checkpoint(TRUNCATE)")
        limits(disk_reserve=FAR_TOO_MUCH, disk_floor=0)
        pages = shedding._pragma("page_count")

        assert fill_until_refused() == "disk_full"
        assert InferenceMetrics.objects.filter(request_id__startswith="more0-").count() == 100
        assert shedding._pragma("page_count") == pages

    def test_the_store_grows_again_when_they_have_gone(self, limits: Any) -> None:
        fill(50, minutes=5)
        limits(disk_reserve=FAR_TOO_MUCH, disk_floor=0)
        assert fill_until_refused() == "disk_full"
        limits(disk_reserve=0)

        fill(500, minutes=5, prefix="after-")

        assert InferenceMetrics.objects.filter(request_id__startswith="after-").count() == 500

    def test_no_page_is_given_back_to_them(self, limits: Any) -> None:
        fill(600, minutes=300)
        InferenceMetrics.objects.all().delete()
        pages = shedding._pragma("page_count")
        limits(disk_reserve=FAR_TOO_MUCH, disk_floor=0, max_disk=1)

        given = shedding.shrink_file(Steps(time.monotonic() + 5))

        assert given == 0
        assert shedding._pragma("page_count") == pages

    def test_it_is_said_aloud_once_and_again_when_it_is_over(
        self, limits: Any, settings: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.WARNING, "metrics")
        limits(disk_reserve=FAR_TOO_MUCH, disk_floor=0)

        for _ in range(3):
            disk.disk_state(fresh=True)
        assert caplog.text.count("LLMMONITOR_DISK_RESERVE") == 1
        assert "LLMMONITOR_DISK_RESERVE" in str(readiness.check()["parts"]["disk"]["detail"])

        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"disk_reserve": 0})
        disk.disk_state(fresh=True)
        assert "there is room again" in caplog.text

    def test_new_events_are_answered_503_below_the_floor(self, limits: Any) -> None:
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
        assert readiness.check()["parts"]["disk"]["status"] == "failing"


@pytest.mark.store
@pytest.mark.django_db(transaction=True)
class TheWriteCheck:
    def test_passes_and_leaves_nothing(self, limits: Any) -> None:
        write_check.write_check()

        assert not RecentId.objects.exists()

    def test_fails_below_the_floor(self, limits: Any) -> None:
        sqlite_only()
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
        full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 (check_room closes it)
        monkeypatch.setattr(write_check.tempfile, "TemporaryFile", lambda **_: full)

        with pytest.raises(StoreUnavailable) as refused:
            write_check.check_room(Path("/"))

        assert refused.value.reason == "disk_full"

    def test_fails_where_no_file_can_be_made(self, tmp_path: Path) -> None:
        with pytest.raises(StoreUnavailable) as refused:
            write_check.check_room(tmp_path / "missing")

        assert refused.value.reason == "read_only"

    def test_tries_the_disk_of_the_store_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        tried: list[Path] = []
        monkeypatch.setattr(write_check, "check_room", tried.append)

        write_check.write_check()

        name = connection.settings_dict["NAME"]
        assert tried == ([Path(name).parent] if connection.vendor == "sqlite" else [])

    def test_says_that_another_program_holds_the_lock_instead_of_waiting_for_it(
        self, limits: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sqlite_only()
        monkeypatch.setattr(write_check, "WAIT_SECONDS", 0)
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
        sqlite_only()
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
        assert shedding._pragma("auto_vacuum") == 2  # incremental
