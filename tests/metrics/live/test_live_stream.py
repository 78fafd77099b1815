"""The live stream of a real server: what a page gets, what it may ask, and what it may cost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from llmmonitor.infra.databases import SQLITE_FILE
from tests.support.server import Server
from tests.support.timeouts import LONGEST_WAIT_SECONDS

pytestmark = pytest.mark.live
SERIES = [
    {"metric": "inference.response_time_ms", "stat": "p95"},
    {"metric": "inference.requests", "stat": "count"},
    {"metric": "inference.completion_tokens", "stat": "rate", "group_by": "model"},
    {"metric": "system.cpu_percent", "stat": "avg", "group_by": "host"},
    {"metric": "error.count", "stat": "sum"},
]


def event(model: str, **more: Any) -> dict[str, Any]:
    return {
        "model_name": model, "prompt_tokens": 10, "completion_tokens": 20, "response_time_ms": 120.0, "success": True
    } | more  # fmt: skip


@pytest.fixture
def live(module_server: Server) -> Iterator[ClientConnection]:
    """A page's connection, its hello read."""
    with opened(module_server, max_size=None) as connection:
        assert next_of(connection, "hello")
        yield connection


def opened(server: Server, path: str = "", **more: Any) -> ClientConnection:
    """A connection of one's own, nothing of it read."""
    return connect(server.ws_url + path, open_timeout=LONGEST_WAIT_SECONDS, **more)


