"""An open page shows late events in the next tick: what it shows equals what is stored."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from metrics import queries
from metrics.aggregation import MAX_COUNTER_GAP
from metrics.events import ErrorEvent, Event, GPUSample, QueueEvent, SystemEvent
from metrics.live.subscriptions import MAX_CATCH_UP_POINTS, compute_view, parse
from metrics.models import InferenceRollup, SystemMetrics
from metrics.queries import Window
from metrics.queries.read import appended_rows
from metrics.queries.read.appended_rows import AppendedRows
from metrics.store.compaction import merge_leftovers
from metrics.store.upkeep.deleting import Steps
from tests.metrics.queries.known_events import ALPHA, CHATTY, NOW, SLOW, request, write

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW_S = int(NOW.timestamp())
HOUR, DAY = 3_600, 86_400
SERIES: list[dict[str, Any]] = [
    {"metric": "inference.response_time_ms", "stat": "p95"},
    {"metric": "inference.requests", "stat": "rate"},
    {"metric": "inference.completion_tokens", "stat": "rate", "group_by": "model"},
    {"metric": "inference.error_rate_percent", "stat": "avg"},
    {"metric": "error.count", "stat": "sum"},
    {"metric": "queue.pending", "stat": "avg"},
    {"metric": "system.cpu_percent", "stat": "max", "group_by": "host"},
    {"metric": "system.network_bytes_sent", "stat": "rate"},
]
LATE_BY = (6, 9, 33, 59, 61, 119, 400, 2_000, 2 * HOUR + 600, 11 * HOUR, 23 * HOUR, 47 * HOUR, 3 * DAY + HOUR, 20 * DAY)


def events_of(at: datetime, number: int, model: str = CHATTY) -> list[Event]:
    """Return a request, an error and, if they are still accepted, samples of a queue and a host at this time."""
    events: list[Event] = [
        request(at, number, model_name=model, response_time_ms=100.0 + number, completion_tokens=number),
        error(at, number),
    ]
    if (NOW - at).total_seconds() < DAY - 600:
        events.append(QueueEvent(timestamp=at, source="gateway", model_name=model, pending=number))
        sent = int(at.timestamp()) - NOW_S + 10**9
        events.append(SystemEvent(timestamp=at, host=ALPHA, cpu_percent=float(number), network_bytes_sent=sent))
    return events


def error(at: datetime, number: int) -> ErrorEvent:
    return ErrorEvent(timestamp=at, request_id=f"e-{number}", model_name=CHATTY, error_type="ServerError")


class OpenPage:
    """A page with a window of 100 steps: it reads the history once, then it follows the ticks as the scripts do."""

    def __init__(self, step: int, at: datetime) -> None:
        self._subscription = parse({"step": step, "series": SERIES}, at)
        self._points: dict[tuple[Any, ...], dict[int, Any]] = {}
        self._appended = AppendedRows()
        self._seq: int | None = None
        self.rereads = 0
        self._keep(self._stored(at))
        self.tick(at)

    def _stored(self, at: datetime, start_s: int = 0) -> Any:
        step = self._subscription.step
        end_s = int(at.timestamp()) + 1
        window = Window.of_seconds(max(start_s, end_s - 100 * step), end_s)
        return queries.series(self._subscription.specs, window, self._subscription.filters, step=step, now=at).as_dict()

    def _keep(self, result: Any) -> None:
        for line in result["series"]:
            key = (line["metric"], line["stat"], *line["labels"].values())
            self._points.setdefault(key, {}).update(map(tuple, line["points"]))

    def tick(self, at: datetime) -> int:
        """Add what a tick has. Return the number of buckets of each series."""
        seq = int(at.timestamp())
        self._appended.look(at)
        changed_s = self._appended.oldest_since(seq - 1 if self._seq is None else self._seq)
        tick = compute_view(self._subscription, at, self._seq, changed_s)
        self._seq = seq
        self._keep({"series": tick["buckets"]})
        if "reread_from" in tick:
            self.rereads += 1
            self._keep(self._stored(at, int(datetime.fromisoformat(tick["reread_from"]).timestamp())))
        return len(tick["buckets"][0]["points"])

    def check(self, at: datetime) -> None:
        """Check that the page shows what a reload would show."""
        for line in self._stored(at)["series"]:
            shown = self._points.get((line["metric"], line["stat"], *line["labels"].values()), {})
            assert [[x, shown.get(x)] for x, _ in line["points"]] == line["points"], (line["metric"], at)


class AnOpenPage:
    @pytest.mark.parametrize("step", [1, 10, 60, 600, HOUR, 3 * HOUR])
    def test_shows_what_is_stored_after_each_late_event(self, db: Any, step: int) -> None:
        write([event for n in range(90) for event in events_of(NOW - timedelta(seconds=90 - n), n)])
        page = OpenPage(step, NOW)

        for number, late_by in enumerate(LATE_BY, 1):
            at = NOW + timedelta(seconds=number)
            model = SLOW if number % 3 == 0 else CHATTY
            late = at - timedelta(seconds=late_by, milliseconds=number)  # at another time
            write(events_of(late, 1_000 + number, model), at)
            page.tick(at)
            page.check(at)

        assert page.rereads >= sum(late_by > (MAX_CATCH_UP_POINTS + 1) * step for late_by in LATE_BY)

    def test_shows_that_an_earlier_error_belongs_to_a_request_that_fails_now(self, db: Any) -> None:
        page = OpenPage(1, NOW)
        write([ErrorEvent(timestamp=NOW, request_id="r-1", model_name=CHATTY, error_type="ServerError")])
        page.tick(NOW + timedelta(seconds=1))

        at = NOW + timedelta(seconds=20)
        page.tick(at - timedelta(seconds=1))
        write([request(at, 1, response_time_ms=30_000.0, status_code=500, success=False)], at)
        page.tick(at)

        page.check(at)
        assert page.rereads == 0

    def test_reads_again_where_so_old_a_step_cannot_be_read(self, db: Any) -> None:
        subscription = parse({"step": 150, "series": SERIES[:1]}, NOW)  # 60 of these are older than one-second rollups

        tick = compute_view(subscription, NOW, NOW_S - 1, NOW_S - 8_600)

        assert len(tick["buckets"][0]["points"]) == 2
        assert datetime.fromisoformat(tick["reread_from"]).timestamp() == (NOW_S - 8_600) // 150 * 150

    def test_gets_few_buckets_while_nothing_is_late(self, db: Any) -> None:
        page = OpenPage(1, NOW)

        counts = []
        for second in range(1, 5):
            at = NOW + timedelta(seconds=second)
            write(events_of(at, second), at)
            counts.append(page.tick(at))

        assert max(counts) <= 7
        assert page.rereads == 0


class TheAppendedRows:
    @pytest.fixture
    def rows(self, db: Any) -> AppendedRows:
        """Looks that began with an older request."""
        write([request(NOW - timedelta(seconds=500), 1)])
        rows = AppendedRows()
        rows.look(NOW)
        return rows

    def oldest_at(self, rows: AppendedRows, second: int) -> int | None:
        """Return how many seconds ago the oldest row is that the look at this second saw."""
        rows.look(NOW + timedelta(seconds=second))
        oldest = rows.oldest_since(NOW_S + second - 1)
        return None if oldest is None else NOW_S - oldest

    def test_before_the_first_look_do_not_count(self, rows: AppendedRows) -> None:
        assert rows.oldest_since(0) is None
        assert self.oldest_at(rows, 1) is None

    @pytest.mark.parametrize("late_by", [0, 7, 2 * HOUR])
    def test_of_a_request_are_as_old_as_its_second(self, rows: AppendedRows, late_by: int) -> None:
        write([request(NOW - timedelta(seconds=late_by), 2)])

        assert self.oldest_at(rows, 1) == late_by

    @pytest.mark.parametrize(("late_by", "bucket"), [(2 * HOUR + 1_000, 60), (10 * DAY, HOUR)])
    def test_of_an_old_request_are_as_old_as_its_bucket(self, rows: AppendedRows, late_by: int, bucket: int) -> None:
        write([request(NOW - timedelta(seconds=late_by), 2)])

        assert self.oldest_at(rows, 1) == NOW_S - (NOW_S - late_by) // bucket * bucket

    def test_of_samples_and_errors_are_as_old_as_their_second(self, rows: AppendedRows) -> None:
        at = NOW - timedelta(seconds=45)
        late: list[Event] = [
            error(at, 1),
            QueueEvent(timestamp=at, source="gateway", model_name=CHATTY, pending=1),
            SystemEvent(timestamp=at, host=ALPHA, cpu_percent=1.0),
        ]
        for second, event in enumerate(late, 1):
            write([event])

            assert self.oldest_at(rows, 3 * second) == 45
            assert self.oldest_at(rows, 3 * second + 2) in (None, 45)

    def test_count_when_a_late_sample_adds_fields_to_a_stored_one(self, rows: AppendedRows) -> None:
        at = NOW - timedelta(seconds=45)
        first = SystemEvent(timestamp=at, host=ALPHA, cpu_percent=1.0, gpu_metrics=(GPUSample(gpu_id="0"),))
        second = SystemEvent(
            timestamp=at, host=ALPHA, memory_percent=2.0, gpu_metrics=(GPUSample(gpu_id="0", temperature=60.0),)
        )
        write([first])
        assert self.oldest_at(rows, 1) == 45
        assert self.oldest_at(rows, 5) in (None, 45)
        assert self.oldest_at(rows, 10) is None

        write([second])

        assert self.oldest_at(rows, 11) == 45
        stored = SystemMetrics.objects.get(timestamp=at)
        assert (stored.cpu_percent, stored.memory_percent) == (1.0, 2.0)

    @pytest.mark.parametrize(
        ("new", "oldest_at"),
        [
            (("network_bytes_sent", 0), 70),  # the growth since the sample of the same counter changes
            (("disk_read_bytes", 0), 30),
            (("network_bytes_recv", 0), 0),  # the first sample of a counter has no growth
            (("cpu_percent", 0), 0),
            (("network_bytes_sent", 90), 90 + MAX_COUNTER_GAP),  # an earlier sample may change it, too
        ],
    )
    def test_of_a_counter_are_as_old_as_its_sample_before(self, db: Any, new: tuple[str, int], oldest_at: int) -> None:
        def sample(field: str, seconds_ago: int) -> SystemEvent:
            at = NOW - timedelta(seconds=seconds_ago)
            return SystemEvent.model_validate({"timestamp": at, "host": ALPHA, field: 50})

        write([sample("network_bytes_sent", 70)])
        rows = AppendedRows()
        rows.look(NOW - timedelta(seconds=40))
        write([sample("disk_read_bytes", 30)])  # by another sender
        rows.look(NOW - timedelta(seconds=20))

        write([sample(*new)])

        assert self.oldest_at(rows, 1) == oldest_at
        assert self.oldest_at(rows, 10) is None

    def test_are_kept_for_a_page_whose_tick_is_late(self, rows: AppendedRows) -> None:
        write([request(NOW - timedelta(seconds=45), 2)])
        rows.look(NOW + timedelta(seconds=1))
        for second in range(5, 30):
            rows.look(NOW + timedelta(seconds=second))

        assert rows.oldest_since(NOW_S) == NOW_S - 45
        assert rows.oldest_since(NOW_S + 28) is None

    def test_do_not_count_after_a_pause(self, rows: AppendedRows) -> None:
        write([request(NOW - timedelta(seconds=45), 2)])
        later = NOW + timedelta(seconds=appended_rows.LONGEST_PAUSE_SECONDS + 1)
        rows.look(later)

        assert rows.oldest_since(0) is None

    def test_do_not_count_when_the_clock_was_set_back(self, rows: AppendedRows) -> None:
        write([request(NOW - timedelta(seconds=45), 2)])
        assert self.oldest_at(rows, 1) == 45
        assert self.oldest_at(rows, -1_000) is None

    def test_of_recent_buckets_may_be_merged(self, rows: AppendedRows) -> None:
        for number in range(5):
            write([request(NOW - timedelta(seconds=3), 10 + number)])
        assert self.oldest_at(rows, 1) == 3

        assert merge_leftovers(NOW + timedelta(seconds=8), Steps(time.monotonic() + 60))

        assert self.oldest_at(rows, 9) == 3  # the sum of the rows is a new row

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
    def test_that_were_committed_after_rows_with_higher_ids_count(self, rows: AppendedRows) -> None:
        write([request(NOW - timedelta(seconds=45), 2), request(NOW, 3)])
        held_back = InferenceRollup.objects.get(resolution=1, bucket=NOW_S - 45)
        values = {field.attname: getattr(held_back, field.attname) for field in InferenceRollup._meta.fields}
        held_back.delete()
        assert self.oldest_at(rows, 1) == 0

        InferenceRollup.objects.create(**values)

        assert self.oldest_at(rows, 2) == 45
