"""Requests that the OpenAPI document allows: each response is as described, and none is a server error."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import schemathesis
from django.core.asgi import get_asgi_application
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from metrics import catalogue
from metrics.api.openapi.parameters import DISTRIBUTIONS
from metrics.queries.answers.resource_heatmap import METRICS as RESOURCE_METRICS
from tests.metrics.api.asgi_client import ADDRESS, AsgiClient

load_all_checks()
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 8  # of each operation: about two hundred requests in total
client_numbers = count()


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application for clients on this machine. Each request has another address, because of the rate limit."""
    if scope["type"] == "http":
        headers = [(name, value) for name, value in scope["headers"] if name.lower() not in (b"host", b"authorization")]
        number = next(client_numbers)
        scope = {
            **scope,
            "headers": [*headers, (b"host", b"127.0.0.1:8899")],
            "client": (f"127.1.{number // 250 % 250}.{number % 250 + 1}", 1),
            "server": ADDRESS,
        }
    await get_asgi_application()(scope, receive, send)


@pytest.fixture
def described(api: AsgiClient) -> Any:
    """The schema from `/schema`, and a database with events of every kind."""
    api.post(
        "/track/inference", [{"model_name": "a/b", "response_time_ms": n, "completion_tokens": n} for n in range(5)]
    )
    api.post("/track/inference", {"model_name": "m", "success": False, "error_type": "E", "stack_trace": "x"})
    api.post("/track/error", {"error_type": "E", "metadata": {"a": 1}})
    api.post("/track/queue", {"source": "s", "model_name": "m", "pending": 1})
    api.post("/track/system", {"host": "h", "cpu_percent": 1.0, "gpu_metrics": [{"gpu_id": 0}]})
    schema = schemathesis.openapi.from_dict(api.get("/schema").json())
    schema.app = application
    return schema.exclude(path="/demo")


WINDOW = {"range": "1h"}
REQUESTS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("/metrics", {}, {}),
    ("/metrics/current", {}, {}),
    ("/metrics/summary", {}, {"range": "30d", "model": ["a/b", "m"], "outcome": "all"}),
    ("/metrics/history", {}, {**WINDOW, "metric": ["ttft_ms", "error.count", "gpu.temperature"], "group_by": "model"}),
    ("/metrics/distribution", {}, WINDOW),
    ("/metrics/heatmap", {}, WINDOW),
    ("/metrics/heatmap", {}, {**WINDOW, "metric": "gpu.utilization_percent", "by": "gpu"}),
    ("/metrics/heatmap", {}, {"metric": "system.cpu_percent", "by": "weekday", "tz": "Europe/Berlin"}),
    ("/models", {}, WINDOW),
    ("/models/{name}", {"name": "m"}, WINDOW),
    ("/requests", {}, {**WINDOW, "limit": 2, "has_error": "false"}),
    ("/errors", {}, {**WINDOW, "severity": "ERROR"}),
    ("/errors/groups", {}, {}),
    ("/annotations", {}, {**WINDOW, "model": "m", "limit": 2}),
    ("/export/{kind}.{extension}", {"kind": "inference", "extension": "json"}, {}),
    ("/export/{kind}.{extension}", {"kind": "history", "extension": "ndjson"}, {"metric": "requests"}),
    ("/health", {}, {}),
    ("/health/ready", {}, {}),
]


class TheSchema:
    @pytest.mark.parametrize(("path", "parts", "query"), REQUESTS)
    def test_describes_the_response(self, described: Any, path: str, parts: dict[str, str], query: Any) -> None:
        case = described[path]["GET"].Case(path_parameters=parts, query=query)
        assert case.call_and_validate(checks=CHECKS).status_code == 200

    def test_describes_the_response_about_one_request(self, described: Any, api: AsgiClient) -> None:
        for row in api.get("/requests").json()["results"]:
            case = described["/requests/{number}"]["GET"].Case(path_parameters={"number": row["id"]})
            assert case.call_and_validate(checks=CHECKS).status_code == 200

    @pytest.mark.parametrize("kind", ["inference", "error", "queue", "system"])
    def test_has_an_example_of_each_event_that_is_accepted(self, described: Any, kind: str) -> None:
        operation = described[f"/track/{kind}"]["POST"]
        (example,) = operation.definition.raw["requestBody"]["content"]["application/json"]["examples"].values()
        case = operation.Case(body=example["value"], media_type="application/json")
        reply = case.call_and_validate(checks=CHECKS)
        assert reply.json()["accepted"] == 1, (reply.json(), case.body)

    def test_groups_all_operations_in_the_order_in_which_a_person_needs_them(self, described: Any) -> None:
        groups = [tag["name"] for tag in described.raw_schema["tags"]]
        assert (groups[0], groups[-1]) == ("track", "demo")
        used = {
            tag for path in described.raw_schema["paths"].values() for call in path.values() for tag in call["tags"]
        }
        assert used == set(groups)

    def test_lists_the_metrics_of_the_catalogue(self, described: Any) -> None:
        for path, names in (
            ("/metrics/history", catalogue.NAMES),
            ("/metrics/heatmap", [*DISTRIBUTIONS, *(metric.name for metric in RESOURCE_METRICS)]),
        ):
            parameters = {
                parameter["name"]: parameter for parameter in described[path]["GET"].definition.raw["parameters"]
            }
            schema = parameters["metric"]["schema"]
            assert set(schema.get("items", schema)["enum"]) == set(names)

    def test_lists_the_outcomes_that_are_accepted(self, described: Any) -> None:
        parameters = {
            parameter["name"]: parameter["schema"]
            for parameter in described.raw_schema["paths"]["/requests"]["get"]["parameters"]
        }
        assert "timeout" in parameters["outcome"]["enum"]

    def test_is_kept_by_each_operation(self, described: Any) -> None:
        operations = []
        for result in described.get_all_operations():
            operation = result.ok()

            @given(case=operation.as_strategy())
            @settings(max_examples=EXAMPLES, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
            def responds_as_described(case: schemathesis.Case) -> None:
                case.call_and_validate(checks=CHECKS)

            responds_as_described()
            operations.append(operation.label)
        assert len(operations) == 45
        assert {"POST /track/inference", "GET /metrics/summary", "GET /requests"} <= set(operations)
