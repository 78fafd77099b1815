"""What a post of events is answered: by the function behind every door, and by the views in front of it."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from asgiref.sync import async_to_sync
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIRequestFactory

import metrics.ingest.post
from metrics.events import Event, Kind, Rejection
from metrics.events.validation import ACCEPTED_FIELDS
from metrics.ingest.body import MAX_LOOP_BYTES
from metrics.ingest.post import IngestResponse, aingest, ingest
from metrics.ingest.recorder import CommitResult, QueueFull, StoreUnavailable
from tests.support.policies import make_ingest_policy

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
JSON = "application/json"


GOOD: dict[Kind, dict[str, Any]] = {
    Kind.INFERENCE: {"model_name": "m"},
    Kind.ERROR: {"error_type": "E"},
    Kind.QUEUE: {"source": "s", "model_name": "m", "pending": 1},
    Kind.SYSTEM: {"host": "h"},
}
NAMES = sorted({"x", "prompt", "usage", "latency_ms", "input_tokens", "model", "tags"}.union(*ACCEPTED_FIELDS.values()))
ODD_VALUES = [  # as they are written in JSON
    *("NaN", "Infinity", "-Infinity", "1e400", "1e-400", "-0", "9" * 400, "-" + "9" * 5_000, str(2**64), "1e308"),
    *("-1", "null", "true", '""', '"m"', '"cut \\ud83d"', '"\\u0000"', '"NaN"', '"P0"', "1790000000", "[]", "{}"),
    *('{"a": NaN}', "[NaN]", '{"a": 1, "a": NaN}', '{"": 1e400}', '{"\\ud83d": 1}', '[{"gpu_id": 0, "name": NaN}]'),
    *('[{"gpu_id": NaN}]', '{"prompt_tokens": NaN, "input_tokens": 1e400}'),
    *(opening * levels + closing * levels for opening, closing in ("[]", ('{"a": [', "]}")) for levels in (500, 1_100)),
]


class FakeRecorder:
    """Takes events and answers what it was told to; by default it stores them all."""

    def __init__(self, answer: Callable[[int], CommitResult] | Exception | None = None) -> None:
        self.events: list[Any] = []
        self.sizes: list[int] = []
        self.answer = answer or (lambda count: recorded(accepted=count))

    def submit(self, events: Sequence[Event], size: int) -> Future[CommitResult]:
        if isinstance(self.answer, QueueFull):
            raise self.answer
        self.events += events
        self.sizes.append(size)
        future: Future[CommitResult] = Future()
        if isinstance(self.answer, Exception):
            future.set_exception(self.answer)
        else:
            future.set_result(self.answer(len(events)))
        return future


class SilentRecorder:
    """Takes events and never answers."""

    def __init__(self) -> None:
        self.future: Future[CommitResult] = Future()

    def submit(self, events: Sequence[Event], size: int) -> Future[CommitResult]:
        return self.future


def recorded(accepted: int = 0, duplicates: int = 0, rejected: list[Any] | None = None) -> CommitResult:
    return CommitResult(accepted=accepted, duplicates=duplicates, duplicate_indexes=[], rejected=rejected or [])


@pytest.fixture(autouse=True)
def policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """No raw floor: these tests need no database."""
    monkeypatch.setattr(
        metrics.ingest.post, "ingest_policy", lambda kind: make_ingest_policy(raw_floor=AT - timedelta(days=30))
    )


@pytest.fixture(params=["in a thread", "on an event loop"])
def post(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Posts to `ingest` and to `aingest`, which must answer the same."""

    async def send(
        body: Any,
        recorder: Any = None,
        kind: Kind = Kind.INFERENCE,
        content_type: str | None = JSON,
        encoding: str | None = None,
    ) -> IngestResponse:
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        taker = recorder or FakeRecorder()
        if request.param == "in a thread":
            return ingest(kind, raw, content_type, encoding, AT, recorder=taker)
        return await aingest(kind, raw, content_type, encoding, AT, recorder=taker)

    return send


def events(count: int) -> list[dict[str, Any]]:
    return [{"model_name": "m", "request_id": f"r{n}"} for n in range(count)]


Post = Callable[..., Any]


