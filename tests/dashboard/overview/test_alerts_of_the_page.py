"""What the Overview shows of alerts: its sentence, its cards, its tiles and the marks of its charts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.core.cache import caches
from django.test import Client

from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule
from metrics.events import InferenceEvent, SystemEvent
from metrics.store.writing.transaction import Store

pytestmark = pytest.mark.django_db

NOW = datetime.now(UTC).replace(microsecond=0)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def ms(minutes: float) -> int:
    return int(ago(minutes).timestamp() * 1000)


@pytest.fixture(autouse=True)
def requests(db: Any) -> None:
    """A hundred fast requests of each of two models."""
    for name in ("default", "queries", "ring"):
        caches[name].clear()
    Store().commit(
        [
            InferenceEvent(
                timestamp=ago(1), request_id=f"{model}-{n}", model_name=model, response_time_ms=900, success=True
            )
            for model in ("llama-3-70b", "gpt-4o")
            for n in range(100)
        ]
    )


def alert(since: float, fired: float | None, ended: float | None = None, **more: Any) -> Alert:
    """Slow Response Time of a model, with times in minutes before now."""
    fields = {
        "rule_id": "slow-response-time",
        "rule_name": "Slow Response Time",
        "severity": "warning",
        "metric": "inference.response_time_ms",
        "stat": "p95",
        "labels": {"model": "llama-3-70b"},
        "state": "pending" if fired is None else "firing" if ended is None else "resolved",
        "since": ago(since),
        "fired_at": None if fired is None else ago(fired),
        "ended_at": None if ended is None else ago(ended),
        "updated_at": NOW,
        "value": 5_380,
        "peak": 7_300,
        "threshold": 5_000,
        "unit": "ms",
        **more,
    }
    return Alert.objects.create(labels_hash=sha256(str(fields["labels"]).encode()).hexdigest(), **fields)


def shown(query: str = "range=1h", part: str = "alerts") -> dict[str, Any]:
    client = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1")
    data: dict[str, Any] = client.get(f"/dashboard/data/overview/figures?{query}").json()[part]
    return data


def title(query: str = "range=1h") -> str:
    return str(shown(query, "sentence")["title"]).replace("\u00a0", " ")


def mark(name: str, query: str = "range=1h") -> dict[str, Any]:
    (slow,) = (entry for entry in shown(query)["marks"] if entry["name"] == name)
    return slow


class TheSentence:
    def test_leads_with_what_fires_except_where_another_model_is_chosen(self) -> None:
        alert(10, 9)

        assert title().startswith("llama-3-70b is slow: P95 5.38 s including timeouts, over 5 s since ")
        assert title("range=1h&model=llama-3-70b").startswith("llama-3-70b is slow")
        assert title("range=1h&model=gpt-4o") == "gpt-4o is healthy."

    def test_does_not_say_that_all_is_well_in_a_window_in_which_a_rule_fired(self) -> None:
        alert(50, 40, 30)

        assert title().startswith("All is well now. Slow Response Time fired for llama-3-70b from ")
        assert title("range=15m") == "All models are healthy."
        past = f"from={ago(45):%Y-%m-%dT%H:%M:%SZ}&to={ago(35):%Y-%m-%dT%H:%M:%SZ}"
        assert title(past).startswith("llama-3-70b was slow: P95 up to 7.30 s including timeouts, over 5 s from ")

    def test_names_the_cause_by_the_time_before_the_alert_where_the_window_before_held_an_older_incident(self) -> None:
        # Waits of 3 s now and 25 minutes ago, and of 50 ms in between.
        waits = [(minutes, 3_000 if minutes < 5 or minutes > 20 else 50) for minutes in range(1, 30)]
        Store().commit(
            [
                InferenceEvent(
                    timestamp=ago(minutes),
                    request_id=f"{minutes}-{n}",
                    model_name="llama-3-8b",
                    response_time_ms=900 + wait,
                    queue_time_ms=wait,
                    success=True,
                )
                for minutes, wait in waits
                for n in range(30)
            ]
        )
        alert(4, 3, labels={"model": "llama-3-8b"})

        text = shown("range=15m", "sentence")["text"].replace("\u00a0", " ")
        assert "Its requests wait 3.00 s in the queue on average, up from " in text

    def test_is_there_before_any_script_runs_with_its_times_in_utc(self) -> None:
        alert(10, 9)

        html = Client(SERVER_NAME="127.0.0.1", REMOTE_ADDR="127.0.0.1").get("/?range=1h").content.decode()
        started = ago(10)
        day = "" if started.date() == ago(0).date() else f"{started.day}\u00a0{started:%b}\u00a0"
        since = f"{day}{started:%H:%M}\u00a0UTC"
        value = "P95 5.38\u00a0s including timeouts, over 5\u00a0s"
        model = '<a href="/dashboard/models/llama-3-70b/?range=1h">llama-3-70b</a>'
        assert f"<h1 data-title>{model} is slow: {value} since {since}.</h1>" in html

    def test_links_what_it_names_with_the_range_and_the_filters(self) -> None:
        alert(10, 9)
        other = alert(5, 4, rule_id="high-error-rate", rule_name="High Error Rate", labels={"model": "gpt-4o"})

        assert shown("range=1h&provider=openai&provider=", "sentence")["links"] == {
            "gpt-4o": "/dashboard/models/gpt-4o/?range=1h&provider=openai&provider=",
            "llama-3-70b": "/dashboard/models/llama-3-70b/?range=1h&provider=openai&provider=",
            "Slow Response Time": f"/dashboard/alerts/?range=1h&provider=openai&provider=#alert-{other.pk - 1}",
        }
        assert shown("range=1h&model=gpt-4o", "sentence")["links"] == {"gpt-4o": "/dashboard/models/gpt-4o/?range=1h"}


class TheSentenceOfAnEmptyStore:
    def test_names_what_fires_and_not_what_is_pending(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("metrics.queries.has_events", lambda: False)
        cpu: dict[str, Any] = {
            "rule_id": "high-cpu-usage",
            "rule_name": "High CPU Usage",
            "metric": "system.cpu_percent",
            "stat": "avg",
            "labels": {"host": "vm"},
            "value": 99,
            "peak": 99,
            "threshold": 80,
            "unit": "%",
        }
        pending = alert(1, None, **cpu)
        assert title() == "Monitoring this machine. No requests yet."

        pending.delete()
        alert(2, 1, **cpu)
        assert title().startswith("vm is busy: CPU 99 %, over 80 % since ")


class TheCards:
    def test_have_three_firing_alerts_those_that_need_attention_first(self) -> None:
        first = alert(10, 9)
        alert(8, 7, labels={"model": "b"}, acknowledged_at=ago(5), acknowledged_by="Ada")
        alert(8, 7, labels={"model": "c"})
        worst = alert(9, 8, labels={"model": "d"}, severity="critical")
        alert(2, None, labels={"model": "e"})

        alerts = shown()

        assert [card["subject"] for card in alerts["firing"]] == ["d", "c", "llama-3-70b"]
        assert (alerts["count"], alerts["rules"]) == (4, AlertRule.objects.filter(enabled=True).count())
        assert alerts["firing"][0]["id"] == worst.pk
        assert alerts["firing"][2] == {
            "id": first.pk,
            "rule": "slow-response-time",
            "name": "Slow Response Time",
            "severity": "warning",
            "subject": "llama-3-70b",
            "figure": "P95 5.38\u00a0s including timeouts",
            "threshold": "over 5\u00a0s",
            "labels": {"model": "llama-3-70b"},
            "started_at": ago(9).isoformat().replace("+00:00", "Z"),
            "acknowledged_by": None,
            "is_silenced": False,
            "silenced_until": None,
        }

    def test_name_the_machines_that_have_an_alert(self) -> None:
        for host, rule in (("vm", "high-cpu-usage"), ("vm", "high-memory-usage"), ("box", "high-cpu-usage")):
            alert(2, 1, labels={"host": host}, rule_id=rule)
        alert(2, 1)

        assert shown()["hosts"] == ["box", "vm"]

    def test_are_of_the_models_that_are_chosen(self) -> None:
        alert(10, 9)

        assert shown("range=1h&model=gpt-4o")["firing"] == []

    def test_name_the_rule_that_is_nearest_to_its_threshold(self) -> None:
        assert shown()["nothing_fires"] == "Nothing fires."
        host = SystemEvent(timestamp=datetime.now(UTC), host="h", cpu_percent=60, memory_percent=10)
        Store().commit([host])
        evaluate(datetime.now(UTC))

        assert shown()["nothing_fires"] == "Nothing fires. Nearest: High CPU Usage, at 75\u00a0% of its threshold."


class TheTiles:
    def test_of_what_fires_take_the_severity(self) -> None:
        alert(10, 9)
        alert(10, 9, labels={"model": "b"}, severity="critical")
        alert(10, 9, metric="queue.pending", stat="avg", rule_id="q", acknowledged_at=ago(1))

        assert shown()["tiles"] == {"p95": "critical"}


class TheMarks:
    def test_have_the_spans_of_each_model_for_the_charts_of_one(self) -> None:
        alert(30, 29, 20)
        alert(10, 9, labels={"model": "gpt-4o"})
        slow = mark("Slow Response Time")
        assert len(slow["firing"]) == 2
        assert slow["by_model"] == {
            "llama-3-70b": {"pending": [[ms(30), ms(29)]], "firing": [[ms(29), ms(20)]]},
            "gpt-4o": {"pending": [[ms(10), ms(9)]], "firing": [[ms(9), None]]},
        }

    def test_have_the_spans_of_a_rule_those_of_all_models_together(self) -> None:
        alert(50, 45, 40)
        alert(48, 43, 38, labels={"model": "b"})
        alert(10, 9)

        slow = mark("Slow Response Time")

        assert slow["firing"] == [[ms(45), ms(38)], [ms(9), None]]
        assert slow["pending"] == [[ms(50), ms(43)], [ms(10), ms(9)]]
        assert mark("Slow Response Time", "range=1h&model=b")["firing"] == [[ms(43), ms(38)]]

    def test_of_very_many_alerts_are_said_to_be_left_out(self) -> None:
        for number in range(501):
            alert(50, 50, 40 - number / 100)

        assert shown(part="notices") == ["The charts do not mark all alerts of this time range. Not marked: 1."]

    def test_have_the_thresholds_of_the_metrics_that_are_shown(self) -> None:
        AlertRule.objects.filter(id="high-memory-usage").update(enabled=False)

        labels = {entry["name"]: entry["label"] for entry in shown()["marks"]}

        assert {name: label.replace("\u00a0", " ") for name, label in labels.items()} == {
            "High CPU Usage": "High CPU Usage 80 %, each machine",
            "High Error Rate": "High Error Rate 10 %, each model",
            "Queue Backlog": "Queue Backlog 100, each model",
            "Slow Response Time": "Slow Response Time 5 s, each model",
        }

    def test_leave_out_the_threshold_of_a_rule_for_another_model(self) -> None:
        AlertRule.objects.filter(id="slow-response-time").update(filters={"model": ["llama-3-70b"]})

        assert mark("Slow Response Time", "range=1h&model=llama-3-70b")["threshold"] == 5_000
        assert "Slow Response Time" not in {entry["name"] for entry in shown("range=1h&model=gpt-4o")["marks"]}
