"""The ticks: claimed once, counted when late, and told by readiness."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.cache import caches

from llmmonitor.infra.telemetry import telemetry
from metrics import readiness, tasks
from metrics.ingest.recorder import close_recorder
from metrics.live import ring, ticker
from metrics.models import SystemMetrics

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
NOW = datetime(2026, 3, 1, 12, 0, 0, 150_000, tzinfo=UTC)


@pytest.fixture(autouse=True)
def empty_ring() -> Iterator[None]:
    caches["ring"].clear()
    yield
    caches["ring"].clear()


class ABroadcast:
    def test_sends_the_tick_of_its_second_once(self) -> None:
        assert ticker.broadcast(NOW)
        assert not ticker.broadcast(NOW + timedelta(milliseconds=500))
        assert ticker.broadcast(NOW + timedelta(seconds=1))
        assert ring.latest_seq() == int(NOW.timestamp()) + 1


class TheNewestTick:
    def test_is_the_one_that_was_sent(self) -> None:
        ticker.broadcast(NOW)
        assert ticker.newest_tick(NOW + timedelta(seconds=2)) == ring.latest()

    def test_is_made_anew_when_none_was_sent_lately(self) -> None:
        assert ticker.newest_tick(NOW)["seq"] == int(NOW.timestamp())
        ticker.broadcast(NOW)
        assert ticker.newest_tick(NOW + timedelta(seconds=10))["seq"] == int(NOW.timestamp()) + 10


class ASampleTask:
    def test_stores_this_machine(self) -> None:
        try:
            tasks.record_sample(NOW)
        finally:
            close_recorder(10)
        row = SystemMetrics.objects.get()
        assert row.timestamp == NOW
        assert 0 < row.memory_percent <= 100
        assert row.monitor_memory_mb > 10

    def test_stores_the_rest_of_a_sample_with_an_odd_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sample = {
            "host": "h",
            "cpu_percent": 10.0,
            "disk_percent": -1,
            "gpu_metrics": [{"gpu_id": 0, "fan_percent": -1}],
        }
        monkeypatch.setattr(tasks, "_sampler", lambda pid: SimpleNamespace(sample=lambda: sample))
        try:
            tasks.record_sample(NOW)
        finally:
            close_recorder(10)
        row = SystemMetrics.objects.get()
        assert (row.cpu_percent, row.disk_percent) == (10.0, None)

    def test_samples_a_host_once_a_second_whoever_runs_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sampled: list[tuple[str, datetime]] = []
        monkeypatch.setattr(tasks, "record_sample", lambda at: sampled.append((platform.node(), at)))
        later = NOW + timedelta(seconds=1)
        for node, at in [
            ("this one", NOW),
            ("this one", NOW + timedelta(milliseconds=500)),
            ("another", NOW),
            ("this one", later),
            ("another", NOW),
        ]:
            monkeypatch.setattr(platform, "node", lambda node=node: node)
            monkeypatch.setattr(tasks, "_now", lambda at=at: at)
            tasks.sample()
        assert sampled == [("this one", NOW), ("another", NOW), ("this one", later)]

    def test_leaves_the_tick_of_its_second_to_the_broadcast(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks, "record_sample", lambda at: None)
        monkeypatch.setattr(tasks, "_now", lambda: NOW)
        tasks.sample()
        assert ticker.broadcast(NOW)


class ATickThatIsLate:
    def test_is_dropped_by_the_worker_and_counted(self) -> None:
        from celery.exceptions import TaskRevokedError
        from celery.worker.request import Request
        from kombu.message import Message

        from llmmonitor.celery import app

        headers = {
            "id": "1",
            "task": tasks.broadcast.name,
            "expires": (datetime.now(UTC) - timedelta(seconds=1)).isoformat(),
            "lang": "py",
        }
        body = ([], {}, {})
        message = Message(body=body, headers=headers, content_type="application/json", delivery_info={})
        request = Request(message, app=app, task=app.tasks[tasks.broadcast.name], decoded=True)
        with pytest.raises(TaskRevokedError):
            request.execute_using_pool(None)
        if settings.LLMMONITOR.redis_url:  # else it publishes every two seconds
            telemetry.publish()
        assert ring.latest_seq() is None
        assert "1 ticks were skipped because they were late" in ticker.state(datetime.now(UTC))


class TheReadiness:
    def test_says_how_old_the_newest_tick_is(self) -> None:
        assert "no tick yet" in readiness.check()["parts"]["ticks"]["detail"]
        ticker.broadcast(datetime.now(UTC))
        assert "s old" in readiness.check()["parts"]["ticks"]["detail"]

    def test_is_not_lost_when_only_the_ticks_are_missing(self) -> None:
        assert readiness.check()["parts"]["ticks"]["status"] == "ok"