class AnAnswer:
    async def test_counts_what_was_stored(self, post: Post) -> None:
        recorder = FakeRecorder()
        answer = await post(events(3), recorder)
        assert answer == IngestResponse(
            200, {"accepted": 3, "duplicates": 0, "rejected": [], "request_ids": [], "dropped": {}, "corrected": {}}
        )
        assert [event.request_id for event in recorder.events] == ["r0", "r1", "r2"]
        assert answer.content_type == JSON

    async def test_adds_up_to_what_was_sent_and_names_each_refusal_by_its_place(self, post: Post) -> None:
        items: list[Any] = events(6)
        items[1]["model_name"] = 7
        items[4] = "no object"
        # The recorder refuses the second of the four that it got (index 2) and knows the third (index 3).
        recorder = FakeRecorder(
            lambda count: recorded(
                accepted=count - 2, duplicates=1, rejected=[Rejection(1, "timestamp", "fell below the floor")]
            )
        )
        payload = (await post(items, recorder)).payload
        assert payload["accepted"] + payload["duplicates"] + len(payload["rejected"]) == 6
        assert payload["rejected"] == [
            {"index": 1, "field": "model_name", "error": "must be text, got 7"},
            {"index": 2, "field": "timestamp", "error": "fell below the floor"},
            {"index": 4, "field": None, "error": "must be an object, got text"},
        ]

    async def test_names_the_ids_made_here_for_exactly_those_without_one(self, post: Post) -> None:
        recorder = FakeRecorder(lambda count: recorded(accepted=3, rejected=[Rejection(3, "timestamp", "x")]))
        items = [
            {"model_name": "a"},
            {"model_name": "b", "request_id": "mine"},
            {"model_name": "c"},
            {"model_name": "d"},
        ]
        payload = (await post(items, recorder)).payload
        made = [event.request_id for event in recorder.events]
        assert payload["request_ids"] == [made[0], made[2]]

    async def test_is_the_same_in_form_when_every_event_was_refused(self, post: Post) -> None:
        recorder = FakeRecorder()
        answer = await post([{"model_name": ""}, {}], recorder)
        assert answer.status == 422
        assert [(entry["index"], entry["field"]) for entry in answer.payload["rejected"]] == [
            (0, "model_name"),
            (1, "model_name"),
        ]
        assert (answer.payload["accepted"], answer.payload["duplicates"]) == (0, 0)
        assert recorder.events == []
        by_recorder = FakeRecorder(lambda count: recorded(rejected=[Rejection(0, "timestamp", "x")]))
        assert (await post(events(1), by_recorder)).status == 422

    async def test_is_200_for_a_repeat(self, post: Post) -> None:
        answer = await post(events(2), FakeRecorder(lambda count: recorded(duplicates=count)))
        assert (answer.status, answer.payload["duplicates"]) == (200, 2)

    async def test_names_what_was_left_out(self, post: Post) -> None:
        payload = (await post({"model_name": "m", "prompt": "x", "metadata": {"a": {"messages": []}}})).payload
        assert payload["dropped"] == {"prompt": 1, "metadata.a.messages": 1}

    async def test_names_what_was_corrected(self, post: Post) -> None:
        recorder = FakeRecorder()
        payload = (await post({"model_name": "m", "max_tokens": -1, "prompt_tokens": 3}, recorder)).payload
        assert (payload["accepted"], payload["corrected"], payload["dropped"]) == (1, {"max_tokens": 1}, {})
        [event] = recorder.events
        assert (event.max_tokens, event.prompt_tokens) == (None, 3)

    async def test_keeps_the_good_lines_beside_a_broken_one(self, post: Post) -> None:
        body = b'{"model_name": "a"}\n{"model_name"\n{"model_name": "b"}'
        payload = (await post(body, content_type="application/x-ndjson")).payload
        assert payload["accepted"] == 2
        [rejection] = payload["rejected"]
        assert (rejection["index"], rejection["field"]) == (1, None)

    @pytest.mark.parametrize("odd", [b"5", b"null", b"[1]", b'"text"', b"[]", b"true", b"{}"])
    @pytest.mark.parametrize(
        ("form", "content_type"),
        [(b"[%b,%b,%b]", JSON), (b'{"events": [%b,%b,%b]}', JSON), (b"%b\n%b\n%b", "application/x-ndjson")],
    )
    async def test_rejects_only_the_event_that_is_none(
        self, post: Post, odd: bytes, form: bytes, content_type: str
    ) -> None:
        recorder = FakeRecorder()
        body = form % (b'{"model_name": "a"}', odd, b'{"model_name": "b"}')
        payload = (await post(body, recorder, content_type=content_type)).payload
        assert [event.model_name for event in recorder.events] == ["a", "b"]
        assert [rejection["index"] for rejection in payload["rejected"]] == [1]

    async def test_is_for_both_events_if_the_text_of_one_is_cut_in_a_character(self, post: Post) -> None:
        recorder = FakeRecorder()
        answer = await post(b'[{"model_name":"a","error_message":"cut \\ud83d"},{"model_name":"b"}]', recorder)
        assert answer.payload["accepted"] == 2
        assert recorder.events[0].error_message == "cut \ufffd"

    @pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"9" * 400])
    @pytest.mark.parametrize(
        ("form", "content_type"),
        [(b"[%b,%b]", JSON), (b'{"events": [%b,%b]}', JSON), (b"%b\n%b", "application/x-ndjson")],
    )
    async def test_names_a_number_that_is_none_as_corrected(
        self, post: Post, number: bytes, form: bytes, content_type: str
    ) -> None:
        recorder = FakeRecorder()
        odd = b'{"model_name": "a", "prompt_tokens": 3, "ttft_ms": %b, "x": %b, "metadata": {"y": [1, %b]}}'
        body = form % (odd % (number, number, number), b'{"model_name": "b"}')
        payload = (await post(body, recorder, content_type=content_type)).payload
        first, second = recorder.events
        assert payload["corrected"] == {"ttft_ms": 1, "metadata.x": 1, "metadata.y": 1}
        assert (first.prompt_tokens, first.ttft_ms, first.metadata, second.model_name) == (
            3,
            None,
            {"x": None, "y": [1, None]},
            "b",
        )

    @given(
        kind=st.sampled_from(Kind),
        odd=st.lists(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD_VALUES), max_size=4), max_size=4),
        form=st.sampled_from(["[%s]", '{"events": [%s]}', '{"events": 1, "version": NaN, "events": [%s]}']),
    )
    def test_accepts_the_good_events_beside_any_odd_ones(
        self, kind: Kind, odd: list[dict[str, str]], form: str
    ) -> None:
        good = orjson.dumps(GOOD[kind]).decode()
        items = [
            good,
            *("{" + ",".join(f'"{key}": {value}' for key, value in item.items()) + "}" for item in odd),
            good,
        ]
        recorder = FakeRecorder()
        answer = ingest(kind, (form % ",".join(items)).encode(), JSON, None, AT, recorder=recorder)
        rejected = {rejection["index"] for rejection in answer.payload["rejected"]}
        assert answer.payload["accepted"] + len(rejected) == len(items)
        assert not {0, len(items) - 1} & rejected
        # Rejections are counted by field, so a client must not be able to choose the name of one.
        assert {rejection["field"] for rejection in answer.payload["rejected"]} <= ACCEPTED_FIELDS[kind]
        for event in recorder.events:
            json.dumps(event.model_dump(), allow_nan=False, default=str)

    async def test_rejects_only_the_event_that_is_identified_by_no_number(self, post: Post) -> None:
        for name in ("model_name", "provider", "timestamp", "request_id"):
            odd = b'{"model_name": "a", "%b": NaN}' % name.encode()
            payload = (await post(b"[" + odd + b', {"model_name": "b"}]')).payload
            assert (payload["accepted"], [entry["field"] for entry in payload["rejected"]]) == (1, [name])

    async def test_names_the_one_bad_event_among_a_thousand(self, post: Post) -> None:
        items = events(1000)
        items[137]["timestamp"] = "soon"
        payload = (await post(gzip.compress(orjson.dumps(items)), encoding="gzip")).payload
        assert payload["accepted"] == 999
        assert [(entry["index"], entry["field"]) for entry in payload["rejected"]] == [(137, "timestamp")]


