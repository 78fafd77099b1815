"""Evaluations at other times than expected: clocks that jump, pauses, and data that arrive late."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertChange, AlertRule
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from metrics.events import SystemEvent
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)
BACK, FORWARD = -600, 7_200  # ten minutes, two hours


def at(second: int) -> datetime:
    return NOW + timedelta(seconds=second)


@pytest.fixture(autouse=True)
def rule(db: Any) -> None:
    """A rule that fires for a host above 90 % for 30 s."""
    AlertRule.objects.all().delete()
    rule = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 90}
    alert_manager.add_alert_rule(check_rule(rule | {"for_seconds": 30}))


def send(seconds: range, cpu_percent: float = 95) -> None:
    samples = [SystemEvent(timestamp=at(second), host="h", cpu_percent=cpu_percent) for second in seconds]
    Store(clock=lambda: at(FORWARD)).commit(samples)


def follow(*seconds: int) -> list[tuple[int, str]]:
    """Evaluate at these seconds. Return the changes: (second, state)."""
    return [(second, str(change.to)) for second in seconds for change in evaluate(at(second))]


class WhenTheClockIsSetBack:
    def test_a_firing_alert_continues(self) -> None:
        send(range(BACK - 60, 60, 5))
        assert follow(0, 30) == [(0, "pending"), (30, "firing")]

        assert follow(BACK, BACK + 5, BACK + 10) == []

        assert Alert.objects.get().fired_at == at(30)
        assert AlertChange.objects.count() == 2

    def test_an_alert_does_not_end_before_it_fired(self) -> None:
        send(range(-60, 60, 5))
        follow(0, 30)

        assert follow(BACK) == [(BACK, "resolved")]

        assert Alert.objects.get().ended_at == at(30)

    def test_a_pending_alert_begins_to_wait_again(self) -> None:
        send(range(BACK - 60, 60, 5))

        assert follow(0, 25, BACK, BACK + 25) == [(0, "pending")]
        assert follow(BACK + 30) == [(BACK + 30, "firing")]

    def test_new_alerts_fire_without_waiting_for_the_time_before(self) -> None:
        send(range(BACK - 60, BACK + 60, 5))
        assert follow(0, 5) == []

        assert follow(BACK, BACK + 30) == [(BACK, "pending"), (BACK + 30, "firing")]


class WhenTheClockIsSetForward:
    def test_a_firing_alert_continues_with_its_data(self) -> None:
        send(range(-60, 60, 5))
        send(range(FORWARD - 60, FORWARD + 60, 5))
        follow(0, 30)

        assert follow(FORWARD, FORWARD + 30) == []

        assert Alert.objects.get().fired_at == at(30)

    def test_a_firing_alert_without_data_is_resolved_once(self) -> None:
        send(range(-60, 60, 5))
        follow(0, 30)

        assert follow(FORWARD, FORWARD + 5) == [(FORWARD, "resolved")]

    def test_a_pending_alert_does_not_fire_for_the_time_between(self) -> None:
        send(range(-60, 60, 5))
        send(range(FORWARD - 60, FORWARD + 60, 5))

        assert follow(0, FORWARD, FORWARD + 25) == [(0, "pending")]
        assert follow(FORWARD + 30) == [(FORWARD + 30, "firing")]


class WhenThereIsAGap:
    def test_in_the_data_the_alert_is_resolved_and_fires_again_as_another(self) -> None:
        send(range(-60, 60, 5))
        send(range(300, 400, 5))

        changes = follow(*range(0, 400, 5))

        assert [state for _, state in changes] == ["pending", "firing", "resolved", "pending", "firing"]
        assert Alert.objects.count() == 2

    def test_between_evaluations_a_short_one_changes_nothing(self) -> None:
        send(range(-60, 200, 5))

        assert follow(0, 25, 85, 90) == [(0, "pending"), (85, "firing")]


class WhenDataArriveLate:
    def test_the_next_evaluation_reads_them(self) -> None:
        assert follow(0) == []
        send(range(-60, 40, 5))

        assert follow(5, 10, 35) == [(5, "pending"), (35, "firing")]

    def test_older_than_the_window_they_change_nothing(self) -> None:
        send(range(-60, 60, 5), 20)
        assert follow(0) == []
        send(range(-300, -200, 5), 99)

        assert follow(5, 10, 40) == []
