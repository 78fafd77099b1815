"""A server with one of everything that is shown: requests, errors, queues, machines, alerts, annotations and so on.

Each text that a client or a person may choose is given, so that a test can look for it on the pages.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.rules import run_in_shell
from tests.support.server import Server

HOSTILE = "<img src=x onerror=alert(1)>"
TAG = "team"  # the server needs LLMMONITOR_TAGS=team
OTHER_MODEL = "qwen-2-7b"
REQUESTS = 30  # of each model in the last minutes, and as many an hour before
FAILED = 3  # of them
FIRES_SECONDS = 60  # rules are evaluated every five

_STORED = """
from datetime import timedelta
from django.contrib.auth.models import User
from django.utils import timezone
from alerts.channels.writing import add_channel
from alerts.models import AlertRule as Stored
from alerts.rules.spec import check_rule
from alerts.silencing.silences import create
from llmmonitor.access.models import APIKey
from metrics.models import Annotation, ModelAlias
text, now = {text!r}, timezone.now()
ModelAlias.objects.create(name=text + "-2", group=text + " group")
for model_name, host in (("", ""), (text, text)):
    Annotation.objects.create(
        at=now - timedelta(minutes=3), text=text, kind="deploy", model_name=model_name, host=host
    )
settings = {{"url": "http://127.0.0.1:9/"}}
add_channel({{"id": "c", "name": text, "kind": "webhook", "settings": settings, "enabled": False}})
create({{"matchers": {{"host": [text]}}, "ends_at": now + timedelta(hours=1), "reason": text}}, text, now)
APIKey.objects.create(name=text, prefix="llmm_x", hash="x", scopes=["read"], created_at=now)
User.objects.create(username="other", first_name=text, email="other@example.org", is_staff=True)
Stored.objects.all().delete()
rule = {{"id": "r", "name": text, "description": text, "severity": "critical", "threshold": 0}}
metric = {{"metric_type": "queue", "metric_name": "pending", "stat": "last", "window_seconds": 3600}}
alert_manager.add_alert_rule(check_rule(rule | metric))
"""


def labelled_settings(password: str) -> dict[str, Any]:
    """Return the arguments of a `Server` for `store_labelled`, with a user `admin`."""
    return {"env": {"LLMMONITOR_ADMIN_PASSWORD": password, "LLMMONITOR_TAGS": TAG}}


def store_labelled(server: Server, text: str) -> None:
    """Store one of everything with `text` for each of its names, and requests of another model beside them.

    An alert of a model with that name fires.
    """
    at = datetime.now(UTC)
    _post(server, "/track/inference", [event for number in range(REQUESTS) for event in _requests(text, at, number)])
    _post(
        server,
        "/track/error",
        {"model_name": text, "provider": text, "service": text, "error_type": text, "error_message": text,
         "stack_trace": f"File {text}\n{text}", "metadata": {text: text, TAG: text}},
    )  # fmt: skip
    _post(
        server,
        "/track/queue",
        {"source": text, "model_name": text, "provider": text, "service": text, "pending": 3, "processing": 2,
         "oldest_seconds": 9.5},
    )  # fmt: skip
    gpu = {"gpu_id": text, "name": text, "uuid": text, "utilization_percent": 50, "throttle_reasons": [text]}
    sample = {"host": text, "cpu_percent": 20, "memory_percent": 40, "gpu_metrics": [gpu]}
    _post(server, "/track/system", [sample, sample | {"timestamp": (at - timedelta(minutes=2)).isoformat()}])
    run_in_shell(server, _STORED.format(text=text))
    until = time.monotonic() + FIRES_SECONDS
    while not server.get("/alerts?state=firing").json()["results"]:
        assert time.monotonic() < until, "no alert fires"
        time.sleep(0.5)


def _requests(text: str, at: datetime, number: int) -> list[dict[str, Any]]:
    """The number-th requests of both models, of the last minutes and of an hour before."""
    failed = number < FAILED
    request = {
        "success": not failed,
        "status_code": 500 if failed else 200,
        "response_time_ms": 900 + 10 * number,
        "queue_time_ms": 20 + number,
        "ttft_ms": 200 + number,
        "prompt_tokens": 100 + number,
        "completion_tokens": 50 + number,
        "finish_reason": "stop",
        "user": text,
        "host": text,
        "operation": text,
        "trace_id": text,
        "metadata": {text: text, TAG: text},
        **({"error_type": text, "error_message": text, "stack_trace": f"File {text}\n{text}"} if failed else {}),
    }
    return [
        request
        | {
            "model_name": model,
            "provider": text if model != OTHER_MODEL else "vllm",
            "service": text if model != OTHER_MODEL else "chat",
            "endpoint": text if model != OTHER_MODEL else "/v1/chat",
            "timestamp": (at - timedelta(minutes=minutes, seconds=5 * number)).isoformat(),
            "request_id": f"{text}-{model}-{minutes}-{number}",
        }
        for model in (text, f"{text}-2", OTHER_MODEL)
        for minutes in (1, 61)
    ]


def _post(server: Server, path: str, body: Any) -> None:
    reply = server.post(path, body)
    assert reply.status == 200, reply.body
    assert reply.json()["accepted"] == (len(body) if isinstance(body, list) else 1), reply.body
