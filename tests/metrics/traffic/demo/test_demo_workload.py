"""The demo's workload: the same for the same seed, plausible, accepted whole by the door, with one incident in it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from metrics.aggregation import MAX_COUNTER_GAP
from metrics.events import InferenceEvent, Kind, SystemEvent, validate_many
from metrics.traffic.demo.workload import EARLIER_SHARE, MODELS, Workload
from tests.support.policies import make_ingest_policy

END = datetime(2026, 3, 1, 15, 20, 7, tzinfo=UTC)
HOUR, DAY = 3_600.0, 86_400.0


@pytest.fixture(scope="module")
def week() -> Workload:
    return Workload(END)


@pytest.fixture(scope="module")
def hours(week: Workload) -> list[dict[str, Any]]:
    """The requests of the last three hours."""
    return week.requests(END.timestamp() - 3 * HOUR, END.timestamp())


def of(events: list[dict[str, Any]], model: str, start: datetime, end: datetime) -> Iterator[dict[str, Any]]:
    first, last = start.timestamp(), end.timestamp()
    return (one for one in events if one["model_name"] == model and first <= one["timestamp"] < last)


class TheWorkload:
    def test_is_the_same_for_the_same_seed_and_time(self, week: Workload) -> None:
        at = END.timestamp()
        assert week.requests(at - 600, at) == Workload(END).requests(at - 600, at)
        assert week.system(at - 60, at) == Workload(END).system(at - 60, at)
        assert week.queues(at - 60, at) == Workload(END).queues(at - 60, at)

    def test_differs_with_the_seed(self, week: Workload) -> None:
        at = END.timestamp()
        assert week.requests(at - 600, at) != Workload(END, seed=2).requests(at - 600, at)

    def test_covers_a_week_the_newest_half_hours_first(self, week: Workload) -> None:
        chunks = [start for start, *_ in week.chunks()]
        assert chunks[0] == END - timedelta(minutes=30)
        assert chunks[47] == END - timedelta(days=1)
        assert chunks[-1] == END - timedelta(days=7)

    def test_has_no_more_events_than_are_stored_in_some_seconds(self, week: Workload) -> None:
        requests, samples = 0, 0
        for _, of_models, *of_machines in week.chunks():
            requests += len(of_models)
            samples += sum(len(one) for one in of_machines)
        assert 30_000 < requests < 45_000
        assert samples < 16_000

    def test_has_day_and_night_on_each_day(self, week: Workload) -> None:
        at = END.timestamp()
        for day in range(1, 7):
            noon, night = (len(week.requests(end - 6 * HOUR, end)) for end in (at - day * DAY, at - (day - 0.5) * DAY))
            assert noon > 2 * night > 0, day

    def test_grows_without_a_step(self, week: Workload) -> None:
        at = END.timestamp()
        shares = [week.share(at - n * HOUR) for n in range(7 * 24)]
        assert shares[0] == 1
        assert shares[-1] == pytest.approx(EARLIER_SHARE)
        assert all(1 <= newer / older < 1.25 for newer, older in pairwise(shares))

    def test_samples_its_machines_often_enough_to_leave_no_gap(self, week: Workload) -> None:
        at = list(week.times(week.start.timestamp(), week.end.timestamp()))
        assert at[-1] - at[-2] == 5
        assert max(after - before for before, after in pairwise(at)) <= MAX_COUNTER_GAP

    def test_of_several_days_covers_them(self) -> None:
        assert Workload(END, days=3).start == END - timedelta(days=3)

    def test_begins_where_earlier_data_ends(self) -> None:
        since = END - timedelta(minutes=5)
        resumed = Workload(END, since=since)
        assert [start for start, *_ in resumed.chunks()] == [since]
        assert resumed.incident is None
        assert resumed.story == ""

    def test_continues_the_counters_of_earlier_data(self, week: Workload) -> None:
        resumed = Workload(END + timedelta(minutes=5), since=END)
        [last], [next_one] = (
            [sample for sample in workload.system(at, at + 1, step=1) if sample["host"] == "api-host"]
            for workload, at in ((week, END.timestamp()), (resumed, END.timestamp() + 1))
        )
        assert next_one["network_bytes_sent"] - last["network_bytes_sent"] == 1_400_000

    def test_after_data_of_long_ago_is_a_week_all_the_same(self) -> None:
        assert Workload(END, since=END - timedelta(days=9)).start == END - timedelta(days=7)

    def test_passes_the_door_whole_and_is_marked_as_demo(self, week: Workload, hours: list[dict[str, Any]]) -> None:
        at = END.timestamp()
        for kind, items in (
            (Kind.INFERENCE, hours),
            (Kind.SYSTEM, week.system(at - 600, at)),
            (Kind.QUEUE, week.queues(at - 600, at)),
        ):
            found = validate_many(kind, items, END, make_ingest_policy())
            assert not found.rejected
            assert not found.dropped
            assert len(found.events) == len(items) > 100
            assert all(event.is_demo and event.stamped for event in found.events)

    def test_never_repeats_an_id(self, hours: list[dict[str, Any]]) -> None:
        assert len({one["request_id"] for one in hours}) == len(hours)

    def test_has_three_models_two_hosts_and_gpus(self, week: Workload, hours: list[dict[str, Any]]) -> None:
        assert {one["model_name"] for one in hours} == {model.name for model in MODELS}
        samples = week.system(END.timestamp() - 5, END.timestamp())
        assert {(one["host"], one["gpu_count"], len(one["gpu_metrics"])) for one in samples} == {
            ("gpu-box-1", 2, 2),
            ("api-host", 0, 0),
        }

    def test_is_busiest_now_and_quietest_half_a_day_ago(self, week: Workload) -> None:
        at = END.timestamp()
        now, night = (len(week.requests(end - HOUR, end)) for end in (at, at - 12 * HOUR))
        assert now > 3 * night > 0

    def test_goes_on_each_second_at_the_pace_it_had(self, week: Workload) -> None:
        at = float(int(END.timestamp()))
        counts = [len(week.requests(at + n, at + n + 1)) for n in range(300)]
        before = len(week.requests(at - 300, at))
        assert sum(counts) == pytest.approx(before, rel=0.3)

    def test_fails_now_and_then(self, hours: list[dict[str, Any]]) -> None:
        failed = [one for one in hours if not one["success"]]
        assert 0.002 < len(failed) / len(hours) < 0.03
        assert {one["status_code"] for one in failed} >= {429, 500, 504}

    def test_has_times_that_add_up(self, hours: list[dict[str, Any]]) -> None:
        for event in validate_many(Kind.INFERENCE, hours, END, make_ingest_policy()).events:
            assert isinstance(event, InferenceEvent)
            if event.success:
                assert 0 <= (event.queue_time_ms or 0) < (event.ttft_ms or 0) <= (event.response_time_ms or 0)
                assert event.tokens_per_second


class TheIncident:
    def test_is_told_with_its_time_its_model_and_what_happened(self, week: Workload) -> None:
        assert week.story == (
            "2026-03-01 14:46 to 15:03 UTC: the queue of llama-3-70b grows, its requests wait and some time out; "
            "the other models are not affected"
        )

    def test_slows_its_model_and_no_other(self, week: Workload, hours: list[dict[str, Any]]) -> None:
        incident = week.incident
        assert incident is not None
        span = incident.end - incident.start
        for model in MODELS:
            within, before = (
                statistics.median(
                    one["response_time_ms"] for one in of(hours, model.name, start, start + span) if one["success"]
                )
                for start in (incident.start, incident.start - span)
            )
            assert (within / before > 1.5) == (model.name == incident.model), (model.name, within, before)

    def test_makes_its_model_time_out(self, week: Workload, hours: list[dict[str, Any]]) -> None:
        incident = week.incident
        assert incident is not None
        timeouts = [one for one in hours if one.get("status_code") == 504 and one["model_name"] == incident.model]
        assert len(timeouts) >= 3
        assert all(incident.start.timestamp() <= one["timestamp"] <= incident.end.timestamp() for one in timeouts)

    def test_fills_the_queue_and_the_gpus(self, week: Workload) -> None:
        assert week.incident is not None
        middle = (week.incident.start + (week.incident.end - week.incident.start) / 2).timestamp()
        quiet = middle - HOUR

        def pending(at: float) -> int:
            return sum(one["pending"] for one in week.queues(at, at + 10) if one["model_name"] == "llama-3-70b")

        def busy(at: float) -> float:
            events = validate_many(Kind.SYSTEM, week.system(at, at + 10), END, make_ingest_policy()).events
            return statistics.mean(
                gpu.utilization_percent or 0
                for event in events
                if isinstance(event, SystemEvent)
                for gpu in event.gpu_metrics
            )

        assert pending(middle) > 20 > 5 > pending(quiet) / 2
        assert busy(middle) > busy(quiet) + 10
