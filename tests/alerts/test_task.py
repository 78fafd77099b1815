"""The task that evaluates the rules every five seconds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace

import pytest

from alerts import tasks
from llmmonitor.infra.throttled_log import LogThrottle
from metrics.live import ring

pytestmark = pytest.mark.django_db


@pytest.fixture
def evaluating(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Replaces what an evaluation does. Each call of the task is that of another five seconds."""
    monkeypatch.setattr(ring, "claim", lambda *of: True)

    def replace(does: Callable[[], None]) -> None:
        def evaluate(at: datetime) -> list[object]:
            does()
            return []

        monkeypatch.setattr(tasks, "evaluate", evaluate)

    return replace


class AnEvaluation:
    @pytest.mark.parametrize(("now", "second"), [(1_000.9, 995), (1_001.4, 1_000), (1_005.99, 1_000), (1_006, 1_005)])
    def test_is_of_the_newest_multiple_of_five_seconds_whose_second_has_ended(
        self, now: float, second: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        times: list[float] = []
        monkeypatch.setattr(ring, "claim", lambda *of: True)
        monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: now, time=lambda: now))
        monkeypatch.setattr(tasks, "evaluate", lambda at: times.append(at.timestamp()))

        tasks.evaluate_alerts()

        assert times == [second]

    def test_is_skipped_while_another_runs(self, evaluating: Callable[[Callable[[], None]], None]) -> None:
        running = []

        def does() -> None:
            running.append("begin")
            if len(running) == 1:
                tasks.evaluate_alerts()

        evaluating(does)

        tasks.evaluate_alerts()
        assert len(running) == 1

        tasks.evaluate_alerts()
        assert len(running) == 2

    def test_runs_after_one_that_failed(self, evaluating: Callable[[Callable[[], None]], None]) -> None:
        outcomes = iter([OSError("down"), None])
        done = []

        def does() -> None:
            if error := next(outcomes):
                raise error
            done.append(True)

        evaluating(does)

        tasks.evaluate_alerts()
        tasks.evaluate_alerts()

        assert done == [True]

    def test_is_logged_once_in_a_minute_if_it_takes_longer_than_five_seconds(
        self,
        evaluating: Callable[[Callable[[], None]], None],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        now = [1_000.0]

        def does() -> None:
            now[0] += 6

        evaluating(does)
        monkeypatch.setattr(tasks, "time", SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0]))
        monkeypatch.setattr(tasks, "_slow", LogThrottle())

        with caplog.at_level(logging.WARNING, logger="alerts.tasks"):
            for _ in range(3):
                tasks.evaluate_alerts()

        assert [record.getMessage() for record in caplog.records] == [
            "Evaluating the alert rules took 6.0 s, more than 5 s: use fewer rules, or shorter windows."
        ]
