"""The alerting reports how it is doing itself: in the API, as metrics, and by an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts import health, tasks
from alerts.channels.failure import SendFailed
from alerts.channels.writing import change_channel
from alerts.delivery import heartbeats
from alerts.delivery.sending import deliver
from alerts.evaluation.evaluate import evaluate
from alerts.health import alerting_health
from alerts.models import AlertChange, AlertRule, Channel, Delivery, Evaluation
from llmmonitor.access.keys import create_key
from metrics.events import SystemEvent, build_event
from metrics.live import ring
from metrics.store.writing.transaction import Store
from tests.alerts.delivery.receiver import UNAVAILABLE, Clock, Receiver, add_channel, receiver  # noqa: F401 (a fixture)

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 35, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def judge_each_five_seconds(start: float, end: float) -> list[tuple[str, str]]:
    """Sample the health of the alerting, and judge the rules. Return the changes."""
    changes: list[AlertChange] = []
    for second in range(int(start), int(end), 5):
        fields = health.monitor_fields(later(second))
        event = build_event(SystemEvent, {"host": "h", "timestamp": later(second)} | fields, [])
        Store(clock=lambda: later(3600)).commit([event])
        changes += evaluate(later(second))
    return [(change.alert.rule_id, change.to) for change in changes]


def break_a_rule() -> None:
    AlertRule.objects.filter(pk="slow-response-time").update(metric_name="no_such_metric")


def leave_a_message(channel: str, at: datetime = NOW) -> None:
    Delivery.objects.create(channel_id=channel, kind="change", rule_id="r", created_at=at, next_attempt_at=at)


class TheHealth:
    def test_of_a_new_installation_has_no_problem(self) -> None:
        evaluate(NOW)
        reported = alerting_health(later(3))

        assert (reported.problems, reported.lag_seconds, reported.is_late) == (0, 3, False)
        assert reported.duration_ms is not None

    def test_has_the_rules_that_cannot_be_judged_and_why(self) -> None:
        break_a_rule()
        evaluate(NOW)

        reported = alerting_health(NOW)
        assert reported.problems == 1
        assert "must be a metric" in reported.rules_in_error["slow-response-time"]

    def test_has_no_rule_that_only_lacks_data(self) -> None:
        evaluate(NOW)

        assert Evaluation.objects.get().problems
        assert alerting_health(NOW).rules_in_error == {}

    def test_is_late_half_a_minute_after_the_newest_evaluation(self) -> None:
        evaluate(NOW)

        assert not alerting_health(later(30)).is_late
        assert alerting_health(later(31)).is_late

    def test_has_a_channel_whose_messages_wait_for_five_minutes(self, receiver: Receiver) -> None:  # noqa: F811
        add_channel()
        leave_a_message("ops")
        receiver.failure = UNAVAILABLE
        deliver("ops", Clock(NOW))
        evaluate(later(300))
        assert alerting_health(later(300)).problems == 0

        [failing] = alerting_health(later(301)).failing
        assert (failing.id, failing.waiting, failing.reason) == ("ops", 1, "answered 503")

    @pytest.mark.usefixtures("receiver")
    def test_gives_a_channel_that_is_enabled_again_time_to_send(self) -> None:
        now = datetime.now(UTC)
        add_channel(enabled=False)
        leave_a_message("ops", now - timedelta(hours=1))
        change_channel("ops", {"enabled": True})

        assert alerting_health(now + timedelta(seconds=60)).failing == ()
        assert alerting_health(now + timedelta(seconds=400)).failing != ()

    def test_names_no_addresses_of_people(self, receiver: Receiver) -> None:  # noqa: F811
        add_channel()
        leave_a_message("ops", later(-400))
        receiver.failure = SendFailed("mail has refused mara@example.com (450 <mara@example.com>: Greylisted)")
        deliver("ops", Clock(NOW))

        [failing] = alerting_health(NOW).failing
        assert failing.reason == "mail has refused … (450 <…>: Greylisted)"

    def test_has_the_messages_that_were_given_up_for_a_day(self, receiver: Receiver) -> None:  # noqa: F811
        add_channel()
        leave_a_message("ops")
        receiver.failure = SendFailed("answered 404", is_final=True)
        deliver("ops", Clock(NOW))

        assert alerting_health(later(3600)).dead == 1
        assert alerting_health(later(90_000)).dead == 0

    def test_is_in_the_api(self) -> None:
        break_a_rule()
        evaluate(datetime.now(UTC))
        _, token = create_key("reader", ["read"], at=NOW)
        answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/alerts/health")

        assert answer.status_code == 200
        body: dict[str, Any] = answer.json()
        assert (body["problems"], body["rules_in_error"][0]["rule"]) == (1, "slow-response-time")


class TheRuleOnTheAlerting:
    def test_does_not_fire_while_all_is_well(self) -> None:
        assert judge_each_five_seconds(0, 60) == []

    def test_fires_when_a_rule_is_broken(self) -> None:
        judge_each_five_seconds(0, 10)
        break_a_rule()

        assert ("alerting-unhealthy", "firing") in judge_each_five_seconds(10, 40)

    def test_fires_when_a_channel_does_not_accept_messages(self, receiver: Receiver) -> None:  # noqa: F811
        add_channel()
        leave_a_message("ops", later(-400))
        receiver.failure = UNAVAILABLE

        assert ("alerting-unhealthy", "firing") in judge_each_five_seconds(0, 20)

    def test_fires_when_the_evaluation_has_stopped_and_another_worker_does_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(health, "_begin", health._begin - 3600)
        judge_each_five_seconds(0, 10)

        assert ("alerting-unhealthy", "firing") in judge_each_five_seconds(60, 65)

    def test_does_not_fire_after_a_restart_of_the_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        judge_each_five_seconds(0, 10)
        monkeypatch.setattr(health, "_begin", health.time.monotonic())

        assert judge_each_five_seconds(3600, 3620) == []


class AWorkerThatWatches:
    @pytest.fixture(autouse=True)
    def is_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No sample, which the recorder would write in another transaction, and no evaluation by the test before."""
        monkeypatch.setattr(tasks, "sample", lambda: None)
        monkeypatch.setattr(ring, "claim", lambda *of: True)

    def test_judges_the_rules_if_no_other_does(self) -> None:
        evaluate(datetime.now(UTC) - timedelta(seconds=40))
        tasks.watch_alerting()

        assert alerting_health(datetime.now(UTC)).lag_seconds < 30  # type: ignore[operator]

    def test_judges_the_rules_if_no_other_ever_did(self) -> None:
        tasks.watch_alerting()

        assert alerting_health(datetime.now(UTC)).evaluated_at is not None

    def test_leaves_it_to_the_others_if_they_do(self) -> None:
        at = datetime.now(UTC) - timedelta(seconds=10)
        evaluate(at)
        tasks.watch_alerting()

        assert Evaluation.objects.get().at == at


