"""`/alerts`: what is active, what has changed, who looks after it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule, Silence
from alerts.rules.manager import alert_manager
from alerts.rules.spec import RuleSpec, check_rule
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import AuditEntry
from metrics import queries as metric_queries
from metrics.events import SystemEvent
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db]

NOW = datetime(2026, 3, 1, 12, 34, 56, tzinfo=UTC)


@pytest.fixture
def hot(db: Any) -> None:
    """Two hosts at 95 % of their CPUs, and a rule that fires for both at once."""
    AlertRule.objects.all().delete()
    rule = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 90}
    alert_manager.add_alert_rule(check_rule(rule))
    hosts = [SystemEvent(timestamp=NOW, host=name, cpu_percent=95) for name in ("alpha", "beta")]
    Store(clock=lambda: NOW).commit(hosts)
    evaluate(NOW)


@pytest.fixture
def client(db: Any) -> Client:
    """A client with a key that may do everything."""
    _, token = create_key("ops", ["manage"], at=NOW)
    return Client(headers={"Authorization": f"Bearer {token}"})


def results(client: Client, path: str) -> list[dict[str, Any]]:
    response = client.get(path)
    assert response.status_code == 200, response.content
    listed: list[dict[str, Any]] = response.json()["results"]
    return listed


class TheAlerts:
    def test_have_what_a_person_needs_to_know(self, hot: None, client: Client) -> None:
        first, second = results(client, "/alerts")

        assert first == {
            "id": first["id"],
            "rule": "hot",
            "name": "Hot",
            "state": "firing",
            "severity": "warning",
            "metric_name": "system.cpu_percent",
            "stat": "avg",
            "value": 95.0,
            "peak": 95.0,
            "threshold": 90.0,
            "unit": "%",
            "labels": {"host": "alpha"},
            "since": "2026-03-01T12:34:56Z",
            "started_at": "2026-03-01T12:34:56Z",
            "ended_at": None,
            "updated_at": "2026-03-01T12:34:56Z",
            "acknowledged_at": None,
            "acknowledged_by": None,
            "note": None,
            "silence": None,
            "silenced_until": None,
            "is_demo": False,
        }
        assert second["labels"] == {"host": "beta"}

    def test_are_counted_in_each_tick(self, hot: None) -> None:
        numbers = metric_queries.current(NOW)["alerts"]
        assert (numbers["firing"], numbers["pending"], numbers["unacknowledged"]["warning"]) == (2, 0, 2)

    @pytest.mark.parametrize(
        ("query", "hosts"),
        [
            ("state=firing", ["alpha", "beta"]),
            ("state=pending", []),
            ("severity=warning&host=beta", ["beta"]),
            ("severity=critical", []),
            ("host=alpha&host=beta", ["alpha", "beta"]),
        ],
    )
    def test_can_be_filtered(self, hot: None, client: Client, query: str, hosts: list[str]) -> None:
        assert [alert["labels"]["host"] for alert in results(client, f"/alerts?{query}")] == hosts

    def test_of_more_than_are_listed_are_the_most_important_and_selected_before_the_cut(
        self, hot: None, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("alerts.queries.MAX_ACTIVE", 2)
        silence = Silence.objects.create(matchers={}, starts_at=NOW, reason="x", by="y", created_at=NOW)
        times = {"since": NOW - timedelta(days=1), "updated_at": NOW, "rule_id": "hot", "metric": "m", "stat": "avg"}
        for host, fields in {
            "worst": {"severity": "critical", "state": "firing", "fired_at": NOW},
            "seen": {"severity": "critical", "state": "firing", "fired_at": NOW, "silence": silence},
            "soon": {"severity": "critical", "state": "pending"},
        }.items():
            Alert.objects.create(labels={"host": host}, labels_hash=host, **times, **fields)

        def listed(query: str) -> tuple[list[str], int]:
            page = client.get(f"/alerts?{query}").json()
            return [alert["labels"]["host"] for alert in page["results"]], page["omitted"]

        assert listed("") == (["worst", "alpha"], 3)
        assert listed("host=soon&host=beta&host=seen") == (["beta", "seen"], 1)
        assert listed("severity=critical") == (["worst", "seen"], 1)
        assert listed("host=soon") == (["soon"], 0)

    @pytest.mark.parametrize("query", ["state=resolved", "severity=", "modell=x"])
    def test_are_not_listed_by_an_unknown_filter(self, db: Any, client: Client, query: str) -> None:
        assert client.get(f"/alerts?{query}").status_code == 400


class AnAcknowledgement:
    def send(self, client: Client, number: int, **body: Any) -> Any:
        return client.post(f"/alerts/{number}/acknowledge", body, "application/json")

    def test_is_shown_with_its_name_and_note(self, hot: None, client: Client) -> None:
        number = results(client, "/alerts")[0]["id"]

        response = self.send(client, number, note="on it", by="mara")

        assert response.status_code == 200
        assert results(client, "/alerts")[0]["acknowledged_by"] == "mara (key ops)"
        assert response.json()["acknowledged_by"] == "mara (key ops)"
        newest = results(client, "/alerts/history")[0]
        assert (newest["alert"], newest["to"], newest["by"], newest["note"]) == (
            number,
            "acknowledged",
            "mara (key ops)",
            "on it",
        )
        entry = AuditEntry.objects.get(actor="ops")
        assert (entry.actor, entry.action, entry.subject) == ("ops", "acknowledged alert", f"{number} Hot (alpha)")

    def test_is_by_its_key_without_a_name(self, hot: None, client: Client) -> None:
        number = results(client, "/alerts")[0]["id"]

        assert self.send(client, number).json()["acknowledged_by"] == "ops"
        assert self.send(client, number, by="m" * 150).json()["acknowledged_by"] == "ops"  # both are too long

    def test_of_no_alert_is_not_found(self, db: Any, client: Client) -> None:
        assert self.send(client, 7).status_code == 404

    def test_of_an_alert_that_has_ended_is_refused(self, hot: None, client: Client) -> None:
        number = results(client, "/alerts")[0]["id"]
        evaluate(NOW + timedelta(minutes=20))

        response = self.send(client, number)

        assert (response.status_code, response.json()["code"]) == (409, "alert_ended")
        assert "acknowledged" not in {change["to"] for change in results(client, "/alerts/history")}

    def test_is_one_line_of_the_log(
        self, hot: None, client: Client, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
    ) -> None:
        number = results(client, "/alerts")[0]["id"]
        caplog.set_level(logging.INFO, "alerts")

        with django_capture_on_commit_callbacks(execute=True):
            self.send(client, number, note="on it", by="mara")

        (line,) = [json.loads(record.message) for record in caplog.records if record.name == "alerts.changes"]
        assert (line["alert"], line["state"], line["by"], line["note"]) == (
            number,
            "acknowledged",
            "mara (key ops)",
            "on it",
        )

    def test_with_an_invalid_note_is_refused(self, hot: None, client: Client) -> None:
        number = results(client, "/alerts")[0]["id"]

        assert self.send(client, number, note=7).status_code == 400
        assert self.send(client, number, note="x" * 501).status_code == 400
        assert self.send(client, number, note="\x00").status_code == 400
        response = client.post(f"/alerts/{number}/acknowledge", '{"by": "\\ud800"}', "application/json")
        assert response.json()["detail"] == "by must not contain NUL or an unpaired surrogate."

    @pytest.mark.parametrize("body", ["[1]", '{"notes": "on it"}'])
    def test_with_another_body_is_refused(self, hot: None, client: Client, body: str) -> None:
        number = results(client, "/alerts")[0]["id"]

        assert client.post(f"/alerts/{number}/acknowledge", body, "application/json").status_code == 400


@pytest.mark.parametrize("path", ["/alerts/rules", "/alerts/silences", "/alerts/1/acknowledge"])
def test_a_body_that_a_form_of_another_site_can_send_is_415(db: Any, client: Client, path: str) -> None:
    response = client.post(path, "{}", "text/plain")

    assert (response.status_code, response.json()["code"]) == (415, "unsupported_media_type")


class TheHistory:
    def test_has_every_change_and_is_read_in_pages(self, hot: None, client: Client) -> None:
        evaluate(NOW + timedelta(minutes=20))  # the hosts have no data, and the alerts are resolved

        first = client.get("/alerts/history?limit=3").json()
        second = client.get(first["next"]).json()

        assert [change["to"] for change in first["results"] + second["results"]] == ["resolved"] * 2 + ["firing"] * 2
        assert second["next"] is None
        assert results(client, "/alerts") == []

    def test_of_a_rule_has_its_changes_only(self, hot: None, client: Client) -> None:
        assert len(results(client, "/alerts/history?rule=hot")) == 2
        assert results(client, "/alerts/history?rule=other") == []
        assert client.get("/alerts/history?rule=%00").status_code == 400

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("host=alpha", ["resolved", "firing"]),
            ("host=alpha&state=firing", ["firing"]),
            ("state=resolved&state=acknowledged", ["resolved", "resolved"]),
            ("severity=critical", []),
            ("severity=warning&host=beta", ["resolved", "firing"]),
            ("model=alpha", []),
            ("from=2026-03-01T12:40:00Z&to=2026-03-01T13:00:00Z", ["resolved", "resolved"]),
            ("to=2026-03-01T12:40:00Z&from=2026-03-01T12:34:56Z", ["firing", "firing"]),
            ("from=2026-03-01T12:34:57Z&to=2026-03-01T12:54:56Z", []),
        ],
    )
    def test_can_be_filtered(self, hot: None, client: Client, query: str, expected: list[str]) -> None:
        evaluate(NOW + timedelta(minutes=20))

        assert [change["to"] for change in results(client, f"/alerts/history?{query}")] == expected

    def test_can_be_filtered_by_promoted_tags(self, hot: None, client: Client, settings: Any) -> None:
        alert = Alert.objects.first()
        alert.labels = {"tag.team": "search"}
        alert.save()
        assert client.get("/alerts?tag.team=search").status_code == 400
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"tags": ("team",)})
        for path in ("/alerts", "/alerts/history"):
            assert [row["labels"] for row in results(client, f"{path}?tag.team=search")] == [{"tag.team": "search"}]
            assert results(client, f"{path}?tag.team=ads") == []

    def test_of_one_alert_has_its_changes_only(self, hot: None, client: Client) -> None:
        number = results(client, "/alerts")[0]["id"]

        assert [change["alert"] for change in results(client, f"/alerts/history?alert={number}")] == [number]

    def test_of_a_label_is_read_in_pages(self, hot: None, client: Client) -> None:
        evaluate(NOW + timedelta(minutes=20))

        first = client.get("/alerts/history?host=alpha&limit=1").json()
        second = client.get(first["next"]).json()

        assert [row["to"] for row in first["results"] + second["results"]] == ["resolved", "firing"]
        assert second["next"] is None

    @pytest.mark.parametrize("query", ["state=on", "severity=bad", "from=never", "alert=x", "colour=red"])
    def test_with_an_invalid_filter_is_refused(self, db: Any, client: Client, query: str) -> None:
        assert client.get(f"/alerts/history?{query}").status_code == 400


class TheRules:
    def test_are_listed_with_why_they_are_not_judged(self, hot: None, client: Client) -> None:
        rule = {"id": "gpu", "name": "GPU", "metric_type": "gpu", "metric_name": "temperature", "threshold": 1}
        alert_manager.add_alert_rule(check_rule(rule))
        evaluate(NOW + timedelta(seconds=5))

        listed = {rule["id"]: rule for rule in results(client, "/alerts/rules")}

        assert listed["hot"]["not_judged"] is None
        assert listed["gpu"]["not_judged"] == "no data"
        assert listed["hot"]["group_by"] == ["host"]

    def test_replace_the_given_fields_of_a_known_id(self, hot: None) -> None:
        changed = alert_manager.add_alert_rule(
            RuleSpec(id="hot", name="Hotter", metric_type="system", metric_name="cpu_percent", for_seconds=30)
        )

        assert (changed.name, changed.threshold, changed.for_seconds) == ("Hotter", 90, 30)
        assert [rule.id for rule in alert_manager.get_alert_rules()] == ["hot"]

    def test_that_are_removed_or_disabled_end_their_alerts(self, hot: None, client: Client) -> None:
        assert alert_manager.remove_alert_rule("hot")
        assert not alert_manager.remove_alert_rule("hot")

        evaluate(NOW + timedelta(seconds=5))

        assert results(client, "/alerts") == []
        assert {change["to"] for change in results(client, "/alerts/history?limit=2")} == {"resolved"}
