"""The rollup rows that commits append are merged: few remain, and no figure changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from metrics.events import ErrorEvent
from metrics.models import ErrorGroupRollup, GaugeRollup, InferenceRollup, RollupFloor
from metrics.store import compaction
from metrics.store.rollup_floors import LAG_SECONDS
from metrics.store.upkeep import maintenance
from metrics.store.upkeep.deleting import Steps
from metrics.store.write_lock import upkeep_transaction
from metrics.store.writing.rollup_rows import INFERENCE
from metrics.store.writing.transaction import Store
from tests.metrics.store.kept import machine
from tests.metrics.store.stored import (
    NOW,
    assert_raw_and_rollups_agree,
    before,
    commit,
    error,
    failed,
    outcomes,
    request,
    requests,
)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


class Clock:
    """A store whose clock a test moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = Store(clock=lambda: self.now)

    def compact(self) -> None:
        """Merge all rows that are due."""
        while self.store.compact():
            pass


@pytest.fixture
def clock() -> Clock:
    return Clock()


def rows(resolution: int, **more: Any) -> int:
    return InferenceRollup.objects.filter(resolution=resolution, **more).count()


def tracked(clock: Clock) -> int:
    """The number of buckets whose rows the store counts."""
    tables = clock.store._compactor._tables.values()
    return sum(len(table._rows) + len(table._full) for table in tables)


class TheRowsOfABucket:
    def test_are_one_for_each_commit_until_they_are_merged(self, clock: Clock) -> None:
        for number in range(3):
            clock.store.commit([request(f"r{number}")])
        clock.compact()
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [3, 3, 3]
        assert_raw_and_rollups_agree()

    def test_are_merged_when_they_are_many(self, clock: Clock) -> None:
        for number in range(compaction.MAX_ROWS):
            clock.store.commit([request(f"r{number}"), machine(before(seconds=number))])
        clock.compact()
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [1, 1, 1]
        assert GaugeRollup.objects.filter(metric="system.cpu_percent", resolution=3600).count() == 1
        assert_raw_and_rollups_agree()

    def test_are_merged_in_every_table_also_if_more_are_due_than_one_step_merges(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compaction, "KEYS_PER_STEP", 2)
        for number in range(compaction.MAX_ROWS):
            many = [request(f"r{number}-{model}", model_name=f"m{model}") for model in range(20)]
            clock.store.commit([*many, error(f"e{number}"), machine(before(seconds=number))])
        hour_of_cpu = GaugeRollup.objects.filter(metric="system.cpu_percent", resolution=3600)
        for _ in range(GaugeRollup.objects.values("metric", "resolution", "bucket", "labels").distinct().count()):
            clock.store.compact()
        assert hour_of_cpu.count() == ErrorGroupRollup.objects.count() == 1
        assert rows(60) > 21  # of the 20 models and the errors, which take longer
        clock.compact()
        assert rows(60) == 21
        assert_raw_and_rollups_agree()

    def test_stay_few_however_many_commits_there_are(self, clock: Clock) -> None:
        for number in range(60):
            clock.store.commit([request(f"r{number}"), error(f"e{number}")])
            clock.compact()
            assert max(rows(60), ErrorGroupRollup.objects.count()) <= compaction.MAX_ROWS
        assert_raw_and_rollups_agree()

    def test_are_merged_when_the_bucket_has_ended(self, clock: Clock) -> None:
        for number in range(2):
            clock.store.commit([request(f"r{number}")])
        clock.now += timedelta(seconds=3)
        clock.compact()
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [1, 2, 2]
        clock.now += timedelta(hours=1)
        clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [1, 1]
        assert_raw_and_rollups_agree()

    def test_of_late_events_are_merged_when_they_are_many(self, clock: Clock) -> None:
        for number in range(compaction.MAX_ROWS):
            clock.store.commit([request(f"r{number}", before(hours=30))])
            clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [1, 1]
        assert_raw_and_rollups_agree((60, 3600))

    def test_of_late_events_are_merged_a_minute_later_if_they_are_few(self, clock: Clock) -> None:
        for number in range(2):
            clock.store.commit([request(f"r{number}", before(hours=30))])
        clock.now += timedelta(seconds=59)
        clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [2, 2]
        clock.now += timedelta(seconds=1)
        clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [1, 1]
        assert_raw_and_rollups_agree((60, 3600))

    def test_that_follow_a_merge_are_merged_when_the_bucket_has_ended(self, clock: Clock) -> None:
        for number in range(compaction.MAX_ROWS):
            clock.store.commit([request(f"r{number}")])
        clock.compact()
        clock.store.commit([request("after")])
        clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [2, 2]
        clock.now += timedelta(hours=2)
        clock.compact()
        assert [rows(resolution) for resolution in (60, 3600)] == [1, 1]
        assert_raw_and_rollups_agree()

    def test_are_merged_early_if_they_are_in_too_many_buckets_to_count(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compaction, "MAX_TRACKED", 20)
        for number in range(3):
            clock.store.commit([request(f"r{number}")])
        clock.compact()
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [3, 3, 3]
        clock.store.commit([request(f"s{number}", before(seconds=number)) for number in range(30)])
        assert tracked(clock) <= 20
        clock.compact()
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [30, 1, 1]
        assert_raw_and_rollups_agree()

    def test_are_counted_only_until_the_bucket_has_ended(self, clock: Clock) -> None:
        for number in range(compaction.MAX_ROWS + 1):
            clock.store.commit(
                [request(f"r{number}"), error(f"e{number}", before(hours=3)), machine(before(seconds=number))]
            )
            clock.store.commit([request("single", before(seconds=number))])
            clock.compact()
        assert tracked(clock)
        clock.now += timedelta(hours=2)
        clock.compact()
        assert tracked(clock) == 0

    def test_of_several_models_are_merged_apart(self, clock: Clock) -> None:
        for number in range(compaction.MAX_ROWS):
            clock.store.commit([request(f"a{number}"), failed(f"b{number}", model_name="slow")])
        clock.compact()
        assert rows(60) == 2
        assert_raw_and_rollups_agree()

    def test_vanish_when_nothing_is_left_in_them(self, clock: Clock) -> None:
        clock.store.commit([ErrorEvent(timestamp=NOW, request_id="a", error_type="TimeoutError")])
        clock.store.commit([failed("a", model_name="slow")])
        clock.now += timedelta(hours=2)
        clock.compact()
        assert set(InferenceRollup.objects.values_list("series__model_name", flat=True)) == {"slow"}
        assert_raw_and_rollups_agree()


