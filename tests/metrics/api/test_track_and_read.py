"""Events sent to `/track/*` are in `/requests`, `/errors` and `/metrics/*` as soon as they are acknowledged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.metrics.api.api_fixtures import BOTH_WAYS
from tests.metrics.api.asgi_client import AsgiClient

pytestmark = [pytest.mark.store, BOTH_WAYS]

# The fourteen fields in the product's documentation.
SEED = {
    "request_id": "req-0001",
    "model_name": "llama-3.1-8b",
    "prompt_tokens": 120,
    "completion_tokens": 48,
    "total_tokens": 170,
    "response_time_ms": 812.5,
    "tokens_per_second": 61.25,
    "queue_time_ms": 12.25,
    "processing_time_ms": 790.125,
    "success": False,
    "error_message": "no answer within 60 s",
    "temperature": 0.7,
    "max_tokens": 256,
    "metadata": {"user": "ü-1", "nested": {"list": [1, 2.5, None, True]}},
}


def stamp(**ago: float) -> str:
    return (datetime.now(UTC) - timedelta(**ago)).isoformat()


def results(api: AsgiClient, path: str, **params: Any) -> list[dict[str, Any]]:
    reply = api.get(path, **params)
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.json()["results"]
    return rows


class AnEvent:
    def test_comes_back_with_the_corrections_that_the_response_named(self, api: AsgiClient) -> None:
        half, pair = rb"\ud83d", rb"\ud83d\ude00"
        body = b"""[
            {"model_name": "m", "request_id": "odd", "error_message": "cut %b", "user": "a\\u0000", "max_tokens": -1,
             "metadata": {"team": "%b%b", "nul": "\\u0000"}, "response_time_ms": 90, "status_code": 0, "%b": "%b"},
            {"model_name": "b"}, null
        ]""" % (half, pair, half, half, half)
        answer = api.post("/track/inference", body).json()
        assert (answer["accepted"], [entry["index"] for entry in answer["rejected"]]) == (2, [2])
        assert answer["corrected"] == {"user": 1, "max_tokens": 1, "status_code": 1}
        (row,) = results(api, "/requests", request_id="odd")
        expected = {"error_message": "cut \ufffd", "user": "a\ufffd", "max_tokens": None, "response_time_ms": 90}
        assert {name: row[name] for name in expected} == expected
        assert row["metadata"] == {"team": "😀\ufffd", "nul": "\ufffd", "\ufffd": "\ufffd"}
        assert [error["error_message"] for error in results(api, "/errors")] == ["cut \ufffd"]

    def test_comes_back_field_by_field(self, api: AsgiClient) -> None:
        reply = api.post("/track/inference", SEED)
        assert reply.status == 200
        assert reply.json() == {
            "accepted": 1,
            "duplicates": 0,
            "rejected": [],
            "request_ids": [],
            "dropped": {},
            "corrected": {},
        }
        (row,) = results(api, "/requests", request_id="req-0001")
        assert {name: row[name] for name in SEED} == SEED

    def test_comes_back_with_all_its_other_fields(self, api: AsgiClient) -> None:
        sent = {
            "timestamp": "2026-11-20T10:00:00.123456Z",
            "request_id": "r",
            "model_name": "m",
            "provider": "vllm",
            "service": "chat",
            "endpoint": "/v1/chat/completions",
            "operation": "chat",
            "stream": True,
            "response_time_ms": 1000.0,
            "ttft_ms": 200.0,
            "time_per_output_token_ms": 20.5,
            "cached_tokens": 5,
            "reasoning_tokens": 6,
            "finish_reason": "end_turn",
            "status_code": 200,
            "cost_usd": 0.00125,
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "span_id": "b7ad6b7169203331",
        }
        sent["timestamp"] = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+00:00", "Z")
        assert api.post("/track/inference", sent).json()["accepted"] == 1
        (row,) = results(api, "/requests")
        assert {name: row[name] for name in sent} == sent

    def test_is_in_the_summary_at_the_acknowledgement(self, api: AsgiClient) -> None:
        for number in range(1, 4):
            api.post("/track/inference", {"model_name": "m", "prompt_tokens": 10, "response_time_ms": 5})
            summary = api.get("/metrics/summary", range="1h").json()
            assert summary["total_requests"] == number
            assert summary["prompt_tokens"] == 10 * number

    def test_can_be_read_by_the_number_of_its_row(self, api: AsgiClient) -> None:
        api.post("/track/inference", SEED)
        (row,) = results(api, "/requests")
        shown = api.get(f"/requests/{row['id']}").json()
        assert shown["request_id"] == SEED["request_id"]
        assert shown["error"]["error_message"] == SEED["error_message"]

    def test_names_the_host_that_served_it_and_its_user(self, api: AsgiClient) -> None:
        api.post("/track/inference", [{"model_name": "m", "host": "gpu-1", "user": "u-17"}, {"model_name": "m"}])
        rows = results(api, "/requests")
        assert {(row["host"], row["user"]) for row in rows} == {("gpu-1", "u-17"), (None, None)}
        assert not {"model_key", "labels"} & rows[0].keys()
        assert b'"host":"gpu-1"' in api.get("/export/inference.ndjson").body
        # The filter `host` is for the samples of hosts.
        assert len(results(api, "/requests", host="gpu-2")) == 2

    def test_with_a_timeout_is_listed_with_the_successful_ones(self, api: AsgiClient) -> None:
        for status in (200, 429, 504):
            api.post("/track/inference", {"model_name": "m", "response_time_ms": status, "status_code": status})
        rows = results(api, "/requests", outcome="success_or_timeout")
        assert sorted(row["status_code"] for row in rows) == [200, 504]
        summary = api.get("/metrics/summary", outcome="success_or_timeout").json()
        assert (summary["total_requests"], summary["avg_response_time_ms"]) == (3, 352)

    def test_sent_again_is_a_duplicate(self, api: AsgiClient) -> None:
        event = {**SEED, "timestamp": stamp(minutes=1)}
        api.post("/track/inference", event)
        assert api.post("/track/inference", [event, {**event, "request_id": "other"}]).json()["duplicates"] == 1
        assert api.get("/metrics/summary").json()["total_requests"] == 2


class AnError:
    ERROR = {
        "request_id": "failed-1",
        "error_type": "TimeoutError",
        "error_message": "no answer within 60 s",
        "model_name": "m",
        "endpoint": "/v1/chat",
        "severity": "CRITICAL",
        "stack_trace": "Traceback …\n  line 1\nTimeoutError",
    }
    INFERENCE = {"request_id": "failed-1", "model_name": "m", "success": False, "response_time_ms": 60_000.0}

    def figures(self, api: AsgiClient) -> tuple[int, float]:
        summary = api.get("/metrics/summary").json()
        return summary["total_requests"], summary["error_rate_percent"]

    def test_comes_back_field_by_field(self, api: AsgiClient) -> None:
        sent = {**self.ERROR, "timestamp": stamp(minutes=1).replace("+00:00", "Z")}
        api.post("/track/error", sent)
        (row,) = results(api, "/errors")
        assert {name: row[name] for name in sent} == sent

    def test_alone_is_one_failed_request(self, api: AsgiClient) -> None:
        api.post("/track/error", self.ERROR)
        assert self.figures(api) == (1, 100.0)

    @pytest.mark.parametrize("first", ["the error", "the inference"])
    def test_with_its_failed_inference_is_still_one(self, api: AsgiClient, first: str) -> None:
        posts = [("/track/error", self.ERROR), ("/track/inference", self.INFERENCE)]
        for path, body in posts if first == "the error" else posts[::-1]:
            assert api.post(path, body).json()["accepted"] == 1
        assert self.figures(api) == (1, 100.0)
        assert len(results(api, "/errors")) == 1
        assert len(results(api, "/requests")) == 1

    def test_is_shown_with_the_request_that_it_belongs_to(self, api: AsgiClient) -> None:
        attempts = [
            {
                "model_name": "m",
                "request_id": "r",
                "status_code": 500,
                "response_time_ms": 1_000,
                "timestamp": stamp(**at),
            }
            for at in ({"minutes": 4}, {"minutes": 3, "seconds": 30}, {"minutes": 1})
        ]
        fallback = {"model_name": "other", "request_id": "r", "timestamp": attempts[1]["timestamp"]}
        api.post("/track/inference", [*attempts, fallback])
        for text, at in (("first", {"minutes": 3, "seconds": 58}), ("second", {"minutes": 3, "seconds": 25})):
            body = {"request_id": "r", "error_type": "E", "error_message": text, "timestamp": stamp(**at)}
            api.post("/track/error", body)
        rows = results(api, "/requests", request_id="r")
        shown = [api.get(f"/requests/{row['id']}").json() for row in rows]
        errors = {(row["model_name"], row["timestamp"][:19]): row["error"] for row in shown}
        texts = {key: error and error["error_message"] for key, error in errors.items()}
        sent = [("m", attempt["timestamp"][:19]) for attempt in attempts] + [("other", fallback["timestamp"][:19])]
        assert texts == dict(zip(sent, ["first", "second", None, None], strict=True))
        assert self.figures(api) == (4, 75.0)

    def test_that_is_a_warning_counts_as_no_failed_request(self, api: AsgiClient) -> None:
        api.post("/track/inference", {"model_name": "m", "request_id": "ok-1"})
        api.post("/track/error", {**self.ERROR, "request_id": "w", "severity": "WARNING"})
        assert self.figures(api) == (1, 0.0)
        assert len(results(api, "/errors")) == 1

    def test_is_grouped_with_similar_errors(self, api: AsgiClient) -> None:
        errors = [{**self.ERROR, "request_id": f"e{n}", "error_message": f"no answer within {n} s"} for n in range(5)]
        api.post("/track/error", errors)
        api.post("/track/error", {"error_type": "Other", "request_id": "o"})
        groups = results(api, "/errors/groups")
        assert [(group["error_type"], group["count"]) for group in groups] == [("TimeoutError", 5), ("Other", 1)]

    def test_of_too_many_groups_omits_the_rarest_and_counts_them(self, api: AsgiClient) -> None:
        api.post("/track/error", [{"error_type": kind, "request_id": kind} for kind in ("A", "B", "C", "D", "E")])
        answer = api.get("/errors/groups", limit=2).json()
        assert (len(answer["results"]), answer["groups_omitted"]) == (2, 3)
        answer = api.get("/errors/groups", search="e").json()
        assert [group["error_type"] for group in answer["results"]] == ["E"]


class AMachine:
    SYSTEM_FIELDS = {
        "cpu_percent": 41.5,
        "memory_percent": 63.0,
        "memory_used_gb": 80.25,
        "memory_total_gb": 128.0,
        "disk_percent": 55.5,
        "gpu_count": 2,
        "network_bytes_sent": 123_456_789_012,
        "network_bytes_recv": 987_654_321,
        "load_average": [1.5, 1.25, 1.0],
    }
    GPU = {
        "gpu_id": 0,
        "name": "NVIDIA H100",
        "temperature": 71.0,
        "utilization_percent": 96.0,
        "memory_used_mb": 70_000.0,
        "memory_total_mb": 81_559.0,
        "memory_percent": 85.8,
        "power_draw_watts": 612.5,
        "power_limit_watts": 700.0,
    }

    def test_with_two_gpus_and_one_field_missing_comes_back_whole(self, api: AsgiClient) -> None:
        gpus = [self.GPU, {**self.GPU, "gpu_id": 1, "power_limit_watts": None}]
        sample = {"host": "gpu-1", **self.SYSTEM_FIELDS, "gpu_metrics": gpus}
        assert api.post("/track/system", sample).json()["accepted"] == 1
        (host,) = api.get("/metrics/current").json()["hosts"]
        assert host["host"] == "gpu-1"
        assert {name: host[name] for name in self.SYSTEM_FIELDS} == self.SYSTEM_FIELDS
        assert [{name: gpu[name] for name in self.GPU} for gpu in host["gpu_metrics"]] == gpus

    def test_is_in_the_exports(self, api: AsgiClient) -> None:
        gpus = [self.GPU, {**self.GPU, "gpu_id": 1, "power_limit_watts": None}]
        api.post("/track/system", {"host": "gpu-1", **self.SYSTEM_FIELDS, "gpu_metrics": gpus})
        (system,) = api.get("/export/system.json").json()
        assert {name: system[name] for name in self.SYSTEM_FIELDS} == self.SYSTEM_FIELDS
        exported = api.get("/export/gpu.json").json()
        assert [{name: gpu[name] for name in self.GPU} for gpu in exported] == gpus


class AQueue:
    def test_is_in_the_snapshot(self, api: AsgiClient) -> None:
        queue = {"source": "gateway-1", "model_name": "m", "pending": 3, "processing": 8, "wait_time_ms": 12.5}
        assert api.post("/track/queue", queue).json()["accepted"] == 1
        shown = api.get("/metrics/current").json()["queue"]
        assert (shown["pending"], shown["processing"]) == (3, 8)


class AName:
    NAMES = (
        "🦙 llama 👩‍💻",
        "שלום-דגם العربية",
        "meta-llama/Llama-3.1/8B instruct",
        "x" * 200,
        "a b&c=d?e#f%20+g;h",
        "..",
        "-1",
    )

    @pytest.mark.parametrize("name", NAMES)
    def test_is_stored_and_matched_as_it_was_sent(self, api: AsgiClient, name: str) -> None:
        labels = {"model_name": name, "provider": name, "service": name, "endpoint": name}
        api.post("/track/inference", [{**labels, "request_id": "r"}, {"model_name": "other"}])
        for label in ("model", "provider", "service", "endpoint"):
            (row,) = results(api, "/requests", **{label: name})
            assert {key: row[key] for key in labels} == labels
            assert api.get("/metrics/summary", **{label: name}).json()["total_requests"] == 1
        if not {"?", "#"} & set(name):
            reply = api.get(f"/models/{name}")
            assert (reply.status, reply.json()["model_name"]) == (200, name)
        assert name in {row["model_name"] for row in results(api, "/models")}

    def test_of_a_host_is_too(self, api: AsgiClient) -> None:
        name = "מארח/🖥️ 1"
        api.post("/track/system", [{"host": name, "cpu_percent": 10.0}, {"host": "other", "cpu_percent": 90.0}])
        answer = api.get("/metrics/history", metric="system.cpu_percent", stat="max", host=name, range="5m").json()
        assert {value for _, value in answer["series"][0]["points"]} - {None} == {10.0}
