"""An alert with its context: where the time went, what fires beside it, and the chart."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from alerts.context import split_of
from alerts.evaluation.evaluate import evaluate
from alerts.models import Alert, AlertRule
from llmmonitor.access.keys import create_key
from metrics.events import Event, InferenceEvent, QueueEvent, SystemEvent
from metrics.store.writing.transaction import Store


class TheSplit:
    def test_has_the_prompt_from_the_queue_to_the_first_token(self) -> None:
        assert split_of(3_900.0, 4_210.0, 5_200.0) == {
            "response_time_ms": 5_200.0,
            "queue_ms": 3_900.0,
            "prompt_ms": 310.0,
            "decode_ms": 990.0,
            "processing_ms": None,
        }

    def test_has_no_phase_that_is_not_known(self) -> None:
        assert split_of(None, None, 5_200.0) == {
            "response_time_ms": 5_200.0,
            "queue_ms": None,
            "prompt_ms": None,
            "decode_ms": None,
            "processing_ms": 5_200.0,
        }
        assert split_of(100.0, 200.0, None) is None


@pytest.mark.store
@pytest.mark.django_db
class TheContextOfAnAlert:
    """A model whose requests wait in the queue, an hour after they did not, on a busy host."""

    @pytest.fixture
    def now(self) -> datetime:
        return timezone.now().replace(microsecond=0)

    @pytest.fixture(autouse=True)
    def alerts(self, db: Any, now: datetime) -> None:
        AlertRule.objects.filter(pk__in=["slow-response-time", "high-cpu-usage"]).update(for_seconds=0)
        AlertRule.objects.filter(pk="slow-response-time").update(runbook_url="https://wiki/slow", clear_threshold=4500)
        times = {"queue_time_ms": 7_000, "ttft_ms": 7_500, "response_time_ms": 9_000, "stream": True}
        earlier = {"queue_time_ms": 100, "ttft_ms": 400, "response_time_ms": 1_000, "stream": True}
        events: list[Event] = [
            InferenceEvent(timestamp=at - timedelta(seconds=n), request_id=f"{n}", model_name="m", **fields)
            for at, fields in ((now, times), (now - timedelta(minutes=62), earlier))
            for n in range(4)
        ]
        events += [
            QueueEvent(timestamp=now, source="q", model_name="m", pending=41),
            SystemEvent(timestamp=now, host="box", cpu_percent=99),
            InferenceEvent(timestamp=now, request_id="other", model_name="other", response_time_ms=1),
        ]
        Store(clock=lambda: now).commit(events)
        evaluate(now)

    def read(self, number: int) -> dict[str, Any]:
        _, token = create_key("reader", ["read"], at=timezone.now())
        response = Client(headers={"Authorization": f"Bearer {token}"}).get(f"/alerts/{number}")
        assert response.status_code == 200, response.content
        body: dict[str, Any] = response.json()
        return body

    def test_of_slow_responses_says_where_the_time_went(self, now: datetime) -> None:
        slow, busy = (Alert.objects.get(metric=name) for name in ("inference.response_time_ms", "system.cpu_percent"))

        alert = self.read(slow.pk)

        assert (alert["name"], alert["labels"], alert["unit"]) == ("Slow Response Time", {"model": "m"}, "ms")
        context = alert["context"]
        assert (context["count"], context["min_count"], context["pending"]) == (4, 3, 41)
        assert context["split"]["now"] == split_of(7_000.0, 7_500.0, 9_000.0)
        assert context["split"]["before"] == split_of(100.0, 400.0, 1_000.0)
        assert context["firing"] == [
            {"id": busy.pk, "name": "High CPU Usage", "severity": "warning", "labels": {"host": "box"}}
        ]
        assert context["chart_url"].startswith("/?model=m&range=1h")
        assert (context["runbook_url"], context["clear_threshold"]) == ("https://wiki/slow", 4500)

    def test_of_a_host_reads_no_requests_and_has_no_split(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr("metrics.queries.evaluate")

        context = self.read(Alert.objects.get(metric="system.cpu_percent").pk)["context"]

        assert (context["split"], context["count"], context["min_count"], context["pending"]) == (None,) * 4
        assert [other["name"] for other in context["firing"]] == ["Slow Response Time"]

    def test_of_an_alert_that_has_ended_is_of_the_time_when_it_fired(self, now: datetime) -> None:
        fired_at = now - timedelta(minutes=10)
        Store(clock=lambda: now).commit(
            [
                InferenceEvent(
                    timestamp=fired_at, request_id="then", model_name="m", queue_time_ms=5_000, response_time_ms=6_000
                )
            ]
        )
        AlertRule.objects.all().delete()
        evaluate(now + timedelta(seconds=5))
        Alert.objects.update(fired_at=fired_at)

        alert = self.read(Alert.objects.get(metric="inference.response_time_ms").pk)

        assert alert["state"] == "resolved"
        assert alert["context"]["split"]["now"] == split_of(5_000.0, None, 6_000.0)
        assert (alert["context"]["min_count"], alert["context"]["pending"]) == (None, None)
        assert "&to=" in alert["context"]["chart_url"]

    def test_of_no_alert_is_not_found(self) -> None:
        _, token = create_key("reader", ["read"], at=timezone.now())

        assert Client(headers={"Authorization": f"Bearer {token}"}).get("/alerts/9999").status_code == 404
