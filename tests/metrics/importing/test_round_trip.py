"""An export that is imported into an empty instance: the same rows, sums and histograms."""

from __future__ import annotations

import gzip
import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings

from metrics.events import SystemEvent
from metrics.models import ErrorMetrics, InferenceMetrics, SystemMetrics
from metrics.store.writing.transaction import Store
from tests.metrics.api.asgi_client import AsgiClient
from tests.metrics.importing.instances import (
    NOW,
    ago,
    empty,
    export,
    figures,
    gauges,
    run_import,
    stored,
)

pytestmark = pytest.mark.store

EXTENSIONS = ["csv", "json", "ndjson"]
KINDS = ["inference", "errors", "system", "gpu", "queue"]
HARD_TEXTS = [
    "=1+1",
    "'=1+1",
    "''@x",
    "+3",
    "-4.5",
    "'",
    'a,b\r\nc"d',
    "zwei\u2028Zeilen 🦙",
    "\u202e-x",
    "007",
    "true",
]


def requests() -> list[dict[str, Any]]:
    """Return 400 requests of the last two hours with values of every field."""
    draw = random.Random(5)
    events = []
    for number in range(400):
        at = (NOW - timedelta(seconds=draw.uniform(0, 7_000))).isoformat()
        event: dict[str, Any] = {
            "timestamp": at,
            "request_id": f"r{number}",
            "model_name": draw.choice(["plain", "=cmd()", "'@model 🦙"]),
            "provider": draw.choice(["", "vllm"]),
            "service": draw.choice(["chat", "-search"]),
            "response_time_ms": draw.lognormvariate(6, 1),
            "metadata": {"team": draw.choice(["a", "b"]), "note": draw.choice(HARD_TEXTS), "n": [1, None, 1e20]},
        }
        optional = {
            "prompt_tokens": draw.randrange(4_000),
            "completion_tokens": draw.randrange(900),
            "cached_tokens": 3,
            "reasoning_tokens": 4,
            "queue_time_ms": draw.uniform(0, 5),
            "ttft_ms": draw.uniform(1, 300),
            "stream": draw.random() < 0.5,
            "finish_reason": draw.choice(["stop", "length"]),
            "temperature": 0.7,
            "max_tokens": 512,
            "cost_usd": draw.uniform(0, 0.02),
            "trace_id": draw.choice(HARD_TEXTS),
            "span_id": "00f067aa0ba902b7",
            "endpoint": "/v1/chat",
            "operation": "chat",
            "host": "gpu-1",
            "user": "12",
        }
        event |= {name: value for name, value in optional.items() if draw.random() < 0.7}
        if number % 5 == 0:
            status = draw.choice([400, 429, 500, 504, 499])
            event |= {"success": False, "status_code": status}
        if number % 10 == 0:
            event |= {
                "error_type": "RateLimitError",
                "error_message": draw.choice(HARD_TEXTS),
                "stack_trace": f'File "a.py", line {number}\n  raise',
                "severity": draw.choice(["WARNING", "ERROR", "CRITICAL"]),
            }
        if number % 50 == 7:
            event["stack_trace"] = "only a stack trace"
        if number % 7 == 0:
            event["metadata"]["llmmonitor.demo"] = True
        events.append(event)
    return events


