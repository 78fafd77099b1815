"""One request_id for several attempts, as gateways send it: each accepted event is listed with its own model, type and
time. The id alone identifies nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from tests.metrics.api.asgi_client import AsgiClient

pytestmark = pytest.mark.store

NOW = datetime.now(UTC).replace(microsecond=250_000)


def time(seconds: float) -> str:
    """Return a time some seconds after the start, which is a minute ago, as the API writes it."""
    return (NOW - timedelta(minutes=1) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


# A gateway tries a model, and after two seconds another one.
ATTEMPTS = [
    {"request_id": "r", "model_name": "first", "timestamp": time(0), "error_type": "RateLimitError"},
    {"request_id": "r", "model_name": "second", "timestamp": time(2), "error_type": "TimeoutError"},
]
CRITICAL = {
    "request_id": "r",
    "model_name": "third",
    "timestamp": time(3),
    "error_type": "OutOfMemoryError",
    "severity": "CRITICAL",
}
FAILED = [{**attempt, "success": False, "response_time_ms": 1_000} for attempt in ATTEMPTS]
FIELDS = ("request_id", "model_name", "timestamp", "error_type")


def post(api: AsgiClient, path: str, *events: dict[str, Any], at_once: bool = False) -> None:
    for body in [list(events)] if at_once else events:
        reply = api.post(path, body)
        count = len(events) if at_once else 1
        assert (reply.status, reply.json()["accepted"]) == (200, count), reply.body


def listed(api: AsgiClient, path: str, **params: Any) -> list[dict[str, Any]]:
    """Return the rows of a list, oldest first, and check that the export has the same."""
    reply = api.get(path, **params)
    assert reply.status == 200, reply.body
    rows: list[dict[str, Any]] = reply.json()["results"][::-1]
    export = {"/requests": "/export/inference.json", "/errors": "/export/errors.json"}[path]
    exported = api.get(export, **{name: value for name, value in params.items() if name == "model"}).json()
    known = [{name: row[name] for name in rows[0]} for row in exported] if rows else []  # it has further columns
    assert [row for row in rows if row not in known] == []
    return rows


def sent(rows: list[dict[str, Any]], *more: str) -> list[dict[str, Any]]:
    return [{name: row[name] for name in (*FIELDS, *more)} for row in rows]


def figures(api: AsgiClient, **params: Any) -> tuple[int, float]:
    summary = api.get("/metrics/summary", **params).json()
    return summary["total_requests"], summary["error_rate_percent"]


def assert_each_is_listed(api: AsgiClient, events: list[dict[str, Any]]) -> None:
    """Check that the errors are listed, and that each is matched by its own model, type, severity and id."""
    expected = [{"severity": "ERROR", **{name: event[name] for name in FIELDS}} | event for event in events]
    expected = [{name: event[name] for name in (*FIELDS, "severity")} for event in expected]
    assert sent(listed(api, "/errors"), "severity") == expected
    assert sent(listed(api, "/errors", request_id="r"), "severity") == expected
    for event in expected:
        for filters in ({"model": event["model_name"]}, {"error_type": event["error_type"]}):
            assert sent(listed(api, "/errors", **filters), "severity") == [event]
        (group,) = api.get("/errors/groups", model=event["model_name"]).json()["results"]
        assert (group["error_type"], group["count"]) == (event["error_type"], 1)


@pytest.fixture(params=[False, True], ids=["in posts of their own", "in one post"])
def at_once(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class AnIdOfTwoModels:
    def test_that_fail_is_two_requests_and_two_errors(self, api: AsgiClient, at_once: bool) -> None:
        post(api, "/track/inference", *FAILED, at_once=at_once)

        assert sent(listed(api, "/requests")) == ATTEMPTS
        assert_each_is_listed(api, ATTEMPTS)
        assert figures(api) == (2, 100.0)
        for row in listed(api, "/requests"):
            error = api.get(f"/requests/{row['id']}").json()["error"]
            assert error["error_type"] == row["error_type"]

    def test_in_two_errors_is_a_failure_of_each(self, api: AsgiClient, at_once: bool) -> None:
        post(api, "/track/error", *ATTEMPTS, at_once=at_once)

        assert_each_is_listed(api, ATTEMPTS)
        assert figures(api) == (2, 100.0)
        assert figures(api, model="second") == (1, 100.0)

    def test_in_errors_without_a_time_is_a_failure_of_each(self, api: AsgiClient, at_once: bool) -> None:
        unstamped = [{name: attempt[name] for name in attempt if name != "timestamp"} for attempt in ATTEMPTS]
        post(api, "/track/error", *unstamped, at_once=at_once)

        assert {row["model_name"]: row["error_type"] for row in listed(api, "/errors")} == {
            attempt["model_name"]: attempt["error_type"] for attempt in ATTEMPTS
        }
        assert figures(api) == (2, 100.0)
        assert [api.post("/track/error", attempt).json()["duplicates"] for attempt in unstamped] == [1, 1]

    @pytest.mark.parametrize("order", list(permutations(range(3))))
    def test_keeps_the_severity_of_each_error(self, api: AsgiClient, order: tuple[int, ...]) -> None:
        events = [*ATTEMPTS, CRITICAL]
        post(api, "/track/error", *(events[n] for n in order))

        assert_each_is_listed(api, events)
        assert sent(listed(api, "/errors", severity="critical")) == [{name: CRITICAL[name] for name in FIELDS}]
        assert figures(api) == (3, 100.0)

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (0, 3, 2, 1), (2, 1, 3, 0)])
    def test_is_two_failures_when_its_requests_and_errors_are_sent_apart(
        self, api: AsgiClient, order: tuple[int, ...]
    ) -> None:
        plain = [{name: event[name] for name in event if name != "error_type"} for event in FAILED]
        posts = [*(("/track/inference", event) for event in plain), *(("/track/error", event) for event in ATTEMPTS)]
        for path, event in (posts[n] for n in order):
            post(api, path, event)

        assert_each_is_listed(api, ATTEMPTS)
        assert figures(api) == (2, 100.0)
        assert (figures(api, model="first"), figures(api, model="second")) == ((1, 100.0), (1, 100.0))

    def test_at_one_time_is_two_requests(self, api: AsgiClient, at_once: bool) -> None:
        events = [{**event, "timestamp": time(0)} for event in FAILED]
        post(api, "/track/inference", *events, at_once=at_once)

        assert {row["model_name"] for row in listed(api, "/requests")} == {"first", "second"}
        assert {row["model_name"]: row["error_type"] for row in listed(api, "/errors")} == {
            event["model_name"]: event["error_type"] for event in events
        }
        assert [api.post("/track/inference", event).json()["duplicates"] for event in events] == [1, 1]

    def test_of_two_providers_at_one_time_is_two_requests(self, api: AsgiClient, at_once: bool) -> None:
        events = [{**FAILED[0], "provider": provider} for provider in ("azure", "openai")]
        post(api, "/track/inference", *events, at_once=at_once)

        assert {row["provider"] for row in listed(api, "/errors")} == {"azure", "openai"}
        assert figures(api) == (2, 100.0)


class AnIdOfOneModel:
    def test_that_fails_twice_is_two_requests(self, api: AsgiClient, at_once: bool) -> None:
        events = [{**event, "model_name": "first"} for event in FAILED]
        post(api, "/track/inference", *events, at_once=at_once)

        assert [row["error_type"] for row in listed(api, "/errors")] == ["RateLimitError", "TimeoutError"]
        assert figures(api) == (2, 100.0)

    def test_has_a_row_for_each_error_of_one_time(self, api: AsgiClient, at_once: bool) -> None:
        errors = [
            {**ATTEMPTS[0], **different}
            for different in ({}, {"severity": "CRITICAL"}, {"error_message": "x"}, {"error_type": "Other"})
        ]
        post(api, "/track/error", *errors, at_once=at_once)

        rows = [(row["error_type"], row["error_message"], row["severity"]) for row in listed(api, "/errors")]
        assert sorted(rows, key=str) == [
            ("Other", None, "ERROR"),
            ("RateLimitError", "x", "ERROR"),
            ("RateLimitError", None, "CRITICAL"),
            ("RateLimitError", None, "ERROR"),
        ]
        assert figures(api) == (1, 100.0)


class AnErrorOfAFailedRequest:
    @pytest.mark.parametrize("order", ["error first", "request first"])
    def test_keeps_its_type_time_and_severity(self, api: AsgiClient, order: str) -> None:
        request = {name: value for name, value in FAILED[0].items() if name != "error_type"} | {"provider": "p"}
        error = {**ATTEMPTS[0], "timestamp": time(1), "severity": "CRITICAL"}
        posts = [("/track/error", error), ("/track/inference", request)]
        for path, event in posts if order == "error first" else posts[::-1]:
            post(api, path, event)

        assert sent(listed(api, "/errors", model="first"), "severity") == [error]
        assert figures(api) == (1, 100.0)
