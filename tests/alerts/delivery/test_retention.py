"""How long messages are kept."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import Alert, Delivery
from alerts.retention import delete_expired
from tests.alerts.delivery.receiver import add_channel
from tests.alerts.delivery.test_sending import NOW, add_message

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def add_old(state: str, days: float, *, of_open_alert: bool = False) -> str:
    """Store a message that ended some days ago. Return its rule."""
    rule = f"{state}-{days}-{of_open_alert}"
    add_message(rule, to="firing" if of_open_alert else "resolved")
    Delivery.objects.filter(rule_id=rule).update(state=state, ended_at=NOW - timedelta(days=days))
    return rule


class AnOldMessage:
    @pytest.fixture(autouse=True)
    def _channel(self) -> None:
        add_channel()

    @pytest.mark.parametrize(("state", "days"), [("sent", 30), ("merged", 30), ("dead", 90)])
    def test_is_deleted_after_its_retention(self, state: str, days: int) -> None:
        add_old(state, days + 0.01)
        young = add_old(state, days - 0.01)

        assert delete_expired(NOW, deadline=float("inf")) == 1
        assert [delivery.rule_id for delivery in Delivery.objects.all()] == [young]

    def test_stays_while_it_waits_or_its_alert_is_open(self) -> None:
        add_old("sent", 300, of_open_alert=True)
        add_old("dead", 300, of_open_alert=True)
        add_message("waiting", at=NOW - timedelta(days=300), to="resolved")

        assert delete_expired(NOW, deadline=float("inf")) == 0
        Alert.objects.update(ended_at=NOW)
        assert delete_expired(NOW, deadline=float("inf")) == 2
        assert [delivery.rule_id for delivery in Delivery.objects.all()] == ["waiting"]

    def test_without_changes_is_deleted_too(self) -> None:
        add_old("sent", 31)
        Alert.objects.all().delete()

        assert delete_expired(NOW, deadline=float("inf")) == 1
