"""`/alerts/rules`: rules are added, changed and deleted by programs and people."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client

from alerts.models import AlertRule
from llmmonitor.access.first_admin import ensure_admin
from llmmonitor.access.models import AuditEntry
from tests.alerts.test_api import client

__all__ = ["client"]

pytestmark = [pytest.mark.store, pytest.mark.django_db]

RULE: dict[str, Any] = {
    "id": "slow-speed", "name": "Slow speed", "metric_type": "inference", "metric_name": "tokens_per_second",
    "threshold": 10, "comparison": "lt",
}  # fmt: skip


def post(client: Client, body: Any) -> Any:
    return client.post("/alerts/rules", body, "application/json")


def patch(client: Client, rule_id: str, body: Any) -> Any:
    return client.patch(f"/alerts/rules/{rule_id}", body, "application/json")


def histories() -> list[tuple[str, str]]:
    """The history of the rules in the admin, oldest first."""
    entries = LogEntry.objects.select_related("user").order_by("pk")
    return [(entry.user.get_username(), str(entry)) for entry in entries]


class ARuleOfTheAPI:
    def test_is_refused_if_its_json_is_nested_too_deeply(self, client: Client) -> None:
        response = post(client, "[" * 5_000 + "]" * 5_000)

        assert (response.status_code, response.json()["detail"]) == (400, "The JSON is nested too deeply.")

    def test_is_stored_with_its_defaults(self, client: Client) -> None:
        response = post(client, RULE)

        assert response.status_code == 201, response.content
        rule = response.json()
        assert rule == client.get("/alerts/rules/slow-speed").json()
        assert (rule["stat"], rule["group_by"], rule["severity"], rule["enabled"]) == (
            "avg",
            ["model"],
            "warning",
            True,
        )

    def test_replaces_the_given_fields_of_a_known_id(self, client: Client) -> None:
        post(client, RULE)

        response = post(client, RULE | {"threshold": 20})

        assert (response.status_code, response.json()["threshold"]) == (200, 20)
        assert AlertRule.objects.filter(pk="slow-speed").count() == 1

    def test_may_be_sent_as_it_was_read(self, client: Client) -> None:
        read = client.get("/alerts/rules/queue-backlog").json()

        assert post(client, read | {"threshold": 107}).json() == read | {"threshold": 107}

    def test_is_changed_by_some_of_its_fields(self, client: Client) -> None:
        response = patch(client, "queue-backlog", {"threshold": 90, "severity": "critical"})

        assert response.status_code == 200, response.content
        rule = AlertRule.objects.get(pk="queue-backlog")
        assert (rule.threshold, rule.clear_threshold, rule.severity) == (90, 80, "critical")

    def test_keeps_its_id(self, client: Client) -> None:
        response = patch(client, "queue-backlog", {"id": "other"})

        assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "id")

    def test_is_deleted(self, client: Client) -> None:
        assert client.delete("/alerts/rules/queue-backlog").status_code == 204
        assert client.delete("/alerts/rules/queue-backlog").status_code == 404
        assert not AlertRule.objects.filter(pk="queue-backlog").exists()

    def test_that_does_not_exist_is_not_read_or_changed(self, client: Client) -> None:
        assert client.get("/alerts/rules/none").status_code == 404
        assert patch(client, "none", RULE | {"id": "none"}).status_code == 404

    def test_is_refused_with_every_error(self, client: Client) -> None:
        response = post(client, RULE | {"threshold": "high", "severity": "loud", "colour": "red"})

        problem = response.json()
        assert (response.status_code, problem["code"]) == (400, "bad_rule")
        assert problem["errors"] == [
            {"field": "threshold", "detail": "must be a number."},
            {"field": "severity", "detail": "must be one of 'info', 'warning' or 'critical'."},
            {"field": "colour", "detail": "is not a field of a rule."},
        ]
        assert problem["detail"].startswith("threshold must be a number. severity must")

    @pytest.mark.parametrize("body", [[], [RULE], '"text"', "null", 7])
    def test_is_an_object(self, client: Client, body: Any) -> None:
        response = post(client, body)

        assert (response.status_code, response.json()["code"]) == (400, "bad_rule")

    @pytest.mark.parametrize("field", ["id", "name", "description", "runbook_url", "metric_name", "stat"])
    @pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"])
    def test_has_only_text_that_can_be_stored(self, client: Client, field: str, text: str) -> None:
        response = post(client, RULE | {field: text})

        assert response.status_code == 400
        assert [error["field"] for error in response.json()["errors"]] == [field]

    @pytest.mark.parametrize(
        "given",
        [
            {"filters": {"model": ["a\x00b"]}}, {"filters": {"a\x00b": ["m"]}}, {"channels": ["a\x00b"]},
            {"group_by": ["a\x00b"]}, {"threshold": 10**400}, {"for_seconds": 10**30}, {"compare_to_seconds": 10**30},
            {"filters": {"model": "m"}}, {"filters": []}, {"filters": {"\ud800": ["m"]}},
            {"filters": {"model": ["\ud800"]}}, {"\ud800": 1}, {"id": 7}, {"id": None}, {"name": None},
            {"enabled": None},
        ],
    )  # fmt: skip
    def test_has_only_values_that_can_be_stored(self, client: Client, given: dict[str, Any]) -> None:
        response = post(client, RULE | given)

        assert response.status_code == 400, response.content
        named = response.json()["errors"][0]["field"].split(".")[0]
        assert named in (next(iter(given)), "")


class TheHistoryOfARule:
    def test_has_the_changes_of_a_program(self, client: Client) -> None:
        post(client, RULE)
        patch(client, "slow-speed", {"threshold": 20, "for_seconds": 30})
        patch(client, "slow-speed", {"threshold": 20})  # changes nothing
        client.delete("/alerts/rules/slow-speed")

        assert histories() == [
            ("(program)", "Added “Slow speed”."),
            ("(program)", "Changed “Slow speed” — Changed threshold 10 → 20 and for_seconds 0 → 30 (by API key ops)."),
            ("(program)", "Deleted “Slow speed.”"),
        ]
        assert LogEntry.objects.latest("pk").change_message == "Removed by API key ops."

    def test_has_the_changes_of_a_person(self, db: Any) -> None:
        user = User.objects.create_user("mara")
        user.groups.add(Group.objects.get_or_create(name="admin")[0])
        client = Client()
        client.force_login(user)

        patch(client, "queue-backlog", {"severity": "critical", "runbook_url": "http://wiki", "group_by": []})

        ((who, text),) = histories()
        assert who == "mara"
        assert text.endswith(
            'Changed group_by ["model"] → [], severity warning → critical and runbook_url "" → http://wiki.'
        )

    def test_is_in_the_audit_log_too(self, client: Client) -> None:
        post(client, RULE)

        newest = AuditEntry.objects.first()
        assert newest is not None
        assert (newest.actor, newest.action, newest.subject) == ("API key ops", "added alert rule", "slow-speed")

    def test_lists_no_person_for_a_program(self, client: Client) -> None:
        post(client, RULE)
        root = User.objects.create_superuser("root")
        client = Client()
        client.force_login(root)

        assert "(program)" in client.get("/admin/alerts/alertrule/slow-speed/history/").content.decode()
        assert "(program)" not in client.get("/admin/auth/user/").content.decode()

    def test_does_not_prevent_the_first_admin(self, client: Client) -> None:
        post(client, RULE)
        assert not User.objects.get(username="(program)").is_active

        assert ensure_admin("secret") is not None