@pytest.mark.parametrize(
    ("body", "encoding", "on_the_loop"),
    [
        (b"{}".ljust(MAX_LOOP_BYTES), None, True),
        (b"{}".ljust(MAX_LOOP_BYTES + 1), None, False),
        (gzip.compress(b"{}".ljust(MAX_LOOP_BYTES + 1), mtime=0), "gzip", False),
    ],
)
async def test_a_body_that_may_be_large_is_not_parsed_on_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, body: bytes, encoding: str | None, on_the_loop: bool
) -> None:
    threads = []

    def read_items(*_: Any) -> tuple[list[Any], int]:
        threads.append(threading.get_ident())
        return [{}], 2

    monkeypatch.setattr(metrics.ingest.post, "read_items", read_items)
    await aingest(Kind.INFERENCE, body, JSON, encoding, AT, recorder=FakeRecorder())
    assert [thread == threading.get_ident() for thread in threads] == [on_the_loop]


class ABadPost:
    @pytest.mark.parametrize(
        ("body", "content_type", "encoding", "status", "code"),
        [
            (b'[{"model_name": "m"', JSON, None, 400, "bad_json"),
            (b'{"model_name": "m", "ttft_ms": nan}', JSON, None, 400, "bad_json"),
            (b"", JSON, None, 400, "empty_body"),
            (b"[]", JSON, None, 400, "empty_batch"),
            (b"[" + b"{}," * 10_000 + b"{}]", JSON, None, 413, "too_many_events"),
            (gzip.compress(bytes(17 * 2**20), mtime=0), JSON, "gzip", 413, "too_large"),
            (b"{}", "application/msgpack", None, 415, "unsupported_media_type"),
            (b"{}", "text/plain", None, 415, "unsupported_media_type"),
            (b"{}", None, None, 415, "unsupported_media_type"),
            (b"{}", JSON, "br", 415, "unsupported_encoding"),
        ],
    )
    async def test_is_a_problem_with_a_code(
        self, post: Post, body: bytes, content_type: str | None, encoding: str | None, status: int, code: str
    ) -> None:
        recorder = FakeRecorder()
        answer = await post(body, recorder, content_type=content_type, encoding=encoding)
        assert (answer.status, answer.payload["status"], answer.payload["code"]) == (status, status, code)
        assert answer.payload.keys() == {"type", "title", "status", "detail", "code"}
        assert answer.content_type == "application/problem+json"
        assert recorder.events == []

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
            ({"timestamp": "2100-01-01T00:00:00Z"}, "timestamp"),
            ({"timestamp": "2026-01-01T00:00:00Z"}, "timestamp"),
            ({"model_name": "x" * 10_000}, "model_name"),
            ({"model_name": "a\0b"}, "model_name"),
        ],
    )
    async def test_is_refused_by_field(self, post: Post, fields: dict[str, Any], field: str) -> None:
        answer = await post({"model_name": "m", **fields})
        assert answer.status == 422
        assert [entry["field"] for entry in answer.payload["rejected"]] == [field]
        assert len(orjson.dumps(answer.payload)) < 1_000

    async def test_is_none_for_metadata_fifty_levels_deep_or_more(self, post: Post) -> None:
        for levels in (50, 900, 1_100, 50_000):
            body = b'{"model_name": "m", "metadata": ' + b'{"a":' * levels + b"1" + b"}" * levels + b"}"
            answer = await post(body)
            assert (answer.status, answer.payload["corrected"]) == (200, {"metadata": 1})

    async def test_is_told_to_wait_when_the_queue_is_full(self, post: Post) -> None:
        answer = await post(events(1), FakeRecorder(QueueFull()))
        assert (answer.status, answer.payload["code"], answer.headers) == (429, "queue_full", {"Retry-After": "1"})

    @pytest.mark.parametrize("reason", ["disk_full", "read_only", "locked", "down"])
    async def test_is_told_to_come_again_when_the_store_cannot_commit(self, post: Post, reason: str) -> None:
        answer = await post(events(1), FakeRecorder(StoreUnavailable(reason)))
        assert (answer.status, answer.payload["code"], answer.payload["reason"]) == (503, "store_unavailable", reason)
        assert answer.retry_after in (1, 2, 3)
        assert "accepted" not in answer.payload

    async def test_is_told_to_come_again_when_the_store_does_not_answer(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(metrics.ingest.post, "COMMIT_TIMEOUT_SECONDS", 0.01)
        recorder = SilentRecorder()
        answer = await post(events(1), recorder)
        assert (answer.status, answer.payload["code"], answer.retry_after) == (503, "store_busy", 3)
        assert not recorder.future.cancelled()  # it may yet be committed, and must not fail the recorder

    async def test_is_told_so_when_the_server_stops(self, post: Post) -> None:
        recorder = SilentRecorder()
        recorder.future.cancel()
        recorder.future.set_running_or_notify_cancel()
        assert (await post(events(1), recorder)).status == 503

    async def test_leaves_no_error_behind_that_nobody_took(self) -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

        body = orjson.dumps(events(1))
        answer = await aingest(Kind.INFERENCE, body, JSON, None, AT, recorder=FakeRecorder(StoreUnavailable("locked")))
        gc.collect()

        assert answer.status == 503
        assert complaints == []

    async def test_does_not_hide_a_fault_of_ours(self, post: Post) -> None:
        with pytest.raises(ZeroDivisionError):
            await post(events(1), FakeRecorder(ZeroDivisionError()))


class TheViews:
    """Each answers what `ingest` does, with the bounds of the wire and the rights of the caller in front."""

    @pytest.fixture
    def recorder(self, monkeypatch: pytest.MonkeyPatch) -> FakeRecorder:
        fake = FakeRecorder()
        monkeypatch.setattr(metrics.ingest.post, "get_recorder", lambda: fake)
        return fake

    def send(self, kind: str, body: bytes, content_type: str = JSON, **headers: Any) -> Any:
        from metrics.api import track

        view = getattr(track, f"Track{kind.title()}View").as_view()
        headers = {"HTTP_HOST": "127.0.0.1:8899", "SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", **headers}
        request = APIRequestFactory().generic("POST", f"/track/{kind}", body, content_type=content_type, **headers)
        return async_to_sync(view)(request)

    @pytest.mark.parametrize(
        ("kind", "item"),
        [
            ("inference", {"model_name": "m"}),
            ("error", {"error_type": "E"}),
            ("queue", {"source": "s", "model_name": "m", "pending": 1}),
            ("system", {"host": "h"}),
        ],
    )
    def test_take_their_kind(self, recorder: FakeRecorder, kind: str, item: dict[str, Any]) -> None:
        response = self.send(kind, orjson.dumps(item))
        assert (response.status_code, orjson.loads(response.content)["accepted"]) == (200, 1)
        assert response["Content-Type"].startswith(JSON)
        assert [type(event).__name__ for event in recorder.events] == [f"{kind.title()}Event"]

    def test_answer_problems_as_such(self, recorder: FakeRecorder) -> None:
        recorder.answer = QueueFull()
        response = self.send("inference", b'{"model_name": "m"}')
        assert response.status_code == 429
        assert response["Content-Type"].startswith("application/problem+json")
        assert response["Retry-After"] == "1"
        assert self.send("inference", b"{}", "text/plain").status_code == 415
        assert self.send("inference", b"", "").status_code == 415
        assert self.send("inference", b"a=1", "application/x-www-form-urlencoded").status_code == 415

    def test_take_gzip(self, recorder: FakeRecorder) -> None:
        body = gzip.compress(orjson.dumps(events(5)))
        assert self.send("inference", body, HTTP_CONTENT_ENCODING="gzip").status_code == 200
        assert len(recorder.events) == 5

    def test_pass_on_the_size_after_decompression(self, recorder: FakeRecorder) -> None:
        body = orjson.dumps(events(5))
        self.send("inference", body)
        self.send("inference", gzip.compress(body), HTTP_CONTENT_ENCODING="gzip")
        assert recorder.sizes == [len(body), len(body)]

    def test_refuse_whoever_may_not_send(self, recorder: FakeRecorder) -> None:
        for headers in ({"REMOTE_ADDR": "192.0.2.7"}, {"HTTP_X_FORWARDED_FOR": "192.0.2.7"}):
            assert self.send("inference", b'{"model_name": "m"}', **headers).status_code in (401, 403)
        assert recorder.events == []

    def test_drop_figures_of_another_monitor(self, recorder: FakeRecorder) -> None:
        sent = self.send("system", b'{"host": "h", "cpu_percent": 3, "monitor_cpu_percent": 5, "monitor_commit_ms": 1}')
        assert orjson.loads(sent.content)["dropped"] == {"monitor_cpu_percent": 1, "monitor_commit_ms": 1}
        [event] = recorder.events
        assert (event.cpu_percent, event.monitor_cpu_percent, event.monitor_commit_ms) == (3, None, None)

    @pytest.mark.parametrize("kind", Kind)
    def test_describe_what_they_take(self, kind: Kind) -> None:
        from metrics.api.openapi.request_schemas import EXAMPLES, event_schema
        from metrics.events import validate_many
        from metrics.events.validation import ACCEPTED_FIELDS

        schema = event_schema(kind)
        assert set(schema["properties"]) == ACCEPTED_FIELDS[kind]
        assert b"$ref" not in orjson.dumps(schema)
        assert set(schema["required"]) <= EXAMPLES[kind].keys()
        assert validate_many(kind, [EXAMPLES[kind]], AT, make_ingest_policy()).rejected == []


class TheSettings:
    def test_bound_a_request(self) -> None:
        from django.conf import settings

        small = settings.LLMMONITOR.model_copy(update={"max_events_per_request": 2, "max_body_bytes": 200})
        with override_settings(LLMMONITOR=small):
            assert ingest(Kind.INFERENCE, b"[{},{},{}]", JSON, None, AT).payload["code"] == "too_many_events"
            assert ingest(Kind.INFERENCE, gzip.compress(b" " * 201), JSON, "gzip", AT).payload["code"] == "too_large"
