"""The times of responses: each is counted by its route, whichever part of the server made it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings

from llmmonitor.environment import read_environment
from llmmonitor.infra.telemetry import telemetry
from tests.metrics.api.api_fixtures import api, db  # noqa: F401 (fixtures)
from tests.metrics.api.asgi_client import AsgiClient

GOOD = {"model_name": "m"}


@pytest.fixture
def lane() -> bool:
    return True


@pytest.fixture
def client(api: AsgiClient) -> Iterator[AsgiClient]:  # noqa: F811 (the fixture above)
    """A client of a server that has counted nothing yet."""
    telemetry._reset()
    yield api
    telemetry._reset()


def counted() -> tuple[dict[str, int], dict[str, int]]:
    """Return the number of responses by route, and of those with an error status by its class."""
    totals = telemetry.totals()
    times = {route: durations.count for route, durations in totals.durations_by_label("response").items()}
    return times, totals.by_label("error_responses")


class TheResponses:
    def test_of_the_fast_lane_are_counted_as_those_of_django(self, client: AsgiClient) -> None:
        for kind in ("inference", "inference", "error"):
            client.post(f"/track/{kind}", GOOD)
        by_lane, seen_by_lane = counted(), len(client.seen_by_django)
        telemetry._reset()
        for kind in ("inference", "inference", "error"):
            client.post(f"/track/{kind}", GOOD, cookie="a=b")

        assert (seen_by_lane, len(client.seen_by_django)) == (0, 3)
        assert by_lane == counted() == ({"track-inference": 2, "track-error": 1}, {"4xx": 1})

    @pytest.mark.parametrize(
        ("request_", "status", "route"),
        [
            (("GET", "/health", {}), 200, "health"),
            (("GET", "/export/inference.ndjson", {}), 200, "export"),
            (("GET", "/nowhere", {}), 404, "not found"),
            (("GET", "/requests/999999", {}), 404, "request"),
            (("GET", "/health", {"host": "evil.example"}), 400, "none"),
            (("OPTIONS", "/track/inference", {}), 200, "track-inference"),
        ],
    )
    def test_have_the_name_of_their_route(
        self, client: AsgiClient, request_: tuple[str, str, dict[str, str]], status: int, route: str
    ) -> None:
        method, path, headers = request_

        reply = client.request(method, path, headers=headers)

        assert reply.status == status
        assert counted() == ({route: 1}, {"4xx": 1} if status >= 400 else {})

    def test_to_bodies_that_are_too_large_are_counted(self, client: AsgiClient) -> None:
        limit: Any = read_environment().max_body_bytes

        reply = client.request("POST", "/track/inference", headers={"content-length": str(limit + 1)})

        assert reply.status == 413
        assert counted() == ({"none": 1}, {"4xx": 1})

    def test_to_requests_over_the_rate_limit_are_counted_once(self, client: AsgiClient) -> None:
        with override_settings(LLMMONITOR=read_environment().model_copy(update={"rate_limit_ingest_per_minute": 1})):
            statuses = [client.post("/track/inference", GOOD).status for _ in range(2)]

        assert statuses == [200, 429]
        assert counted() == ({"track-inference": 2}, {"4xx": 1})

    def test_are_counted_in_the_server(self, client: AsgiClient) -> None:
        from llmmonitor import asgi

        client._application = asgi.application
        client.get("/health")

        assert counted() == ({"health": 1}, {})