class AMerge:
    def test_that_fails_changes_nothing_and_stops_no_commit(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(rows: Any) -> None:
            raise OperationalError("disk full")

        for number in range(compaction.MAX_ROWS):
            clock.store.commit([request(f"r{number}")])
        with monkeypatch.context() as broken, pytest.raises(OperationalError):
            broken.setattr(INFERENCE.insert, "run", fail)
            clock.compact()
        assert rows(60) == compaction.MAX_ROWS
        clock.store.commit([request("after")])
        assert_raw_and_rollups_agree()

    @pytest.mark.django_db(transaction=True)
    def test_by_two_processes_at_once_counts_each_row_once(self) -> None:
        for number in range(40):
            commit(request(f"r{number}"))
        keys = list(InferenceRollup.objects.order_by().values_list(*INFERENCE.key).distinct())
        together = threading.Barrier(3)
        failures: list[BaseException] = []

        def merge() -> None:
            try:
                together.wait(30)
                compaction.merge_keys(INFERENCE, keys)
            except OperationalError as problem:  # SQLite has one writer
                failures.append(problem)
            finally:
                connection.close()

        threads = [threading.Thread(target=merge) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert requests(3600) == 40
        assert_raw_and_rollups_agree()

    @pytest.mark.django_db(transaction=True)
    def test_leaves_rows_that_another_process_is_merging(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer")
        for number in range(3):
            commit(request(f"r{number}"))
        keys = list(InferenceRollup.objects.order_by().values_list(*INFERENCE.key).distinct())

        def merge() -> None:
            try:
                compaction.merge_keys(INFERENCE, keys)
            finally:
                connection.close()

        other = threading.Thread(target=merge)
        with transaction.atomic():
            compaction.merge_keys(INFERENCE, keys)
            other.start()
            other.join(20)
            waits = other.is_alive()
        other.join(20)
        assert not waits
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [1, 1, 1]
        assert_raw_and_rollups_agree()

    @pytest.mark.django_db(transaction=True)
    def test_ends_before_a_deletion_that_would_not_see_its_rows(self) -> None:
        if connection.vendor != "postgresql":
            pytest.skip("SQLite has one writer")
        for number in range(3):
            commit(request(f"r{number}"))
        keys = list(InferenceRollup.objects.order_by().values_list(*INFERENCE.key).distinct())
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (upkeep,) = cursor.fetchone()
        is_merging = threading.Event()

        def merge_until_upkeep_waits(rows: Any) -> Any:
            is_merging.set()
            until = time.monotonic() + 20
            with connection.cursor() as cursor:
                while time.monotonic() < until:
                    cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [upkeep])
                    if cursor.fetchone() != (0,):
                        break
            return INFERENCE.merge(rows)

        def merge() -> None:
            try:
                compaction.merge_keys(replace(INFERENCE, merge=merge_until_upkeep_waits), keys)
            finally:
                connection.close()

        other = threading.Thread(target=merge)
        other.start()
        assert is_merging.wait(20)
        with upkeep_transaction():
            InferenceRollup.objects.all().delete()
        other.join(20)

        assert rows(60) == 0


def leftovers(now: datetime) -> None:
    """Merge what upkeep finds."""
    compaction.merge_leftovers(now, Steps(time.monotonic() + 30))


class TheRowsThatAProcessHasLeft:
    def test_are_merged_by_upkeep_when_their_bucket_has_ended(self) -> None:
        for number in range(3):
            commit(request(f"r{number}"), error(f"e{number}"), machine(before(seconds=number)))
        leftovers(NOW + timedelta(minutes=2))
        assert [rows(resolution) for resolution in (1, 60, 3600)] == [1, 1, 3]
        leftovers(NOW + timedelta(hours=2))
        assert (rows(3600), ErrorGroupRollup.objects.count()) == (1, 1)
        assert GaugeRollup.objects.filter(metric="system.cpu_percent").count() == 2
        assert_raw_and_rollups_agree()

    def test_wait_for_the_next_search_when_there_is_no_more_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(compaction, "KEYS_PER_STEP", 1)
        for number in range(2):
            commit(*(request(f"r{number}{model}", model_name=model) for model in "abc"))
        later, is_over = NOW + timedelta(hours=2), time.monotonic()
        assert compaction.merge_leftovers(later, Steps(is_over)) == 1
        assert compaction.merge_leftovers(later, Steps(is_over + 30)) == 8
        assert_raw_and_rollups_agree()

    def test_are_searched_every_ten_minutes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        searched: list[datetime] = []
        monkeypatch.setattr(maintenance, "_compacted_at", None)
        monkeypatch.setattr(compaction, "merge_leftovers", lambda now, steps: searched.append(now))
        for minutes in (0, 1, 9, 11):
            maintenance.maintain(NOW + timedelta(minutes=minutes), 10.0)
        assert searched == [NOW, NOW + timedelta(minutes=11)]


@pytest.fixture
def keep_seconds(settings: Any) -> Callable[[float], None]:
    """Set for how many minutes rollups of a second are kept."""

    def keep(minutes: float) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"one_second_minutes": minutes})

    return keep


