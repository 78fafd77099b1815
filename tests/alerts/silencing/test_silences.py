"""Silences: made through the API, marked on alerts by it and by evaluations."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertChange, AlertRule, Silence
from alerts.retention import delete_expired
from alerts.rules.manager import alert_manager
from alerts.rules.spec import check_rule
from alerts.silencing import silences
from alerts.silencing.marking import Silences
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import AuditEntry
from metrics.events import QueueEvent, SystemEvent
from metrics.store.writing.transaction import Store

pytestmark = [pytest.mark.store, pytest.mark.django_db]

SECOND = timedelta(seconds=1)
BY_HOST = {"matchers": {"host": ["alpha"]}, "reason": "new fans"}


@pytest.fixture
def now() -> datetime:
    return timezone.now().replace(microsecond=0)


@pytest.fixture
def hot(db: Any, now: datetime) -> Callable[..., None]:
    """A rule that fires at once for each host above 90 %. Call it to send samples of hosts."""
    AlertRule.objects.all().delete()
    rule = {"id": "hot", "name": "Hot", "metric_type": "system", "metric_name": "cpu_percent", "threshold": 90}
    alert_manager.add_alert_rule(check_rule(rule))

    def send(at: datetime, **percents: float) -> None:
        events = [SystemEvent(timestamp=at, host=host, cpu_percent=value) for host, value in percents.items()]
        Store(clock=lambda: at).commit(events)

    send(now, alpha=95, beta=95)
    return send


@pytest.fixture
def client(db: Any) -> Client:
    _, token = create_key("ops", ["manage"], at=timezone.now())
    return Client(headers={"Authorization": f"Bearer {token}"})


def post(client: Client, **fields: Any) -> dict[str, Any]:
    response = client.post("/alerts/silences", BY_HOST | fields, "application/json")
    assert response.status_code == 201, response.content
    created: dict[str, Any] = response.json()
    return created


def marks() -> dict[str, Any]:
    """The silences of the active alerts by host."""
    return {alert.labels["host"]: alert.silence_id for alert in Alert.objects.filter(ended_at=None)}


def changes() -> list[tuple[str, str]]:
    return [(change.alert.labels["host"], change.to) for change in AlertChange.objects.order_by("id")]


class ASilence:
    def test_marks_matching_alerts_at_once_and_they_stay_firing(
        self,
        hot: Any,
        now: datetime,
        client: Client,
        caplog: pytest.LogCaptureFixture,
        django_capture_on_commit_callbacks: Any,
    ) -> None:
        evaluate(now)
        caplog.set_level(logging.INFO, "alerts")

        with django_capture_on_commit_callbacks(execute=True):
            created = post(client, ends_at=(now + timedelta(hours=1)).isoformat())

        beta, alpha = client.get("/alerts").json()["results"]  # silenced ones are last
        assert (alpha["state"], alpha["silence"], alpha["silenced_until"]) == (
            "firing",
            created["id"],
            created["ends_at"],
        )
        assert (beta["silence"], beta["silenced_until"]) == (None, None)
        newest = client.get("/alerts/history?limit=1").json()["results"][0]
        assert (newest["to"], newest["by"], newest["note"]) == ("silenced", "ops", "new fans")
        (line,) = [json.loads(record.message) for record in caplog.records if record.name == "alerts.changes"]
        assert (line["state"], line["labels"], line["note"]) == ("silenced", {"host": "alpha"}, "new fans")
        assert (created["state"], created["alerts"], created["by"]) == ("in_force", 1, "ops")

    def test_matches_the_absence_of_a_label(self, db: Any, client: Client, now: datetime) -> None:
        queue = {"id": "q", "name": "Q", "metric_type": "queue", "metric_name": "pending", "threshold": 1}
        alert_manager.add_alert_rule(check_rule(queue | {"group_by": ["provider"]}))
        samples = [{"model_name": "a"}, {"model_name": "b", "provider": "openai"}]
        Store(clock=lambda: now).commit(
            [QueueEvent(timestamp=now, source="s", pending=9, **sample) for sample in samples]
        )
        evaluate(now)

        created = post(client, matchers={"rule": ["q"], "provider": [""]})

        marked = {str(alert): alert.silence_id for alert in Alert.objects.filter(rule_id="q")}
        assert marked == {"Q (no provider)": created["id"], "Q (openai)": None}

    def test_marks_new_alerts_with_the_evaluation_that_fires_them(self, hot: Any, client: Client) -> None:
        created = post(client)

        found = evaluate(timezone.now())

        assert [(change.alert.labels["host"], change.to, change.alert.silence_id) for change in found] == [
            ("alpha", "firing", created["id"]),
            ("beta", "firing", None),
            ("alpha", "silenced", created["id"]),
        ]

    def test_that_ends_leaves_the_alert_firing(self, hot: Any, now: datetime, client: Client) -> None:
        evaluate(now)
        created = post(client, ends_at=(now + timedelta(hours=1)).isoformat())
        later = now + timedelta(hours=1)
        hot(later, alpha=95, beta=95)

        evaluate(later)

        assert changes()[2:] == [("alpha", "silenced"), ("alpha", "unsilenced")]
        assert marks() == {"alpha": None, "beta": None}
        assert set(Alert.objects.values_list("state", flat=True)) == {"firing"}
        assert silences.listed(later, with_ended=False) == []
        assert silences.listed(later, with_ended=True)[0]["id"] == created["id"]

    def test_is_ended_by_a_person_at_once(self, hot: Any, now: datetime, client: Client) -> None:
        evaluate(now)
        number = post(client)["id"]

        ended = client.post(f"/alerts/silences/{number}/end")
        again = client.post(f"/alerts/silences/{number}/end")

        assert (ended.status_code, ended.json()["state"]) == (200, "ended")
        assert again.json()["ends_at"] == ended.json()["ends_at"]
        assert marks() == {"alpha": None, "beta": None}
        assert AlertChange.objects.latest("id").by == "ops"
        assert client.post("/alerts/silences/999/end").status_code == 404
        entries = [(entry.action, entry.subject) for entry in AuditEntry.objects.filter(actor="ops")]
        assert sorted(entries, reverse=True) == [
            ("silenced alerts", f"{number} new fans"),
            ("ended silence", f"{number} new fans"),
        ]

    def test_that_runs_out_is_not_ended_by_who_ends_another(self, hot: Any, now: datetime) -> None:
        evaluate(now)
        silences.create(BY_HOST | {"ends_at": now + SECOND}, "ops", now)
        other = silences.create({"matchers": {"host": ["beta"]}, "reason": "r"}, "ops", now)

        silences.end(other.pk, "mara", now + SECOND)

        ended = AlertChange.objects.filter(to="unsilenced")
        assert {change.alert.labels["host"]: change.by for change in ended} == {"alpha": "", "beta": "mara"}

    def test_of_one_alert_ends_with_it(self, hot: Any, now: datetime, client: Client) -> None:
        evaluate(now)
        number = client.get("/alerts").json()["results"][0]["id"]
        created = post(client, matchers={"alert": number})
        assert marks() == {"alpha": created["id"], "beta": None}
        hot(now + 2 * SECOND, alpha=5, beta=95)

        evaluate(now + timedelta(minutes=2))

        assert Silence.objects.get().ends_at == now + timedelta(minutes=2)

    def test_that_ends_last_is_the_one_of_an_alert_that_several_match(
        self, hot: Any, now: datetime, client: Client
    ) -> None:
        evaluate(now)
        post(client, ends_at=(now + timedelta(hours=1)).isoformat())
        endless = post(client, matchers={})
        post(client, ends_at=(now + timedelta(hours=2)).isoformat())
        assert marks() == {"alpha": endless["id"], "beta": endless["id"]}

        client.post(f"/alerts/silences/{endless['id']}/end")

        assert Alert.objects.get(id=min(Alert.objects.values_list("id", flat=True))).silenced_until == (
            now + timedelta(hours=2)
        )
        assert changes()[2:] == [("alpha", "silenced"), ("beta", "silenced"), ("beta", "unsilenced")]


class WhenASilenceChangesWhileAnEvaluationReads:
    """The evaluation has begun before, and takes the lock after it."""

    def test_one_that_was_made_is_in_force(self, hot: Any, now: datetime) -> None:
        evaluate(now)
        silences.create(BY_HOST, "ops", now + 6 * SECOND)

        evaluate(now + 5 * SECOND)

        assert changes()[2:] == [("alpha", "silenced")]

    def test_one_that_was_ended_is_not(self, hot: Any, now: datetime) -> None:
        evaluate(now)
        silence = silences.create(BY_HOST, "ops", now)
        silences.end(silence.pk, "ops", now + 6 * SECOND)

        evaluate(now + 5 * SECOND)

        assert changes()[2:] == [("alpha", "silenced"), ("alpha", "unsilenced")]

    def test_another_change_that_has_waited_keeps_it(self, hot: Any, now: datetime) -> None:
        evaluate(now)
        silences.create(BY_HOST, "ops", now + 2 * SECOND)

        silences.create({"matchers": {"host": ["beta"]}, "reason": "r"}, "ops", now + SECOND)

        assert changes()[2:] == [("alpha", "silenced"), ("beta", "silenced")]


class ARecurringSilence:
    def test_is_in_force_in_each_of_its_windows(self, hot: Any, client: Client, now: datetime) -> None:
        tomorrow = (now + timedelta(days=1)).replace(hour=2, minute=0, second=0)
        created = post(client, start_time="02:00", duration_seconds=3600, time_zone="UTC", matchers={"rule": "hot"})
        assert created["recurrence"] == "every day at 02:00 for 1 hour (UTC)"
        before = silences.listed(tomorrow - SECOND, with_ended=False)[0]
        assert (before["state"], before["next_at"]) == ("waiting", tomorrow.isoformat().replace("+00:00", "Z"))
        during = silences.listed(tomorrow, with_ended=False)[0]
        assert (during["state"], during["next_at"]) == ("in_force", None)

        def host_is_silenced(at: datetime) -> bool:
            hot(at, alpha=95)
            evaluate(at)
            return marks()["alpha"] == created["id"]

        assert not host_is_silenced(tomorrow - SECOND)
        assert host_is_silenced(tomorrow + SECOND)
        assert Alert.objects.get(ended_at=None, labels=Alert.objects.last().labels).silenced_until == (
            tomorrow + timedelta(hours=1)
        )
        assert not host_is_silenced(tomorrow + timedelta(hours=1))
        assert host_is_silenced(tomorrow + timedelta(days=1, minutes=30))


class TheMatchers:
    @pytest.mark.parametrize(
        ("matchers", "is_match"),
        [
            ({}, True),
            ({"rule": ["slow"]}, True),
            ({"rule": ["fast"]}, False),
            ({"model": ["other", "gpt-4o"]}, True),
            ({"model": ["gpt-4o"], "provider": ["azure"]}, False),
            ({"model": ["gpt-4o"], "provider": ["openai"], "rule": ["slow"]}, True),
            ({"host": ["gpt-4o"]}, False),
            ({"alert": ["7"]}, True),
            ({"alert": ["8"]}, False),
        ],
    )
    def test_need_one_value_of_each_name(self, matchers: dict[str, list[str]], is_match: bool) -> None:
        silence = Silence(pk=1, matchers=matchers)
        others = [
            Silence(pk=2, matchers={"model": ["another"]}),
            Silence(pk=3, matchers={"rule": ["slow", "fast"], "host": ["h"]}),
        ]
        silences = Silences([(one, None) for one in (silence, *others)])

        found, until = silences.of("slow", 7, {"model": "gpt-4o", "provider": "openai"})

        assert (found, until) == (silence if is_match else None, None)


class AnInvalidSilence:
    @pytest.mark.parametrize(
        ("fields", "field", "reason"),
        [
            ({"reason": " "}, "reason", "must not be empty."),
            ({"reason": "a\0"}, "reason", "must not contain NUL or an unpaired surrogate."),
            ({"reason": "x" * 501}, "reason", "may have at most 500 characters."),
            ({"colour": "red"}, "colour", "is not a field of a silence."),
            ({"matchers": {"modell": ["x"]}}, "matchers", "has an unknown name: modell. Allowed: rule, alert, model, "),
            ({"matchers": {"tag.tema": ["x"]}}, "matchers", "has an unknown name: tag.tema. Allowed: rule, alert, "),
            ({"matchers": {"rule": ["nope"]}}, "matchers", "has an unknown rule: nope."),
            ({"matchers": {"alert": [99]}}, "matchers", "has an alert that is not active: 99."),
            ({"matchers": {"host": []}}, "matchers.host", "must not be empty."),
            ({"matchers": 5}, "matchers", "must be an object."),
            ({"matchers": {"host": ["h" * 200] * 101}}, "matchers", "may have at most 20,000 characters."),
            ({"ends_at": "2020-01-01T00:00:00Z"}, "ends_at", "must be in the future and later than starts_at."),
            ({"ends_at": "9999-12-31T23:59:59-12:00"}, "ends_at", "must be in a year from 1970 to 8999."),
            ({"starts_at": "0001-01-01T00:00:00+12:00"}, "starts_at", "must be in a year from 1970 to 8999."),
            ({"matchers": {f"tag.{n}": ["x"] for n in range(21)}}, "matchers", "may have at most 20 entries."),
            ({"matchers": {"host": ["\ud800"]}}, "matchers.host.0", "must not contain NUL or an unpaired surrogate."),
            (
                {"matchers": {"tag.\ud800": ["x"]}},
                "matchers.tag.���.[key]",
                "must not contain NUL or an unpaired surrogate.",
            ),
            ({"ends_at": "tomorrow"}, "ends_at", "must be a time in ISO 8601, such as 2026-01-31T12:00:00Z."),
            ({"duration_seconds": 60}, "duration_seconds", "is given for recurring silences only, which have a "),
            ({"start_time": "02:00"}, "duration_seconds", "is required with start_time."),
            ({"start_time": "25:00", "duration_seconds": 60}, "start_time", "must be a time of day, such as 02:30."),
            ({"start_time": "02:00+01:00", "duration_seconds": 60}, "start_time", "must be without an offset: "),
            ({"start_time": "02:00", "duration_seconds": 9}, "duration_seconds", "must be at least 60."),
            ({"start_time": "02:00", "duration_seconds": 60, "weekdays": [7]}, "weekdays.0", "must be at most 6."),
            (
                {"start_time": "02:00", "duration_seconds": 60, "time_zone": "Berlin"},
                "time_zone",
                "must be a name of the time zone database, such as Europe/Berlin.",
            ),
        ],
    )
    def test_is_refused_with_its_field_and_the_reason(
        self, db: Any, client: Client, fields: dict[str, Any], field: str, reason: str
    ) -> None:
        response = client.post("/alerts/silences", BY_HOST | fields, "application/json")

        assert response.status_code == 400
        (error,) = response.json()["errors"]
        assert error["field"] == field
        assert error["detail"].startswith(reason)
        assert not Silence.objects.exists()

    def test_needs_matchers_and_a_reason(self, db: Any, client: Client) -> None:
        response = client.post("/alerts/silences", {}, "application/json")

        assert response.json()["detail"] == "matchers is required. reason is required."
        assert client.post("/alerts/silences", [], "application/json").status_code == 400


class TheRetention:
    def test_keeps_ended_silences_as_long_as_alerts(self, db: Any, now: datetime) -> None:
        old, new = (silences.create(BY_HOST, "ops", now - timedelta(days=days)) for days in (402, 400))
        silences.create(BY_HOST, "ops", now - timedelta(days=500))
        for silence, days in ((old, 401), (new, 399)):
            silences.end(silence.pk, "ops", now - timedelta(days=days))

        delete_expired(now, time.monotonic() + 60)

        assert old.pk not in Silence.objects.values_list("pk", flat=True)
        assert Silence.objects.count() == 2
