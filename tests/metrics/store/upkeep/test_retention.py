"""Retention: old raw rows go, figures stay, and what could no longer be recognised is refused."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.db.models import Sum

from metrics import queries, registers
from metrics.levels import LEVELS
from metrics.models import (
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    RawFloor,
    RecentId,
    RetentionChange,
    Series,
    SystemMetrics,
)
from metrics.queries.time.plan import Retention
from metrics.retention_policy import RetentionPolicy, change_retention
from metrics.store import raw_floors
from metrics.store.demo_claim import Claim, Progress
from metrics.store.upkeep import maintenance, retention
from metrics.store.upkeep.deleting import MICROSECOND, Steps, matching_rows, oldest_raw_rows
from tests.metrics.store.kept import NOW, ago, by_hand, failure, machine, one_of_each, queue, record, request, rolled_up

pytestmark = [pytest.mark.store, pytest.mark.django_db]

MINUTES = {
    "raw_inference_days": 10 / 1440,
    "errors_days": 20 / 1440,
    "samples_hours": 5 / 60,
    "one_second_minutes": 15.0,
    "one_minute_days": 120 / 1440,
    "one_hour_days": 2.0,
    "recent_id_minutes": 3.0,
}


@pytest.fixture(autouse=True)
def _policies_of_minutes(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=MINUTES)
    # As in a new process.
    monkeypatch.setattr(raw_floors, "_last_read", {})
    monkeypatch.setattr(retention, "_gauge_labels_clean_at", None)
    monkeypatch.setattr(maintenance, "_compacted_at", None)


class WhenDemoDataIsFilledIn:
    """The older samples of it follow the newer ones."""

    def test_raw_rows_stay_and_older_ones_are_accepted(self) -> None:
        claim = Claim()
        assert claim.acquire(Progress(50, ""))
        record([machine(ago(minutes=10))])
        maintain()
        record([machine(ago(minutes=20))])
        assert SystemMetrics.objects.count() == 2

        claim.renew(Progress(100, ""))
        maintain()
        assert SystemMetrics.objects.count() == 0


def maintain(at: Any = NOW) -> dict[str, int]:
    return maintenance.maintain(at, 10.0)


def hour_summary() -> dict[str, Any]:
    """The figures of the last hour, freshly computed."""
    answer = queries.summary(queries.Window.last(3600, NOW), queries.Filters(), NOW).as_dict()
    return {name: value for name, value in answer.items() if name != "age_seconds"}


def gauge_series(window: queries.Window) -> Any:
    return queries.series([queries.SeriesSpec.of("system.cpu_percent", "avg")], window, queries.Filters(), now=NOW)


class TheRetention:
    def test_takes_old_raw_rows_and_leaves_young_ones(self) -> None:
        record([request(ago(minutes=minutes), f"r{minutes}") for minutes in (40, 25, 11, 9, 1)])

        counts = maintain()

        assert list(by_hand()) == ["r9", "r1"]
        assert counts["inference_metrics"] == 3

    def test_keeps_each_table_as_long_as_its_policy_says(self) -> None:
        for minutes in (21, 19, 6, 4):
            record(one_of_each(ago(minutes=minutes), f"r{minutes}"))

        maintain()

        kept = {model: model.objects.count() for model in (ErrorMetrics, SystemMetrics, GPUMetrics, QueueMetrics)}
        assert kept == {ErrorMetrics: 3, SystemMetrics: 1, GPUMetrics: 1, QueueMetrics: 1}
        assert InferenceMetrics.objects.count() == 2

    def test_leaves_all_figures_of_a_longer_window_as_they_were(self) -> None:
        for minutes in range(58):
            record(
                [
                    request(ago(minutes=minutes), f"r{minutes}", response_time_ms=100.0 + 7 * minutes, cost_usd=0.01),
                    machine(ago(minutes=minutes)),
                    queue(ago(minutes=minutes)),
                ]
            )
        record([failure(ago(minutes=30), "f1"), request(ago(minutes=31), "f2", status_code=503)])
        before = hour_summary()

        maintain()

        assert before["total_requests"] == 60
        assert InferenceMetrics.objects.count() < 15
        assert hour_summary() == before

    def test_leaves_a_bucket_as_it_is_when_its_raw_rows_are_gone(self) -> None:
        record([request(ago(minutes=40), "one"), request(ago(minutes=40), "two"), request(ago(minutes=1), "young")])
        hours = list(InferenceRollup.objects.filter(resolution=3600).order_by("bucket").values())
        minutes = list(InferenceRollup.objects.filter(resolution=60).order_by("bucket").values())

        maintain()

        assert list(by_hand()) == ["young"]
        assert list(InferenceRollup.objects.filter(resolution=3600).order_by("bucket").values()) == hours
        assert list(InferenceRollup.objects.filter(resolution=60).order_by("bucket").values()) == minutes

    def test_takes_rollups_when_their_own_time_is_over(self) -> None:
        then = ago(hours=3)
        record([*one_of_each(then, "old"), request(ago(minutes=30), "hour"), request(ago(seconds=1), "new")], at=then)

        maintain()

        assert rolled_up(1) == 1
        assert rolled_up(60) == 2
        assert rolled_up(3600) == 4
        # The minutes of levels are kept until their hour is over.
        assert set(GaugeRollup.objects.filter(resolution=60).values_list("metric", flat=True)) <= LEVELS
        assert GaugeRollup.objects.filter(resolution=3600).exists()

        maintain(NOW + timedelta(days=3))

        assert not InferenceRollup.objects.exists()
        assert not GaugeRollup.objects.exists()
        assert not ErrorGroupRollup.objects.exists()

    def test_never_takes_a_bucket_that_a_reader_counts_on(self) -> None:
        policy = RetentionPolicy.current()
        for second in range(0, 7200, 7):
            at = NOW + timedelta(seconds=second)
            for resolution, seconds in Retention.current().seconds.items():
                oldest_read = Retention.current().oldest_complete(resolution, int(at.timestamp()))
                assert oldest_read >= policy.oldest_bucket(resolution, at)
                assert oldest_read - policy.oldest_bucket(resolution, at) <= resolution, seconds

    def test_that_was_lengthened_does_not_hide_what_coarser_buckets_have(self, settings: Any) -> None:
        record([request(ago(minutes=minutes, seconds=10), f"r{minutes}") for minutes in (150, 40, 1)])
        maintain()
        longer = {"one_second_minutes": 300.0, "one_minute_days": 1.0}
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update=longer)

        for minutes in (151, 41):
            window = queries.Window(ago(minutes=minutes, seconds=30), NOW)
            total = queries.summary(window, queries.Filters(), NOW).as_dict()["total_requests"]
            series = queries.series(
                [queries.SeriesSpec.of("inference.requests", "sum")], window, queries.Filters(), now=NOW
            )
            assert total == sum(value or 0 for value in series.lines[0].values) == {151: 3, 41: 2}[minutes]

    def test_of_samples_that_was_lengthened_does_not_hide_what_minutes_have(self) -> None:
        record([machine(ago(minutes=minutes)) for minutes in (40, 30, 1)])
        maintain()
        window = queries.Window(ago(minutes=45), ago(minutes=20))
        before = gauge_series(window)

        change_retention("samples_hours", 2.0, ago(days=1))

        assert [value for value in before.lines[0].values if value is not None] == [20.0, 20.0]
        assert gauge_series(window) == before

    def test_that_was_lengthened_and_shortened_makes_no_bucket_negative(self) -> None:
        record([failure(ago(minutes=minutes), f"f{minutes}") for minutes in (30, 9)])
        for minutes in (5.0, 60.0, 12.0):
            change_retention("one_second_minutes", minutes, ago(days=1))
            maintain()
        record([request(ago(minutes=9), "f9", status_code=503)])  # the error belongs to it

        change_retention("one_second_minutes", 60.0, ago(days=1))
        maintain()

        buckets = InferenceRollup.objects.values("resolution", "bucket").annotate(total=Sum("timeout"))
        assert [bucket for bucket in buckets if bucket["total"] < 0] == []
        assert hour_summary()["total_requests"] == 2

    def test_waits_for_a_minute_after_a_person_has_changed_it(self) -> None:
        record([request(ago(minutes=9), "old")])
        change_retention("raw_inference_days", 5 / 1440, ago(seconds=59))

        assert maintain() == {}
        assert list(by_hand()) == ["old"]
        maintain(NOW + timedelta(seconds=2))

        assert list(by_hand()) == []

    def test_does_not_wait_for_a_change_in_the_future(self) -> None:
        record([request(ago(minutes=9), "old")])
        change_retention("raw_inference_days", 5 / 1440, NOW + timedelta(days=1))  # the clock was wrong

        maintain()

        assert list(by_hand()) == []

    def test_is_read_anew_before_rows_are_deleted(self) -> None:
        record([request(ago(minutes=11), "wanted")])
        RetentionChange.objects.create(setting="raw_inference_days", value=1.0, at=ago(days=1))  # by another process

        maintain()

        assert list(by_hand()) == ["wanted"]

    def test_takes_label_sets_and_groups_that_nothing_refers_to(self) -> None:
        record(one_of_each(NOW, "only"))

        maintain(NOW + timedelta(days=1))
        assert Series.objects.count() == 1
        maintain((NOW + timedelta(days=3)).replace(minute=17))

        assert not Series.objects.exists()
        assert not ErrorGroup.objects.exists()
        assert not GaugeLabels.objects.exists()

    def test_looks_for_unused_label_sets_of_gauges_an_hour_after_it_last_found_none(self) -> None:
        maintain(NOW)
        GaugeLabels.objects.create(host="gone")

        maintain(NOW + timedelta(minutes=59))
        assert GaugeLabels.objects.exists()
        maintain(NOW + timedelta(minutes=61))
        assert not GaugeLabels.objects.exists()

    def test_looks_again_at_once_while_it_finds_some(self) -> None:
        GaugeLabels.objects.create(host="gone")
        maintain(NOW)
        GaugeLabels.objects.create(host="gone, too")

        maintain(NOW + timedelta(minutes=1))

        assert not GaugeLabels.objects.exists()

    def test_looks_again_where_it_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(found: Any) -> Any:
            if found.model is GaugeLabels:
                raise DatabaseError("locked")
            return matching_rows(found)

        GaugeLabels.objects.create(host="gone")
        with monkeypatch.context() as patch, pytest.raises(DatabaseError):
            patch.setattr(retention, "matching_rows", broken)
            maintain(NOW)

        maintain(NOW + timedelta(minutes=1))

        assert not GaugeLabels.objects.exists()

    def test_forgets_recent_ids(self) -> None:
        record([request(ago(minutes=4), "a", stamped=False)], at=ago(minutes=4))
        record([request(ago(minutes=2), "b", stamped=False)], at=ago(minutes=2))

        maintain()

        assert list(RecentId.objects.values_list("request_id", flat=True)) == ["b"]

    def test_calls_what_other_apps_registered(self) -> None:
        asked = []
        registers.retention.add("history", lambda now, deadline: asked.append((now, deadline)) or 7)
        try:
            counts = maintain()
        finally:
            registers.retention.remove("history")

        assert counts["history"] == 7
        assert asked[0][0] == NOW
        assert asked[0][1] > time.monotonic()

    @pytest.mark.parametrize("broken", ["disk_limit.enforce_max_disk", "retention._metrics", "disk_limit.shrink_file"])
    def test_goes_on_with_the_other_tables_when_one_fails_and_says_so_at_the_end(
        self, broken: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> Any:
            raise DatabaseError("no such table")

        monkeypatch.setattr(f"metrics.store.upkeep.{broken}", fail)
        asked: list[str] = []
        registers.retention.add("history", lambda now, deadline: asked.append("history") or 0)
        record([request(ago(minutes=40), "old")])
        record([request(ago(minutes=4), "a", stamped=False)], at=ago(minutes=4))
        try:
            with pytest.raises(DatabaseError, match="no such table"):
                maintain()
        finally:
            registers.retention.remove("history")

        assert not InferenceMetrics.objects.filter(request_id="old").exists()
        assert not RecentId.objects.exists()
        assert asked == ["history"]

    def test_stops_when_its_time_is_used_up_and_goes_on_the_next_time(self) -> None:
        record([request(ago(minutes=40, seconds=-number / 10), f"r{number}") for number in range(500)])

        maintenance.maintain(NOW, 0.0)
        left = InferenceMetrics.objects.count()
        maintenance.maintain(NOW, 10.0)

        assert 0 < left < 500
        assert not InferenceMetrics.objects.exists()


class TheRawFloor:
    def test_is_not_there_in_a_store_that_never_lost_a_row(self) -> None:
        record([request(ago(minutes=1), "young")])

        maintain()

        assert raw_floors.raw_floor("inference") is None
        assert not RawFloor.objects.exists()

    def test_moves_with_the_deletion(self) -> None:
        record([request(ago(minutes=40), "old"), request(ago(minutes=1), "young")])

        maintain()

        assert raw_floors.raw_floor("inference") == ago(minutes=10)
        assert raw_floors.raw_floor("queue") is None

    def test_never_moves_down(self) -> None:
        raw_floors.raise_floor("queue", ago(minutes=5))
        raw_floors.raise_floor("queue", ago(minutes=9))

        assert raw_floors.raw_floor("queue") == ago(minutes=5)

    def test_stays_where_it_was_when_the_deletion_fails(self) -> None:
        record([request(ago(minutes=40), "old")])

        def fails(rows: int) -> int:
            oldest_raw_rows(InferenceMetrics, "inference", NOW)(rows)
            raise RuntimeError("power cut")

        with pytest.raises(RuntimeError):
            Steps(time.monotonic() + 5).run(fails)

        assert list(by_hand()) == ["old"]
        assert raw_floors.raw_floor("inference") is None

    def test_is_just_above_the_newest_row_that_went_while_others_wait(self) -> None:
        record([request(ago(minutes=40 - number), f"r{number}") for number in range(4)])

        oldest_raw_rows(InferenceMetrics, "inference", ago(minutes=10))(2)

        assert list(by_hand()) == ["r2", "r3"]
        assert raw_floors.raw_floor("inference") == ago(minutes=39) + MICROSECOND

    def test_refuses_an_older_event_by_name(self) -> None:
        record([request(ago(minutes=40), "old"), request(ago(minutes=1), "young")])
        maintain()

        recorded = record([request(ago(minutes=2), "in time"), request(ago(minutes=40), "old")])

        [rejection] = recorded.rejected
        assert (recorded.accepted, recorded.duplicates) == (1, 0)
        assert (rejection.index, rejection.field) == (1, "timestamp")
        assert "2026-01-20T11:50:30" in rejection.error
        assert hour_summary()["total_requests"] == 3

    def test_lets_a_refused_event_change_nothing(self) -> None:
        record([request(ago(minutes=40), "old"), request(ago(minutes=1), "young")])
        maintain()
        before = hour_summary(), list(InferenceRollup.objects.order_by("pk").values()), list(by_hand())

        record([request(ago(minutes=40), "old"), request(ago(minutes=39), "never seen", "another model")])

        assert (hour_summary(), list(InferenceRollup.objects.order_by("pk").values()), list(by_hand())) == before

    def test_is_one_for_requests_and_errors_which_settle_together_what_failed(self) -> None:
        record([request(ago(minutes=40), "failed", status_code=500)])
        maintain()

        recorded = record([failure(ago(minutes=40), "failed")])

        assert raw_floors.raw_floor("error") == ago(minutes=10)
        assert (recorded.accepted, len(recorded.rejected)) == (0, 1)
        assert rolled_up(3600) == 1

    def test_of_another_process_is_seen_at_once(self) -> None:
        assert raw_floors.raw_floor("system") is None

        RawFloor.objects.create(kind="system", at=ago(minutes=3))

        assert raw_floors.raw_floor("system") == ago(minutes=3)

    async def test_is_what_was_read_last_where_no_query_may_run(self) -> None:
        assert raw_floors.raw_floor("system") is None
        await asyncio.to_thread(lambda: raw_floors._last_read.update(system=ago(minutes=3)))

        assert raw_floors.raw_floor("system") == ago(minutes=3)


class TheResolutionsOfAnEvent:
    def test_are_those_that_still_hold_its_bucket(self) -> None:
        resolutions_for = RetentionPolicy.current().resolver(NOW)

        assert resolutions_for(NOW) == (1, 60, 3600)
        assert resolutions_for(ago(minutes=14)) == (1, 60, 3600)
        assert resolutions_for(ago(minutes=16)) == (60, 3600)
        assert resolutions_for(ago(minutes=119)) == (60, 3600)
        assert resolutions_for(ago(minutes=122)) == (3600,)
        assert resolutions_for(ago(days=4)) == ()

    def test_include_those_of_the_future_that_the_door_lets_in(self) -> None:
        assert RetentionPolicy.current().resolver(NOW)(NOW + timedelta(minutes=5)) == (1, 60, 3600)

    def test_keep_old_events_out_of_the_one_second_table(self) -> None:
        record([request(ago(minutes=30), "replayed")])

        assert (rolled_up(1), rolled_up(60), rolled_up(3600)) == (0, 1, 1)


class TheSteps:
    def test_are_short_and_rest_after_each(self) -> None:
        work = SlowWork(seconds=1.0)
        steps = Steps(99.0, clock=work.clock, sleep=work.rests.append)

        steps.run(work)

        assert work.asked[0] > work.asked[1] > work.asked[2]  # each took too long, so the next is smaller
        assert work.rests == [1.0, 1.0]

    def test_grow_while_they_are_quick(self) -> None:
        work = SlowWork(seconds=0.0)
        steps = Steps(99.0, clock=work.clock, sleep=work.rests.append)

        steps.run(work)

        assert work.asked[0] < work.asked[1] < work.asked[2]

    def test_end_at_the_deadline(self) -> None:
        work = SlowWork(seconds=1.0)
        steps = Steps(1.5, clock=work.clock, sleep=work.rests.append)

        steps.run(work)

        assert len(work.asked) == 2

    def test_take_one_in_any_case(self) -> None:
        record([request(ago(minutes=40), "old")])

        deleted = Steps(0.0).run(matching_rows(InferenceMetrics.objects.order_by("pk")))

        assert deleted == 1


class SlowWork:
    """A step that takes this long, finds enough to delete twice, and nothing the third time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.asked: list[int] = []
        self.rests: list[float] = []

    def clock(self) -> float:
        return self.now

    def __call__(self, rows: int) -> int:
        self.asked.append(rows)
        self.now += self.seconds
        return rows if len(self.asked) < 3 else 0