class ABucketBelowTheFloor:
    def test_gets_no_correction_of_what_was_not_counted_in_it(self, keep_seconds: Callable[[float], None]) -> None:
        keep_seconds(15.0)
        commit(error("a", before(minutes=30)))  # too old for a rollup of a second
        keep_seconds(60.0)
        commit(failed("a", before(minutes=30)))
        assert outcomes(1) == {}
        assert outcomes(60) == {"server_error": 1}

    def test_gets_no_correction_after_its_deletion(self, keep_seconds: Callable[[float], None]) -> None:
        keep_seconds(15.0)
        commit(error("a", before(minutes=10)))
        maintenance.maintain(NOW + timedelta(minutes=30), 10.0)
        keep_seconds(600.0)
        commit(failed("a", before(minutes=10)), at=NOW + timedelta(minutes=30))
        assert outcomes(1) == {}
        assert outcomes(60) == {"server_error": 1}

    def test_stays_below_it_when_the_retention_is_lengthened(self, keep_seconds: Callable[[float], None]) -> None:
        keep_seconds(15.0)
        commit(request("a"))
        keep_seconds(600.0)
        maintenance.maintain(NOW, 10.0)
        commit(request("b", before(minutes=100)))
        assert RollupFloor.objects.get(resolution=1).bucket == int(before(minutes=15).timestamp())
        assert requests(1) == 1
        assert requests(60) == 2


class TheFloorOfAResolution:
    def test_is_raised_by_a_commit_only_if_upkeep_has_not_raised_it_for_some_minutes(
        self, keep_seconds: Callable[[float], None]
    ) -> None:
        keep_seconds(15.0)
        raised = []
        for seconds in (0, LAG_SECONDS, LAG_SECONDS + 1, LAG_SECONDS + 2):
            commit(request(f"r{seconds}"), at=NOW + timedelta(seconds=seconds))
            raised.append(RollupFloor.objects.get(resolution=1).bucket - int(before(minutes=15).timestamp()))
        assert raised == [0, 0, LAG_SECONDS + 1, LAG_SECONDS + 1]
