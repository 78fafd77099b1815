"""The six rules that every installation begins with, from the post to the alert, its history and the log."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any, NamedTuple

import pytest
from django.apps import apps
from django.utils import timezone

from alerts.evaluation.evaluate import EVERY_SECONDS, evaluate
from alerts.models import AlertRule
from tests.metrics.api.api_fixtures import api, lane
from tests.metrics.api.asgi_client import AsgiClient

__all__ = ["api", "lane"]

Fields = dict[str, Any]
UNTIL = 120  # seconds that are over the threshold


class Case(NamedTuple):
    """A rule, and an event on each side of its threshold."""

    name: str
    path: str
    over: Fields
    on: Fields  # the threshold itself, or as many requests as are not judged
    under: Fields
    labels: Fields
    for_seconds: int
    level: int = logging.WARNING


def gpu(temperature: float) -> Fields:
    return {"host": "h", "gpu_metrics": [{"gpu_id": "0", "temperature": temperature}]}


def queue(pending: int) -> Fields:
    return {"source": "q", "model_name": "m", "pending": pending}


CASES = {
    "high-cpu-usage": Case(
        "High CPU Usage", "system", {"host": "h", "cpu_percent": 80.5}, {"host": "h", "cpu_percent": 80},
        {"host": "h", "cpu_percent": 74}, {"host": "h"}, 60,
    ),
    "high-memory-usage": Case(
        "High Memory Usage", "system", {"host": "h", "memory_percent": 85.5}, {"host": "h", "memory_percent": 85},
        {"host": "h", "memory_percent": 79}, {"host": "h"}, 60,
    ),
    "slow-response-time": Case(
        "Slow Response Time", "inference", {"model_name": "m", "response_time_ms": 5_200},
        {"model_name": "m", "response_time_ms": 4_800}, {"model_name": "m", "response_time_ms": 90}, {"model": "m"}, 60,
    ),
    "high-error-rate": Case(
        "High Error Rate", "inference", {"model_name": "m", "success": False}, {"model_name": "m"}, {"model_name": "m"},
        {"model": "m"}, 60, logging.CRITICAL,
    ),
    "gpu-overheating": Case(
        "GPU Overheating", "system", gpu(86), gpu(85), gpu(79), {"host": "h", "gpu": "0"}, 30, logging.CRITICAL
    ),
    "queue-backlog": Case("Queue Backlog", "queue", queue(101), queue(100), queue(79), {"model": "m"}, 30),
}  # fmt: skip


@pytest.fixture
def start() -> datetime:
    return timezone.now().replace(microsecond=0) - timedelta(minutes=20)


@pytest.fixture
def send(api: AsgiClient, start: datetime) -> Callable[..., None]:
    """Post an event for each of some seconds after the start."""
    AlertRule.objects.all().delete()
    import_module("alerts.migrations.0002_default_rules").create(apps, None)

    def post(path: str, seconds: range, fields: Fields) -> None:
        times = [(start + timedelta(seconds=second)).isoformat() for second in seconds]
        own = {"inference": "request_id"}.get(path)
        events = [fields | {"timestamp": time} | ({own: f"r {time}"} if own else {}) for time in times]
        reply = api.post(f"/track/{path}", events)
        assert (reply.status, reply.json()["accepted"]) == (200, len(events)), reply.body

    return post


def follow(start: datetime, seconds: range) -> list[tuple[int, str, str]]:
    """Evaluate at these seconds. Return the changes: (seconds since the start, rule, state)."""
    return [
        (second, change.alert.rule_id, str(change.to))
        for second in seconds
        for change in evaluate(start + timedelta(seconds=second))
    ]


@pytest.mark.store
class ADefaultRule:
    @pytest.mark.parametrize("rule", CASES)
    def test_fires_over_its_threshold_and_is_resolved_under_it(
        self, rule: str, send: Callable[..., None], api: AsgiClient, start: datetime, caplog: pytest.LogCaptureFixture
    ) -> None:
        case = CASES[rule]
        send(case.path, range(-UNTIL, UNTIL, 5), case.over)
        send(case.path, range(UNTIL, 600, 5), case.under)
        caplog.set_level(logging.INFO, "alerts")

        begin = follow(start, range(0, case.for_seconds + 1, EVERY_SECONDS))
        (active,) = api.get("/alerts").json()["results"]
        end = follow(start, range(UNTIL, 600, 30))

        assert begin == [(0, rule, "pending"), (case.for_seconds, rule, "firing")]
        assert (active["name"], active["state"], active["labels"]) == (case.name, "firing", case.labels)
        assert [change[1:] for change in end] == [(rule, "resolved")]
        assert api.get("/alerts").json()["results"] == []
        rows = api.get("/alerts/history", rule=rule).json()["results"]
        assert [(row["to"], row["alert"]) for row in rows] == [
            (state, active["id"]) for state in ("resolved", "firing", "pending")
        ]
        lines = [record for record in caplog.records if record.name == "alerts.changes"]
        assert [json.loads(line.message)["state"] for line in lines] == ["pending", "firing", "resolved"]
        assert [line.levelno for line in lines] == [logging.INFO, case.level, logging.INFO]
        assert {json.loads(line.message)["rule"] for line in lines} == {rule}

    @pytest.mark.parametrize("rule", CASES)
    def test_does_not_fire_on_its_threshold(self, rule: str, send: Callable[..., None], start: datetime) -> None:
        send(CASES[rule].path, range(-UNTIL, UNTIL, 5), CASES[rule].on)

        assert follow(start, range(0, UNTIL, 30)) == []


class TheRuleOnErrors:
    @pytest.mark.parametrize(("failed", "succeeded", "changes"), [(1, 9, []), (2, 8, ["pending"]), (3, 1, [])])
    def test_needs_more_than_a_tenth_of_five_requests(
        self, failed: int, succeeded: int, changes: list[str], send: Callable[..., None], start: datetime
    ) -> None:
        send("inference", range(-failed, 0), {"model_name": "m", "success": False})
        send("inference", range(-100, succeeded - 100), {"model_name": "m"})

        assert [state for _, rule, state in follow(start, range(1)) if rule == "high-error-rate"] == changes


class TheRuleOnSlowResponses:
    def test_fires_when_every_call_times_out(self, send: Callable[..., None], start: datetime) -> None:
        hangs = {"model_name": "m", "response_time_ms": 60_000, "success": False, "error_type": "TimeoutError"}
        send("inference", range(-60, 70, 10), hangs)

        assert (60, "slow-response-time", "firing") in follow(start, range(0, 65, EVERY_SECONDS))

    def test_does_not_fire_for_fast_rejections(self, send: Callable[..., None], start: datetime) -> None:
        send("inference", range(-100, 0), {"model_name": "m", "response_time_ms": 5, "status_code": 429})

        assert {rule for _, rule, _ in follow(start, range(0, 65, EVERY_SECONDS))} == {"high-error-rate"}

    def test_does_not_judge_two_requests(self, send: Callable[..., None], start: datetime) -> None:
        send("inference", range(-2, 0), {"model_name": "m", "response_time_ms": 60_000})

        assert follow(start, range(0, 65, EVERY_SECONDS)) == []
