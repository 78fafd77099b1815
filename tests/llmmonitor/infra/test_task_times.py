"""What is known of the periodic tasks: that they ran, and that they failed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.urls import reverse

from dashboard.system.work import TASKS, task_rows
from llmmonitor.celery import app
from llmmonitor.infra.telemetry import telemetry
from llmmonitor.infra.throttled_log import LogThrottle
from metrics.events import Event
from metrics.ingest.recorder import Recorder
from metrics.live import ring
from metrics.store.commit_result import CommitResult
from metrics.store.unavailable import StoreUnavailable
from tests.metrics.exposition.scraped import Scrape

# task -> what it calls, and its arguments
CALLS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "metrics.tasks.sample": ("metrics.tasks.record_sample", ()),
    "metrics.tasks.broadcast": ("metrics.live.ticker.build_tick", ()),
    "metrics.tasks.maintain": ("metrics.archive.writing.DirectoryArchive.from_settings", ()),
    "alerts.tasks.evaluate_alerts": ("alerts.tasks.evaluate", ()),
    "alerts.tasks.find_messages": ("alerts.tasks.due_channels", ()),
    "alerts.tasks.watch_alerting": ("alerts.tasks.alerting_health", ()),
    "alerts.tasks.send_messages": ("alerts.tasks.deliver", ("c1",)),
    "alerts.tasks.send_heartbeat": ("alerts.delivery.heartbeats.send", ("c1",)),
    "llmmonitor.backup.tasks.back_up": ("llmmonitor.backup.schedule.is_due", ()),
}


@pytest.fixture(autouse=True)
def _own_counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("llmmonitor.infra.throttled_log._throttle", LogThrottle())
    monkeypatch.setattr(ring, "claim", lambda *of: True)
    app.loader.import_default_modules()
    telemetry._reset()
    yield
    telemetry._reset()


def run(name: str, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Run a task as a worker does, while what it calls fails."""
    called, arguments = CALLS[name]

    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(called, fail)
    app.tasks[name].apply(arguments)


@pytest.mark.django_db
class ASampleThatWaitsForItsCommit:
    def test_is_logged_in_a_sentence_without_a_traceback(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        begun, ends = threading.Event(), threading.Event()

        class Locked:
            """A store whose write lock another program holds."""

            def commit(self, events: Sequence[Event]) -> CommitResult:
                begun.set()
                ends.wait()
                return CommitResult(len(events), 0)

            def compact(self) -> bool:
                return False

        recorder = Recorder(store=Locked)
        monkeypatch.setattr("metrics.ingest.recorder.get_recorder", lambda: recorder)
        monkeypatch.setattr("metrics.tasks.RECORD_SECONDS", 0.5)
        app.tasks["metrics.tasks.sample"].apply()
        ends.set()
        recorder.close()

        assert begun.is_set()
        [record] = [record for record in caplog.records if record.name == "metrics.tasks"]
        assert record.getMessage() == (
            "sample failed: TimeoutError: The commit has not ended after 0.5 s. Another program holds the store's "
            "write lock, or the database or its disk is slow."
        )
        assert record.exc_info is None
        assert telemetry.totals().by_label("tasks_failed") == {"metrics.tasks.sample": 1}


@pytest.mark.django_db
class ATaskThatFails:
    @pytest.mark.parametrize("name", CALLS)
    def test_is_counted_and_has_ended(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        run(name, monkeypatch, OperationalError("database is locked"))

        totals = telemetry.totals()
        assert totals.by_label("tasks_failed") == {name: 1}
        assert ("task_ended_at", name) in totals.latest
        assert totals.duration("task", name).count == 1

    def test_is_counted_on_the_system_page_and_in_the_metrics(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for _ in range(2):
            run("metrics.tasks.maintain", monkeypatch, OperationalError("database is locked"))

        failed = {row.title: str(row.failed) for row in task_rows(telemetry.totals(), datetime.now(UTC).timestamp())}
        assert failed == {task.title: "2" if task.title == "upkeep" else "0" for task in TASKS.values()}
        visitor = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
        scrape = Scrape(visitor.get(reverse("prometheus")).content.decode())
        assert scrape.sum("llmmonitor_tasks_failed_total", task="metrics.tasks.maintain") == 2

    @pytest.mark.parametrize("name", CALLS)
    def test_is_logged_once_a_minute(
        self, name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                run(name, monkeypatch, OperationalError("database is locked"))

        [line] = caplog.messages
        assert line.endswith("failed: OperationalError: database is locked")
        assert ("channel c1" in line) == (CALLS[name][1] == ("c1",))

    def test_because_the_store_refuses_is_logged_by_the_recorder_alone(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        run("metrics.tasks.sample", monkeypatch, StoreUnavailable("disk_full"))

        assert telemetry.totals().count("tasks_failed", "metrics.tasks.sample") == 1
        assert caplog.messages == []


class TheTasks:
    def test_are_all_above(self) -> None:
        assert {name for name in app.tasks if not name.startswith("celery.")} == CALLS.keys()
