"""What the monitor did since its start, as rows of tables."""

from __future__ import annotations

import pytest

from dashboard.system.work import MAX_REASONS, START_SECONDS, TASKS, late_tasks, refused_rows, response_rows, task_rows
from llmmonitor import celery_settings
from llmmonitor.infra import refusals
from llmmonitor.infra.telemetry import Telemetry, Totals


@pytest.fixture
def work() -> Telemetry:
    return Telemetry()


class TheRefused:
    def test_are_counted_by_reason_the_most_frequent_first(self, work: Telemetry) -> None:
        work.count("rejected_events", "timestamp", 2)
        work.count("rejected_events", "event", 1)
        work.count("refused_posts", "queue_full", 5)
        work.count("refused_posts", "a_new_code", 3)

        rows = [(row.reason, str(row.count), row.what) for row in refused_rows(work.totals(), 100.0)]

        assert rows == [
            ("queue full (429)", "5", "posts"),
            ("a_new_code", "3", "posts"),
            ("invalid timestamp", "2", "events"),
            ("invalid event", "1", "events"),
        ]

    def test_of_many_reasons_are_counted_together(self, work: Telemetry) -> None:
        for number in range(MAX_REASONS + 3):
            work.count("rejected_events", f"field_{number:02}")

        rows = refused_rows(work.totals(), 100.0)

        assert len(rows) == MAX_REASONS + 1
        assert (rows[-1].reason, str(rows[-1].count)) == ("other reasons", "3")

    def test_end_with_the_duplicates(self, work: Telemetry) -> None:
        work.count("events", "duplicate", 1_204)

        [row] = refused_rows(work.totals(), 100.0)
        assert (row.reason, str(row.count)) == ("sent again, stored once", "1,204")

    def test_have_their_main_sender_and_the_time_of_the_last(
        self, work: Telemetry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(refusals, "telemetry", work)
        monkeypatch.setattr(refusals.time, "time", lambda: 97.0)
        refusals.count("refused_posts", "queue_full", 2, sender="batch-eval")
        refusals.count("events", "duplicate", sender="chat-api")
        work.count("rejected_events", "timestamp")

        rows = [(row.sender, row.last.replace("\u00a0", " ")) for row in refused_rows(work.totals(), 100.0)]

        assert rows == [("batch-eval", "3 s ago"), ("—", "—"), ("chat-api", "3 s ago")]

    def test_are_none_at_the_start(self) -> None:
        assert refused_rows(Totals(), 100.0) == []


class TheTasks:
    def test_are_those_of_the_schedule(self) -> None:
        schedule = celery_settings.beat_schedule.values()

        assert {entry["task"]: getattr(entry["schedule"], "every", entry["schedule"]) for entry in schedule} == {
            name: task.every_seconds for name, task in TASKS.items()
        }

    def test_have_times_and_lateness(self, work: Telemetry) -> None:
        work.observe("task", 0.1, "metrics.tasks.sample")
        work.observe("task_lateness", 0.2, "metrics.tasks.sample")
        work.count("tasks_failed", "metrics.tasks.sample")
        work.note("task_ended_at", 97.0, "metrics.tasks.sample")

        row = task_rows(work.totals(), 100.0)[0]

        assert [one.every.replace("\u00a0", " ") for one in task_rows(work.totals(), 100.0)][2:6] == [
            "5 s",
            "1 s",
            "10 s",
            "1 m",
        ]
        assert (row.title, row.last, row.late) == ("sample", "3\u00a0s ago", False)
        assert (str(row.mean), str(row.failed)) == ("100\u00a0ms", "1")

    def test_are_late_after_three_intervals(self, work: Telemetry) -> None:
        work.note("task_ended_at", 100.0, "metrics.tasks.sample")
        work.note("task_ended_at", 100.0, "metrics.tasks.maintain")

        assert late_tasks(work.totals(), 107.0) == []
        assert late_tasks(work.totals(), 109.0) == ["sample"]
        assert late_tasks(work.totals(), 286.0) == ["sample", "upkeep"]

    def test_that_never_ran_are_late_after_three_intervals_since_the_start_of_a_worker(self) -> None:
        totals = Totals(began_at=100.0)
        every_second = ["sample", "tick", "messages"]

        assert late_tasks(totals, 100.0 + START_SECONDS + 7.0) == []
        assert late_tasks(totals, 100.0 + START_SECONDS + 9.0) == every_second
        assert late_tasks(totals, 100.0 + START_SECONDS + 186.0) == [task.title for task in TASKS.values()]

    def test_are_not_late_while_the_start_is_not_known(self) -> None:
        assert late_tasks(Totals(), 1_000.0) == []


class TheResponses:
    def test_of_a_page_its_data_and_its_figures_are_one_row(self, work: Telemetry) -> None:
        for view in ("latency-page", "latency-data", "latency-figures"):
            work.observe("response", 0.1, view)
        work.observe("response", 0.05, "metrics-history")

        rows = response_rows(work.totals(), {"latency": "Latency"})

        assert [(row.title, str(row.count)) for row in rows] == [("Latency", "3"), ("metrics history", "1")]
        assert [row.width for row in rows] == [100.0, pytest.approx(50, abs=10)]