def next_of(connection: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    while (left := until - time.monotonic()) > 0:
        message = json.loads(connection.recv(left))
        if message["type"] == kind:
            return dict(message)
    pytest.fail(f"no {kind} came")


def next_answer(connection: ClientConnection) -> dict[str, Any]:
    """The next tick that answers the subscription: one that takes longer than a second to compute misses a tick."""
    while "view" not in (tick := next_of(connection, "tick")):
        pass
    return tick


def ask(connection: ClientConnection, kind: str, **message: Any) -> None:
    connection.send(json.dumps({"type": kind, **message}))


class AHello:
    def test_is_a_tick_with_the_server_and_the_last_five_minutes(self, module_server: Server) -> None:
        with opened(module_server) as first:
            next_of(first, "tick")
        with opened(module_server) as second:
            hello = json.loads(second.recv(LONGEST_WAIT_SECONDS))
        assert hello["type"] == "hello"
        assert set(hello["server"]) == {"version", "start"}
        assert {"seq", "at", "window_seconds", "overall", "models", "queue", "hosts", "alerts"} <= set(hello)
        assert hello["history"][-1]["seq"] == hello["seq"]
        assert all(set(one) == {"seq", "at", "overall"} for one in hello["history"])


class ATick:
    def test_comes_each_second_and_is_what_current_answers(self, live: ClientConnection, module_server: Server) -> None:
        first, second, third = (next_of(live, "tick") for _ in range(3))
        assert first["seq"] < second["seq"] < third["seq"]
        answered = module_server.get("/metrics/current").json()
        if answered["seq"] == third["seq"]:
            assert answered == third

    def test_carries_what_was_acknowledged_before_it(self, live: ClientConnection, module_server: Server) -> None:
        assert module_server.post("/track/inference", event("told-at-once")).status == 200
        next_of(live, "tick")  # it may have been begun already
        assert "told-at-once" in next_of(live, "tick")["models"]

    def test_carries_this_machine(self, live: ClientConnection) -> None:
        (host,) = next_of(live, "tick")["hosts"]
        assert 0 <= host["memory_percent"] <= 100
        assert host["monitor_memory_mb"] > 20


class ASubscription:
    def test_gets_the_buckets_that_history_answers(self, live: ClientConnection, module_server: Server) -> None:
        filters = {"model": ["subscribed", "other"]}
        ask(live, "subscribe", filters=filters, step=2, series=SERIES)
        assert next_of(live, "subscribed")["step"] == 2
        next_of(live, "tick")  # it may have been on its way already
        seen: dict[tuple[str, ...], dict[int, Any]] = {}
        first_closed = last_closed = None
        for number in range(5):
            body = [event("subscribed", response_time_ms=100.0 + number), event("unasked"), event("other")]
            assert module_server.post("/track/inference", body).status == 200
            tick = next_answer(live)
            assert set(tick["view"]) == set(tick["overall"])
            for line in tick["buckets"]:
                points = seen.setdefault((line["metric"], line["stat"], json.dumps(line["labels"])), {})
                points |= dict(line["points"])
                closed = [at for at, _ in line["points"] if at // 1000 + 2 <= tick["seq"]]
                first_closed = first_closed or max(closed)
                last_closed = max(closed)
        assert first_closed is not None
        assert last_closed > first_closed
        # One more, so that what was committed after a bucket's end has been answered, too.
        tick = next_answer(live)
        for line in tick["buckets"]:
            points = seen[(line["metric"], line["stat"], json.dumps(line["labels"]))]
            points |= {at: value for at, value in line["points"] if at <= last_closed}

        for one in SERIES:
            query = f"metric={one['metric']}&stat={one['stat']}&step=2&from={first_closed}&to={last_closed + 2000}"
            query += "".join(f"&model={name}" for name in filters["model"])
            query += f"&group_by={one['group_by']}" if "group_by" in one else ""
            answer = module_server.get(f"/metrics/history?{query}").json()
            assert answer["series"]
            for line in answer["series"]:
                live_points = seen[(line["metric"], line["stat"], json.dumps(line["labels"]))]
                assert {at: live_points.get(at) for at, _ in line["points"]} == dict(line["points"])
        labels = [json.loads(one[2]) for one in seen if one[0] == "inference.completion_tokens"]
        assert sorted(one["model"] for one in labels) == ["other", "subscribed"]

    def test_is_replaced_by_the_next_and_ended_by_unsubscribe(self, live: ClientConnection) -> None:
        ask(live, "subscribe", step=1, series=SERIES[:1])
        next_of(live, "subscribed")
        ask(live, "subscribe", step=60, series=SERIES[1:2])
        next_of(live, "subscribed")
        next_answer(live)
        assert {line["metric"] for line in next_answer(live)["buckets"]} == {"inference.requests"}
        ask(live, "unsubscribe")
        next_of(live, "unsubscribed")
        next_of(live, "tick")
        assert "buckets" not in next_of(live, "tick")

    def test_beyond_the_thirty_second_is_told_to_poll(self, module_server: Server) -> None:
        with contextlib.ExitStack() as pages:
            for number in range(32):
                page = pages.enter_context(opened(module_server))
                ask(page, "subscribe", filters={"model": [f"m{number}"]}, step=10)
                next_of(page, "subscribed")
            late = pages.enter_context(opened(module_server))
            ask(late, "subscribe", filters={"model": ["m3"]}, step=10)
            next_of(late, "subscribed")  # the same as another's costs nothing
            ask(late, "subscribe", filters={"model": ["m33"]}, step=10)
            assert next_of(late, "error")["code"] == "poll"
            assert "view" not in next_of(late, "tick")

    @pytest.mark.parametrize(
        ("message", "told"),
        [
            ({"step": 0}, "step"),
            ({"step": "soon"}, "step"),
            ({}, "step"),
            ({"step": 1, "series": [{"metric": "nonsense"}]}, "inference.ttft_ms"),
            ({"step": 1, "series": [{"metric": "cpu_percent", "stat": "p95"}]}, "system.cpu_percent"),
            ({"step": 1, "series": [{"metric": "system.cpu_percent", "stat": "p95"}]}, "gauge"),
            ({"step": 1, "series": [{"metric": "ttft_ms", "group_by": "weather"}]}, "group_by"),
            ({"step": 1, "series": [{"metric": "ttft_ms"}] * 49}, "48"),
            ({"step": 1, "series": "all"}, "series"),
            ({"step": 1, "filters": {"colour": ["red"]}}, "colour"),
            ({"step": 1, "filters": ["a"]}, "filters"),
            ({"step": 1, "filters": {"model": ["x" * 1000]}}, "model"),
            ({"step": 1, "every": 2}, "every"),
            ({"step": 1, "id": ""}, "id must be a string of 1 to 64 characters"),
            ({"step": 1, "id": "x" * 65}, "id must be"),
            ({"step": 1, "id": 7}, "id must be"),
            ({"step": 1, "id": None}, "id must be"),
        ],
    )
    def test_that_is_wrong_is_answered_with_what_is_allowed(
        self, live: ClientConnection, message: dict[str, Any], told: str
    ) -> None:
        ask(live, "subscribe", **message)
        error = next_of(live, "error")
        assert error["code"] == "bad_query"
        assert told in error["detail"] + json.dumps(error.get("allowed"))


class AResume:
    def test_is_answered_with_the_missed_ticks(self, live: ClientConnection) -> None:
        first, second, third = (next_of(live, "tick") for _ in range(3))
        ask(live, "resume", seq=first["seq"])
        backfill = next_of(live, "backfill")
        assert "too_old" not in backfill
        missed = {tick["seq"]: tick for tick in backfill["ticks"]}
        assert list(missed) == sorted(missed)
        assert min(missed) > first["seq"]
        for heard in (second, third):
            heard.pop("dropped", None)  # of a machine that stalled for seconds
            assert missed[heard["seq"]] == heard

    def test_of_a_second_that_is_gone_says_too_old(self, live: ClientConnection) -> None:
        ask(live, "resume", seq=1_000_000)
        assert next_of(live, "backfill") == {"type": "backfill", "ticks": [], "too_old": True}

    @pytest.mark.parametrize("seq", ["now", None, -1, 1.5, True, 2**70])
    def test_with_a_wrong_seq_is_an_error(self, live: ClientConnection, seq: Any) -> None:
        ask(live, "resume", seq=seq)
        assert next_of(live, "error")["code"] in ("bad_query", "invalid_json")


class AMessage:
    @pytest.mark.parametrize(
        ("sent", "code"),
        [
            ("{", "invalid_json"),
            ("[" * 15_000, "invalid_json"),
            (b"\xff\xfe", "invalid_json"),
            ("[]", "unknown_type"),
            ('"tick"', "unknown_type"),
            ('{"type": ["subscribe"]}', "unknown_type"),
            ('{"type": "launch"}', "unknown_type"),
            ("x" * 20_000, "too_large"),
            ("é" * 10_000, "too_large"),  # of two bytes each
        ],
    )
    def test_that_is_not_understood_is_answered(self, live: ClientConnection, sent: str | bytes, code: str) -> None:
        live.send(sent)
        assert next_of(live, "error")["code"] == code
        ask(live, "ping")
        next_of(live, "pong")

    def test_of_megabytes_ends_the_connection(self, live: ClientConnection) -> None:
        with pytest.raises(ConnectionClosed):
            live.send("x" * 2_000_000)
            next_of(live, "nothing")

    def test_in_thousands_ends_the_connection(self, live: ClientConnection) -> None:
        with pytest.raises(ConnectionClosed):
            for _ in range(2_000):
                ask(live, "ping")
            next_of(live, "nothing")


class AHandshake:
    def test_of_another_sites_page_is_refused(self, module_server: Server) -> None:
        with pytest.raises(InvalidStatus) as refused, opened(module_server, origin="https://evil.example"):
            pass
        assert refused.value.response.status_code == 403

    def test_of_our_own_page_is_taken(self, module_server: Server) -> None:
        with opened(module_server, origin=module_server.url) as live:
            assert next_of(live, "hello")

    def test_through_a_proxy_without_a_login_is_closed(self, module_server: Server) -> None:
        with opened(module_server, additional_headers={"X-Forwarded-For": "203.0.113.9"}) as live:
            with contextlib.suppress(ConnectionClosed):
                live.recv(LONGEST_WAIT_SECONDS)
            assert live.close_code == 4401

    def test_while_the_store_fails_is_closed(self, server: Server) -> None:
        with contextlib.closing(sqlite3.connect(server.data_dir / SQLITE_FILE)) as database:
            database.execute("ALTER TABLE django_session RENAME TO away")
        cookie = {"Cookie": f"llmmonitor_session={'x' * 32}"}
        with opened(server, additional_headers=cookie) as live:
            with contextlib.suppress(ConnectionClosed):
                live.recv(LONGEST_WAIT_SECONDS)
            assert (live.close_code, live.close_reason) == (4503, "The database is not available.")
        assert "Exception inside application" not in server.output

    def test_on_another_path_is_refused(self, module_server: Server) -> None:
        with pytest.raises(InvalidStatus) as refused, opened(module_server, path="/more"):
            pass
        assert refused.value.response.status_code == 403
