"""When beat sends tasks, and what it logs if it cannot."""

from __future__ import annotations

import math
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from celery.beat import ScheduleEntry
from hypothesis import given
from hypothesis import strategies as st

from llmmonitor import celery_beat
from llmmonitor.celery import make_app
from llmmonitor.celery_beat import MARGIN_SECONDS, MemoryScheduler, WallClock
from llmmonitor.infra import throttled_log
from tests import services

times = st.floats(1_800_000_000, 1_800_000_100)


def clock(at: float, *args: Any, **kwargs: Any) -> WallClock:
    """A schedule whose clock stands at that unix time."""
    return WallClock(*args, **kwargs, nowfun=lambda: datetime.fromtimestamp(at, UTC), app=Celery())


class ASecondOfTheClock:
    @given(last=times, wait=st.floats(0, 3))
    def test_is_due_once_it_has_begun_since_the_last_time(self, last: float, wait: float) -> None:
        due, _ = clock(last + wait, 1).is_due(datetime.fromtimestamp(last, UTC))

        seconds = [math.floor(round(at, 6)) for at in (last, last + wait)]  # datetimes count in microseconds
        assert due == (seconds[1] > seconds[0])

    @given(at=times)
    def test_is_waited_for_until_just_after_it_begins(self, at: float) -> None:
        _, wait = clock(at, 1).is_due(datetime.fromtimestamp(at, UTC))

        assert MARGIN_SECONDS <= wait <= 1 + MARGIN_SECONDS + 1e-6
        past_the_second = (at + wait - MARGIN_SECONDS) % 1
        assert min(past_the_second, 1 - past_the_second) < 1e-5

    def test_may_be_taken_some_time_after_it_begins(self) -> None:
        last = datetime.fromtimestamp(1_800_000_000.2, UTC)

        assert not clock(1_800_000_001.1, 1, offset=0.15).is_due(last)[0]
        assert clock(1_800_000_001.2, 1, offset=0.15).is_due(last)[0]

    def test_is_the_same_after_it_went_to_another_process(self) -> None:
        one = WallClock(1, offset=0.15)

        assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301 (our own)
        assert one != WallClock(1)


class ATaskThatCannotBeSent:
    def test_is_logged_once_a_minute_and_stops_nothing(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
        broker = f"redis://127.0.0.1:{services.free_port()}/0"  # where nothing listens
        app = Celery(broker=broker)
        app.conf.task_publish_retry = False
        app.conf.broker_transport_options = {"max_retries": 0}
        scheduler = MemoryScheduler(app, lazy=True)
        entry = ScheduleEntry("sample", "metrics.tasks.sample", schedule=WallClock(1), app=app)

        for _ in range(3):
            scheduler.apply_entry(entry)

        assert [record.getMessage()[:21] for record in caplog.records] == ["sending sample failed"]


class AClockThatIsSetBack:
    def test_does_not_stop_the_schedule(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        app = make_app()
        at = 1_800_000_000.5

        def set_clock(seconds: float) -> None:
            nonlocal at
            at += seconds
            monkeypatch.setattr(app, "now", lambda: datetime.fromtimestamp(at, UTC))

        set_clock(0)
        monkeypatch.setattr(celery_beat.time, "time", lambda: at)
        schedule = {"each second": {"task": "a", "schedule": WallClock(1, app=app)}, "each minute": {"task": "b"}}
        schedule["each minute"]["schedule"] = 60.0
        app.conf.beat_schedule = schedule
        scheduler = MemoryScheduler(app)
        sent: list[str] = []
        monkeypatch.setattr(scheduler, "apply_async", lambda entry, **options: sent.append(entry.task))

        def ticks(seconds: int) -> list[str]:
            sent.clear()
            for _ in range(seconds):
                set_clock(1)
                for _ in range(3):
                    scheduler.tick()
            return sorted(sent)

        assert ticks(60) == ["a"] * 60 + ["b"]
        set_clock(-300)
        assert ticks(61) == ["a"] * 60 + ["b"]  # in the first second, the schedule starts again
        assert [record.getMessage() for record in caplog.records] == [
            "the clock was set back by 299.0 s; the schedule starts again"
        ]


class TheSchedule:
    def test_names_tasks_that_the_app_has_in_a_queue(self) -> None:
        app = make_app()
        app.loader.import_default_modules()

        for entry in app.conf.beat_schedule.values():
            assert entry["task"] in app.tasks
            assert entry["task"] in app.conf.task_routes
