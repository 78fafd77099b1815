"""Which messages an evaluation stores, with the changes of the alerts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alerts.acknowledging import acknowledge
from alerts.delivery.sending import due_channels
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, Channel, Delivery
from alerts.rules.manager import alert_manager
from alerts.rules.spec import BadRule, check_rule
from alerts.silencing import silences
from metrics.events import SystemEvent
from metrics.store.writing.transaction import Store
from tests.alerts.delivery.receiver import add_channel

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


@pytest.fixture(autouse=True)
def hot() -> None:
    """A rule on hosts above 90 % of their CPUs, which repeats its messages every hour."""
    AlertRule.objects.all().delete()
    reads = {"metric_type": "system", "metric_name": "cpu_percent", "window_seconds": 10}
    change_rule(name="Hot", threshold=90, repeat_seconds=3600, **reads)


def change_rule(**fields: Any) -> None:
    known = {name: value for rule in AlertRule.objects.all() for name, value in rule.fields().items()}
    alert_manager.add_alert_rule(check_rule({**known, "id": "hot", **fields}))


def load(percent: float, second: int = 0, *hosts: str) -> None:
    """Report the load of hosts at a second, and judge the rules."""
    at = NOW + timedelta(seconds=second)
    samples = [SystemEvent(timestamp=at, host=host, cpu_percent=percent) for host in hosts or ("h",)]
    Store(clock=lambda: at).commit(samples)
    evaluate(at)


def stored(channel: str = "ops") -> list[tuple[str, list[tuple[str, str]]]]:
    """The kind of each message of a channel, oldest first, with the host and the state of each alert."""
    return [
        (row.kind, [(change.alert.labels["host"], change.to) for change in row.changes.order_by("pk")])
        for row in Delivery.objects.filter(channel=channel).order_by("created_at", "kind")
    ]


class AnAlert:
    def test_has_a_message_when_it_fires_and_when_it_is_resolved(self) -> None:
        add_channel()
        load(95)
        load(95, 5)
        load(5, 10)
        load(5, 20)

        assert stored() == [("change", [("h", "firing")]), ("change", [("h", "resolved")])]

    def test_shares_a_message_with_the_others_of_its_rule_that_fire_at_the_same_time(self) -> None:
        add_channel()
        load(95, 0, "a", "b", "c")

        assert stored() == [("change", [("a", "firing"), ("b", "firing"), ("c", "firing")])]

    def test_is_repeated_until_it_is_acknowledged(self) -> None:
        add_channel()
        for second in range(0, 7300, 100):
            load(95, second)
        acknowledge(Alert.objects.get().pk, "mara", "", NOW)
        for second in range(7300, 12_000, 100):
            load(95, second)

        assert stored() == [("change", [("h", "firing")]), *[("repeat", [("h", "firing")])] * 2]

    def test_of_demo_data_has_none(self) -> None:
        add_channel()
        at = NOW
        Store(clock=lambda: at).commit([SystemEvent(timestamp=at, host="h", cpu_percent=95, is_demo=True)])
        evaluate(at)

        assert Alert.objects.get().is_demo
        assert stored() == []


class ASilencedAlert:
    def test_has_a_message_when_the_silence_ends(self) -> None:
        add_channel()
        silence = silences.create({"matchers": {"host": ["h"]}, "reason": "fans"}, "mara", NOW)
        load(95)
        assert stored() == []

        silences.end(silence.pk, "mara", NOW + timedelta(seconds=3))
        load(95, 5)
        assert stored() == [("change", [("h", "firing")])]

    def test_has_none_if_it_ends_before(self) -> None:
        add_channel()
        silences.create({"matchers": {"host": ["h"]}, "reason": "fans"}, "mara", NOW)
        load(95)
        load(5, 20)

        assert stored() == []

    def test_has_one_at_its_end_if_it_was_silenced_after_its_first_message(self) -> None:
        add_channel()
        load(95)
        silences.create({"matchers": {"host": ["h"]}, "reason": "fans"}, "mara", NOW + timedelta(seconds=1))
        load(5, 20)

        assert [kind for kind, _ in stored()] == ["change", "change"]


class TheChannels:
    def test_of_a_rule_get_its_messages_instead_of_the_default_ones(self) -> None:
        add_channel("default")
        add_channel("pager", is_default=False)
        change_rule(channels=["pager"])
        load(95)

        assert (stored("default"), stored("pager")) == ([], [("change", [("h", "firing")])])

    def test_that_got_the_beginning_get_the_end_also_if_the_rule_is_deleted(self) -> None:
        add_channel("pager", is_default=False)
        change_rule(channels=["pager"])
        load(95)
        add_channel("default")
        alert_manager.remove_alert_rule("hot")
        load(95, 5)

        assert (len(stored("default")), len(stored("pager"))) == (0, 2)

    def test_that_are_added_later_get_the_alerts_of_which_no_other_was_notified(self) -> None:
        load(95)
        add_channel()
        load(95, 5)

        assert stored() == [("change", [("h", "firing")])]

    def test_that_are_disabled_meanwhile_get_the_end_when_they_are_enabled_again(self) -> None:
        channel = add_channel()
        load(95)
        Channel.objects.update(enabled=False)
        load(5, 20)

        assert stored()[1:] == [("change", [("h", "resolved")])]
        assert due_channels(NOW + timedelta(seconds=30)) == []
        Channel.objects.update(enabled=True)
        assert due_channels(NOW + timedelta(seconds=30)) == [channel.pk]

    def test_that_are_off_get_none(self) -> None:
        add_channel(enabled=False)
        load(95)

        assert stored() == []

    def test_that_a_rule_names_must_exist_and_get_more_than_heartbeats(self) -> None:
        add_channel()
        add_channel("dead-man", heartbeat_seconds=60)
        with pytest.raises(BadRule) as caught:
            change_rule(channels=["ops", "pagr", "dead-man"])

        assert caught.value.errors == [("channels", "cannot have pagr, dead-man. Allowed: ops.")]