def errors(of: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return errors: alone, of failed requests with and without a model, of one failure, warnings, without a time."""
    own = [
        {
            "timestamp": ago(seconds=20 * number),
            "request_id": f"e{number}",
            "error_type": kind,
            "error_message": HARD_TEXTS[number % len(HARD_TEXTS)],
            "model_name": "plain",
            "status_code": status,
            "severity": severity,
            "endpoint": "/v1/x",
            "metadata": {"team": "a"},
        }
        for number, (kind, status, severity) in enumerate(
            [("Odd", 429, "ERROR"), ("TimeoutError", None, "CRITICAL"), ("Odd", 400, "WARNING"), ("Odd", 499, "ERROR")]
            * 5
        )
    ]
    failed = [event for event in of if event.get("success") is False][:30]
    for number, request in enumerate(failed):
        at = request["timestamp"]
        error = {"timestamp": at, "request_id": request["request_id"], "error_type": "LaterError", "provider": ""}
        if number % 3 == 0:
            error |= {"model_name": request["model_name"], "provider": request["provider"]}
        elif number % 3 == 1:
            error["model_name"] = request["model_name"]
        own.append(error)
    own += [
        {"timestamp": ago(seconds=seconds), "request_id": "shared", "error_type": "Shared"}
        for seconds in (3_000, 3_010, 3_020, 3_500)  # the first three are one failure
    ]
    own.append({"timestamp": ago(seconds=9), "error_type": "NoModel", "provider": "named", "request_id": "nameless"})
    own.append({"error_message": "without a time", "request_id": "unstamped"})
    return own


def machines() -> list[dict[str, Any]]:
    """Return samples of two hosts with GPUs."""
    draw = random.Random(6)
    return [
        {
            "timestamp": ago(seconds=30 * number + 0.25),
            "host": host,
            "platform": "Linux",
            "cpu_percent": draw.uniform(0, 100),
            "cpu_count": 16,
            "per_core_percent": [draw.uniform(0, 100), 3.0],
            "load_average": [1.5, draw.uniform(0, 4), 0.0],
            "memory_used_gb": draw.uniform(1, 20),
            "memory_total_gb": 32,
            "network_bytes_sent": 10**9 - number * 1_000,
            "disk_read_bytes": None if number % 3 else 12,
            "gpu_count": 2,
            "llmmonitor.demo": host == "demo-host",
            "gpu_metrics": [
                {
                    "gpu_id": gpu,
                    "name": "H100",
                    "uuid": "GPU-1",
                    "utilization_percent": draw.uniform(0, 100),
                    "memory_used_mb": 100,
                    "memory_total_mb": 80_000,
                    "temperature": 41,
                    "performance_state": "P2",
                    "throttle_reasons": ["power"] if number % 2 else [],
                    "ecc_uncorrected_total": 0,
                    "energy_joules": 12.5,
                }
                for gpu in (0, "0:1")
            ],
        }
        for host in ("alpha", "demo-host")
        for number in range(60)
    ]


def queues() -> list[dict[str, Any]]:
    """Return samples of queues of two kinds of source."""
    draw = random.Random(7)
    return [
        {
            "timestamp": ago(seconds=15 * number + 1),
            "source": source,
            "kind": kind,
            "model_name": "plain",
            "provider": "vllm",
            "pending": draw.randrange(9),
            "processing": draw.randrange(5),
            "wait_time_ms": draw.uniform(0, 9),
            "oldest_seconds": draw.uniform(0, 3),
            "ratelimit_remaining_requests": 480,
        }
        for source, kind in (("gateway", "track"), ("pod-1", "sdk"))
        for number in range(80)
    ]


@pytest.fixture
def tags() -> Any:
    """Tags, so that label sets have more than names."""
    with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update={"tags": ("team",)})):
        yield


@pytest.fixture
def filled(api: AsgiClient, tags: Any) -> AsgiClient:
    """An instance with events of every kind."""
    sent = requests()
    for path, events in (
        ("inference", sent),
        ("error", errors(sent)),
        ("system", machines()),
        ("queue", queues()),
    ):
        response = api.post(f"/track/{path}", events).json()
        assert response["accepted"] == len(events), response
        assert not response["dropped"], response
    return api


def write(folder: Path, api: AsgiClient, extension: str, kinds: list[str] = KINDS) -> list[Path]:
    """Write exports as files with names that say nothing."""
    paths = []
    for number, kind in enumerate(kinds):
        path = folder / f"file-{number}"
        path.write_bytes(export(api, kind, extension))
        paths.append(path)
    return paths


class AnImportedExport:
    def test_has_no_figures_of_the_other_monitor(self, api: AsgiClient, tmp_path: Path) -> None:
        own = SystemEvent(timestamp=NOW - timedelta(seconds=5), host="other", cpu_percent=5.0, monitor_cpu_percent=9.0)
        Store(clock=lambda: NOW).commit([own])
        [path] = write(tmp_path, api, "csv", ["system"])
        empty()

        report = run_import(path)

        assert " 0 rejected" in report
        assert list(SystemMetrics.objects.values_list("cpu_percent", "monitor_cpu_percent")) == [(5.0, None)]

    @pytest.mark.parametrize("extension", EXTENSIONS)
    @pytest.mark.parametrize("order", [KINDS, KINDS[::-1]], ids=["in order", "in reverse order"])
    def test_stores_the_same_rows_sums_and_histograms(
        self, filled: AsgiClient, tmp_path: Path, extension: str, order: list[str]
    ) -> None:
        rows, sums, levels = {kind: stored(kind) for kind in KINDS}, figures(filled), gauges()
        exported = {kind: sorted(export(filled, kind, "ndjson").splitlines()) for kind in ("system", "gpu", "queue")}
        paths = write(tmp_path, filled, extension, order)
        empty()

        reports = [run_import(path) for path in paths]

        assert all(" 0 rejected" in report for report in reports), reports
        for kind in KINDS:
            assert stored(kind) == rows[kind], kind
        assert figures(filled) == sums
        assert gauges() == levels
        for kind, lines in exported.items():
            assert sorted(export(filled, kind, "ndjson").splitlines()) == lines

    @pytest.mark.parametrize("extension", EXTENSIONS)
    def test_adds_nothing_the_second_time_nor_where_it_comes_from(
        self, filled: AsgiClient, tmp_path: Path, extension: str
    ) -> None:
        paths = write(tmp_path, filled, extension)
        before = {kind: stored(kind) for kind in KINDS}, figures(filled)

        reports = [run_import(path) for path in paths]

        assert not [report for report in reports if "stored" in report], reports
        assert ({kind: stored(kind) for kind in KINDS}, figures(filled)) == before

    def test_counts_a_failure_once_whichever_file_comes_first(self, api: AsgiClient, tmp_path: Path) -> None:
        failed = {"timestamp": ago(seconds=50), "request_id": "a", "model_name": "m", "success": False}
        api.post("/track/inference", [failed])
        api.post("/track/error", [{"timestamp": ago(seconds=49), "request_id": "a", "error_type": "Late"}])
        sums = figures(api)
        assert sums["summary"]["total_requests"] == 1
        for order in (["inference", "errors"], ["errors", "inference"]):
            paths = write(tmp_path, api, "csv", order)
            empty()

            for path in paths:
                run_import(path)

            assert figures(api) == sums
            assert ErrorMetrics.objects.get().series.model_name == "m"

    def test_says_that_errors_of_requests_come_with_the_requests(self, filled: AsgiClient, tmp_path: Path) -> None:
        (path,) = write(tmp_path, filled, "ndjson", ["errors"])
        sent_with_request = ErrorMetrics.objects.filter(sent_with_request=True).count()
        empty()

        report = run_import(path)

        assert f"{sent_with_request}  errors that were sent with a request; import the export of `inference`" in report

    def test_of_errors_without_a_time_keeps_those_of_one_id_apart(self, api: AsgiClient, tmp_path: Path) -> None:
        rows = "\n".join(
            f'{{"timestamp": "{ago(minutes=minutes)}", "request_id": "unknown", "error_type": "E", '
            f'"severity": "ERROR", "counted_outcome": "server_error", "stamped": false}}'
            for minutes in (60, 40, 20)
        )
        path = tmp_path / "errors"
        path.write_text(rows)

        assert "3 stored" in run_import(path)
        assert set(ErrorMetrics.objects.values_list("stamped", flat=True)) == {False}

    def test_of_rows_beyond_the_limit_of_series_has_their_own_labels(self, api: AsgiClient, tmp_path: Path) -> None:
        events = [
            {"timestamp": ago(seconds=number), "request_id": "a", "model_name": f"m{number}"} for number in range(5)
        ]
        with override_settings(LLMMONITOR=settings.LLMMONITOR.model_copy(update={"max_series": 2})):
            assert api.post("/track/inference", events).json()["accepted"] == 5
            paths = write(tmp_path, api, "csv", ["inference"])
        assert InferenceMetrics.objects.filter(series__model_name="__other__").exists()
        empty()

        assert "5 stored" in run_import(paths[0])
        names = InferenceMetrics.objects.values_list("series__model_name", flat=True)
        assert sorted(names) == [f"m{number}" for number in range(5)]

    def test_may_be_compressed(self, filled: AsgiClient, tmp_path: Path) -> None:
        rows = stored("inference")
        path = tmp_path / "requests.csv.gz"
        path.write_bytes(gzip.compress(export(filled, "inference", "csv")))
        empty()

        assert "400 stored" in run_import(path)
        assert stored("inference") == rows

    def test_of_nothing_is_no_error(self, api: AsgiClient, tmp_path: Path) -> None:
        for extension in EXTENSIONS:
            (path,) = write(tmp_path, api, extension, ["inference"])
            assert "The file has no rows." in run_import(path)
