"""Messages are sent in order, tried again, given up, limited and summarized."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction

from alerts.channels.failure import SendFailed
from alerts.channels.kinds import KINDS
from alerts.delivery import summaries
from alerts.delivery.sending import LEASE, deliver, due_channels, retry
from alerts.models import Alert, AlertChange, Channel, Delivery
from tests.alerts.delivery.receiver import UNAVAILABLE, Clock, Receiver, add_channel

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


def add_message(rule: str = "hot", at: datetime = NOW, to: str = "firing", channel: str = "ops") -> Delivery:
    """Store a message about an alert that has begun to fire, or has ended."""
    alert = Alert.objects.create(
        rule_id=rule, rule_name=rule.title(), severity="warning", metric="system.cpu_percent", stat="avg",
        labels={"host": "h"}, labels_hash=f"{rule}-{Alert.objects.count()}", state=to, since=at, fired_at=at,
        updated_at=at, ended_at=at if to == "resolved" else None, threshold=90, comparison="gt", unit="%",
    )  # fmt: skip
    change = AlertChange.objects.create(alert=alert, at=at, to=to, value=95)
    message = Delivery.objects.create(
        channel_id=channel, kind="change", rule_id=rule, created_at=at, next_attempt_at=at
    )
    message.changes.add(change)
    return message


def run_for(clock: Clock, **duration: float) -> None:
    """Look for messages each second, as the task does."""
    end = clock.now + timedelta(**duration)
    while clock.now < end:
        for channel in due_channels(clock.now):
            deliver(channel, clock)
        clock.pass_by(seconds=1)


def states() -> list[str]:
    return list(Delivery.objects.order_by("created_at", "pk").values_list("state", flat=True))


class AMessage:
    def test_is_sent_once_with_the_alert_as_it_was_at_the_change(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        message = add_message()
        run_for(clock, seconds=3)

        [received] = receiver.messages
        [alert] = received.alerts
        assert received.id == str(message.pk)
        assert (alert.rule, alert.state, alert.value, alert.threshold, alert.labels) == (
            "hot", "firing", 95, 90, {"host": "h"}
        )  # fmt: skip
        assert states() == ["sent"]

    def test_leads_to_the_chart_of_its_time_also_if_it_is_read_later(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message()
        run_for(clock, seconds=3)

        assert (
            receiver.messages[0]
            .alerts[0]
            .url.endswith("/?host=h&from=2026-03-01T11%3A30%3A00Z&to=2026-03-01T12%3A30%3A00Z#cpu-title")
        )

    def test_has_the_same_id_at_each_attempt(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        message = add_message()
        receiver.failure = UNAVAILABLE
        run_for(clock, minutes=1)

        assert len(receiver.sent) > 2
        assert {sent.id for sent in receiver.sent} == {str(message.pk)}
        assert {alert.change for sent in receiver.sent for alert in sent.alerts} == {message.changes.get().pk}

    def test_waits_for_the_earlier_ones_of_its_rule_and_not_for_others(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message("hot")
        receiver.failure = UNAVAILABLE
        run_for(clock, seconds=1)
        receiver.failure = None
        clock.pass_by(seconds=-0.5)
        add_message("hot", clock.now, "resolved")
        add_message("slow", clock.now)
        deliver("ops", clock)

        assert receiver.alerts() == [
            ("change", "slow", "firing"), ("change", "hot", "firing"), ("change", "hot", "resolved")
        ]  # fmt: skip


class AReceiverThatIsDown:
    def test_for_five_minutes_gets_each_message_once_and_in_order_afterwards(
        self, receiver: Receiver, clock: Clock
    ) -> None:
        add_channel()
        receiver.failure = UNAVAILABLE
        for minute in range(5):
            add_message("hot", clock.now, "firing" if minute % 2 == 0 else "resolved")
            run_for(clock, minutes=1)
        assert receiver.messages == []
        receiver.failure = None
        run_for(clock, minutes=10)

        assert [state for _, _, state in receiver.alerts()] == ["firing", "resolved", "firing", "resolved", "firing"]
        assert set(states()) == {"sent"}

    def test_for_more_than_a_day_makes_the_message_dead_and_a_person_can_try_it_again(
        self, receiver: Receiver, clock: Clock
    ) -> None:
        add_channel()
        message = add_message()
        receiver.failure = UNAVAILABLE
        while Delivery.objects.filter(state="waiting").exists() and clock.now < NOW + timedelta(days=2):
            deliver("ops", clock)
            clock.pass_by(minutes=5)
        message.refresh_from_db()
        assert (message.state, message.last_error) == ("dead", "answered 503")
        assert clock.now - NOW >= timedelta(days=1)

        receiver.failure = None
        assert retry(message.pk, clock.now)
        run_for(clock, seconds=2)
        assert [sent.id for sent in receiver.messages] == [str(message.pk)]

    def test_that_asks_to_wait_gets_nothing_until_then(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message("hot")
        add_message("slow")
        receiver.failure = SendFailed("answered 429", retry_after_seconds=120)
        run_for(clock, seconds=119)

        assert len(receiver.sent) == 1

    def test_does_not_delay_another_channel(self, receiver: Receiver, clock: Clock) -> None:
        add_channel("down", kind="email")  # without an address
        add_channel("ops")
        add_message(channel="down")
        add_message(channel="ops")
        run_for(clock, seconds=2)

        assert len(receiver.messages) == 1


class AMessageThatIsRefused:
    def test_is_dead_at_once_and_does_not_stop_the_next_one(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message("hot")
        receiver.failure = SendFailed("answered 404", is_final=True)
        run_for(clock, seconds=2)
        receiver.failure = None
        add_message("hot", clock.now)
        run_for(clock, seconds=2)

        assert states() == ["dead", "sent"]

    def test_by_a_fault_of_the_monitor_is_tried_again(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message()
        receiver.failure = ZeroDivisionError()
        run_for(clock, seconds=2)

        message = Delivery.objects.get()
        assert (message.state, message.last_error) == ("waiting", "ZeroDivisionError: see the log of the server")


class AChannelWithMoreMessagesThanItsLimit:
    def test_gets_one_with_all_changes(self, receiver: Receiver, clock: Clock) -> None:
        add_channel(max_per_minute=2)
        ids = {add_message(f"rule-{number}").changes.get().pk for number in range(10)}
        run_for(clock, seconds=2)

        [summary] = receiver.messages
        assert summary.kind == "summary"
        assert {alert.change for alert in summary.alerts} == ids

    def test_gets_the_others_in_the_next_minute(self, receiver: Receiver, clock: Clock) -> None:
        add_channel(max_per_minute=2)
        for number in range(5):
            add_message(f"rule-{number}", clock.now)
            run_for(clock, seconds=5)
        assert len(receiver.messages) == 2
        run_for(clock, minutes=1)

        assert [len(message.alerts) for message in receiver.messages] == [1, 1, 3]

    def test_gets_nothing_about_its_rules_before_a_summary_that_failed(self, receiver: Receiver, clock: Clock) -> None:
        add_channel(max_per_minute=2)
        for rule in ("hot", "slow", "down"):
            add_message(rule)
        receiver.failure = UNAVAILABLE
        run_for(clock, seconds=1)
        receiver.failure = None
        add_message("hot", clock.now, "resolved")
        run_for(clock, seconds=20)

        assert [(message.kind, len(message.alerts)) for message in receiver.messages] == [("summary", 3), ("change", 1)]

    def test_gets_what_is_about_other_rules_although_a_summary_is_not_accepted(
        self, receiver: Receiver, clock: Clock
    ) -> None:
        add_channel(max_per_minute=2)
        for rule in ("hot", "slow", "down"):
            add_message(rule)
        receiver.failure = UNAVAILABLE
        run_for(clock, seconds=1)
        receiver.failure = None
        add_message("full", clock.now)
        deliver("ops", clock)

        assert receiver.alerts()[0] == ("change", "full", "firing")

    def test_gets_as_many_of_1000_changes_as_it_takes(
        self, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(summaries, "MAX_CHANGES", 3)
        add_channel(max_per_minute=2)
        for number in range(10):
            add_message(f"rule-{number}", clock.now - timedelta(seconds=10 - number))
        run_for(clock, minutes=3)

        assert [len(message.alerts) for message in receiver.messages] == [3, 3, 3, 1]
        assert [rule for _, rule, _ in receiver.alerts()] == [f"rule-{number}" for number in range(10)]


class AClockThatIsSetBack:
    """By hours. What was to happen at a time by the old clock does not wait until then."""

    def test_does_not_delay_the_next_attempt_or_the_end_of_a_pause(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message("hot")
        receiver.failure = SendFailed("answered 429", retry_after_seconds=60)
        run_for(clock, seconds=2)
        receiver.failure = None
        clock.pass_by(hours=-5)
        add_message("slow", clock.now)
        run_for(clock, minutes=1)

        assert len(receiver.messages) == 2

    def test_does_not_count_what_was_sent_as_of_this_minute(self, receiver: Receiver, clock: Clock) -> None:
        add_channel(max_per_minute=1)
        add_message("hot")
        run_for(clock, seconds=2)
        clock.pass_by(hours=-5)
        add_message("slow", clock.now)
        run_for(clock, minutes=1)

        assert len(receiver.messages) == 2

    def test_frees_the_channel_from_a_process_that_was_killed(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        Channel.objects.update(leased_until=NOW + LEASE)
        clock.pass_by(hours=-5)
        add_message("hot", clock.now)
        run_for(clock, minutes=1)

        assert len(receiver.messages) == 1


class AProcessThatSends:
    def test_keeps_others_from_it_until_it_has_ended_or_its_lease_has(self, receiver: Receiver, clock: Clock) -> None:
        add_channel()
        add_message()
        Channel.objects.update(leased_until=NOW + LEASE)  # by a process that is killed
        run_for(clock, seconds=LEASE.total_seconds() - 1)
        assert receiver.messages == []
        run_for(clock, seconds=2)

        assert len(receiver.messages) == 1


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_the_same_time_send_each_message_once(
    receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_channel(max_per_minute=1_000)
    for number in range(20):
        add_message(f"rule-{number}")
    both = threading.Barrier(2)

    def work() -> None:
        both.wait()
        for _ in range(100):
            deliver("ops", clock)
        connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert len(receiver.sent) == 20


@pytest.mark.django_db(transaction=True)
def test_a_channel_that_is_changed_while_a_message_fails_stops_neither(
    receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both write the channel and its messages; PostgreSQL stops one of two that wait for each other."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one writer")
    add_channel()
    message = add_message()
    is_sending, is_changing = threading.Event(), threading.Event()

    def fail(settings: Any, message: Any) -> None:
        is_sending.set()
        assert is_changing.wait(30)
        raise SendFailed("answered 429", retry_after_seconds=60)

    def work() -> None:
        deliver("ops", clock)
        connections.close_all()

    monkeypatch.setitem(KINDS, "kept", replace(KINDS["kept"], send=fail))
    worker = threading.Thread(target=work)
    worker.start()
    assert is_sending.wait(30)
    with transaction.atomic():
        Channel.objects.update(max_per_minute=7)
        is_changing.set()
        wait_until_another_waits_for_a_lock()
        Delivery.objects.update(next_attempt_at=NOW)
    worker.join()

    message.refresh_from_db()
    assert (message.attempts, message.last_error) == (1, "answered 429")


def test_a_failure_of_a_process_that_has_lost_its_lease_does_not_undo_that_another_has_sent_the_message(
    receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_channel()
    message = add_message()

    def fail(settings: Any, sent: Any) -> None:
        Delivery.objects.update(state="sent", ended_at=NOW)
        raise UNAVAILABLE

    monkeypatch.setitem(KINDS, "kept", replace(KINDS["kept"], send=fail))
    deliver("ops", clock)

    message.refresh_from_db()
    assert message.state == "sent"


def wait_until_another_waits_for_a_lock(seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid())"
    while time.monotonic() < end:
        with connection.cursor() as cursor:
            cursor.execute(waiting)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