class AHeartbeat:
    @pytest.fixture(autouse=True)
    def channel(self, receiver: Receiver) -> Channel:  # noqa: F811
        return add_channel("dead-man", heartbeat_seconds=60)

    def beat(self, second: float) -> None:
        for channel in heartbeats.due_channels(later(second)):
            heartbeats.send(channel, later(second))

    def test_is_sent_in_its_interval_while_all_is_well(self, receiver: Receiver) -> None:  # noqa: F811
        for second in range(0, 300, 10):
            evaluate(later(second))
            self.beat(second)

        assert [message.kind for message in receiver.messages] == ["heartbeat"] * 5

    def test_is_not_sent_before_the_rules_are_judged(self, receiver: Receiver) -> None:  # noqa: F811
        self.beat(0)

        assert receiver.messages == []

    def test_ceases_when_the_rules_are_not_judged(self, receiver: Receiver) -> None:  # noqa: F811
        evaluate(NOW)
        for second in range(0, 300, 10):
            self.beat(second)

        assert len(receiver.messages) == 1

    def test_ceases_when_a_message_of_another_channel_waits_too_long(self, receiver: Receiver) -> None:  # noqa: F811
        add_channel("ops")
        leave_a_message("ops", later(-301))
        evaluate(NOW)
        self.beat(0)

        assert receiver.messages == []

    @pytest.mark.parametrize(
        ("failure", "reason"),
        [(UNAVAILABLE, "answered 503"), (ZeroDivisionError(), "ZeroDivisionError: see the log of the server")],
    )
    def test_that_is_not_accepted_is_a_problem_until_the_next_one_is(
        self,
        receiver: Receiver,  # noqa: F811
        failure: Exception,
        reason: str,
    ) -> None:
        receiver.failure = failure
        evaluate(NOW)
        self.beat(0)
        assert [failing.reason for failing in alerting_health(NOW).failing] == [f"heartbeat: {reason}"]

        receiver.failure = None
        evaluate(later(60))
        self.beat(60)
        assert alerting_health(later(60)).failing == ()

    def test_keeps_its_interval_although_tasks_begin_at_different_delays(self, receiver: Receiver) -> None:  # noqa: F811
        for second in (0.2, 10.1, 50.1, 60.1):
            evaluate(later(second))
            self.beat(second)

        assert [message.created_at for message in receiver.messages] == [later(0.2), later(60.1)]

    def test_that_is_not_accepted_is_no_problem_once_the_channel_is_changed(self, receiver: Receiver) -> None:  # noqa: F811
        receiver.failure = UNAVAILABLE
        evaluate(NOW)
        self.beat(0)
        change_channel("dead-man", {"heartbeat_seconds": None})

        assert alerting_health(NOW).failing == ()

    def test_is_sent_at_once_when_the_channel_is_changed(self, receiver: Receiver) -> None:  # noqa: F811
        evaluate(NOW)
        self.beat(0)
        change_channel("dead-man", {"name": "Dead man"})
        self.beat(10)

        assert len(receiver.messages) == 2

    def test_is_all_that_its_channel_gets(self, receiver: Receiver) -> None:  # noqa: F811
        AlertRule.objects.filter(pk="high-cpu-usage").update(for_seconds=0)
        Store(clock=lambda: NOW).commit([SystemEvent(timestamp=NOW, host="h", cpu_percent=99)])

        assert evaluate(NOW)
        assert not Delivery.objects.exists()
