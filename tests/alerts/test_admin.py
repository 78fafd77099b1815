"""Rules are configured in the admin, and are checked there as everywhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from alerts.models import Alert, AlertRule
from alerts.retention import KEPT, delete_expired
from tests.alerts.test_api import NOW, hot

__all__ = ["hot"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

FORM = {
    "id": "slow-speed", "name": "Slow speed", "kind": "threshold", "metric_type": "inference",
    "metric_name": "tokens_per_second", "stat": "", "window_seconds": 60, "comparison": "lt", "threshold": 10,
    "for_seconds": 0, "filters": '{"model": ["m"]}', "group_by": '["model"]', "severity": "warning", "no_data": "ok",
    "min_count": 1, "enabled": "on", "channels": "[]", "repeat_seconds": 14_400,
}  # fmt: skip


@pytest.fixture
def admin(db: Any) -> Client:
    user = User.objects.create_user("root", password="x" * 12)
    user.groups.add(Group.objects.get_or_create(name="admin")[0])
    client = Client()
    client.force_login(user)
    return client


class TheRuleForm:
    def test_stores_a_rule_with_its_defaults(self, admin: Client) -> None:
        response = admin.post("/admin/alerts/alertrule/add/", FORM)

        assert response.status_code == 302, response.content
        rule = AlertRule.objects.get(pk="slow-speed")
        assert (rule.stat, rule.threshold, rule.filters) == ("avg", 10, {"model": ["m"]})

    @pytest.mark.parametrize(
        ("changed", "error"),
        [
            ({"metric_name": "cpu_percent"}, "metric_name must be a metric of the type inference."),
            ({"stat": "p0x"}, "stat must be a statistic of inference.tokens_per_second."),
            ({"threshold": ""}, "threshold is required."),
            ({"clear_threshold": 5}, "clear_threshold must be at least the threshold, 10."),
            ({"window_seconds": 1000}, "window_seconds must be a multiple of 60"),
            ({"filters": '{"gpu": ["0"]}'}, "gpu is not a label of inference.tokens_per_second."),
        ],
    )
    def test_refuses_a_rule_that_makes_no_sense(self, admin: Client, changed: dict[str, Any], error: str) -> None:
        response = admin.post("/admin/alerts/alertrule/add/", FORM | changed)

        assert error in response.content.decode()
        assert not AlertRule.objects.filter(pk="slow-speed").exists()

    def test_lists_the_conditions_of_the_default_rules(self, admin: Client) -> None:
        page = admin.get("/admin/alerts/alertrule/").content.decode()

        assert "p95 of inference.response_time_ms over 300 s gt 5000, for 60 s" in page

    def test_enables_and_disables_rules(self, admin: Client) -> None:
        chosen = {"_selected_action": ["queue-backlog"]}

        admin.post("/admin/alerts/alertrule/", {"action": "disable", **chosen})
        assert not AlertRule.objects.get(pk="queue-backlog").enabled
        admin.post("/admin/alerts/alertrule/", {"action": "enable", **chosen})
        assert AlertRule.objects.get(pk="queue-backlog").enabled


class TheAlertsInTheAdmin:
    def test_are_shown_with_their_changes(self, hot: None, admin: Client) -> None:
        alert = Alert.objects.get(labels_hash=Alert.objects.order_by("pk")[0].labels_hash)

        assert "host alpha" in admin.get("/admin/alerts/alert/").content.decode()
        assert "firing" in admin.get(f"/admin/alerts/alert/{alert.pk}/change/").content.decode()


class AnOldAlert:
    def test_is_deleted_after_its_retention(self, hot: None) -> None:
        old, young = Alert.objects.order_by("pk")
        Alert.objects.filter(pk=old.pk).update(ended_at=NOW - KEPT - timedelta(seconds=1))
        Alert.objects.filter(pk=young.pk).update(ended_at=NOW - KEPT + timedelta(seconds=1))

        assert delete_expired(NOW, deadline=float("inf")) == 1
        assert list(Alert.objects.all()) == [young]
