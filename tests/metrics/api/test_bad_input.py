"""Bad bodies and bad events: a bad body gets a problem, a bad event is rejected with its index and field."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import override_settings

from llmmonitor.environment import read_environment
from metrics.models import InferenceMetrics
from tests.metrics.api.api_fixtures import BOTH_WAYS
from tests.metrics.api.asgi_client import JSON, AsgiClient

pytestmark = [pytest.mark.store, BOTH_WAYS]


GOOD = {"model_name": "m", "prompt_tokens": 1}
MEBIBYTE = 2**20


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


class ABodyThatCannotBeRead:
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            (b'{"model_name": "m", "prompt_tok', "bad_json"),
            (b'[{"model_name": "m"},', "bad_json"),
            (b"model_name=m&prompt_tokens=1", "bad_json"),
            (b'{"model_name": "m", "response_time_ms": nan}', "bad_json"),
            (b'{"model_name": \xff\xfe}', "bad_json"),
            (b"[" * 5_000 + b"]" * 4_000, "bad_json"),
            (b"", "empty_body"),
            (b"  \n ", "empty_body"),
            (b"[]", "empty_batch"),
            (b'{"events": []}', "empty_batch"),
            (b'"text"', "bad_batch"),
            (b"null", "bad_batch"),
            (b'{"events": {"model_name": "m"}}', "bad_batch"),
        ],
    )
    def test_is_a_problem_of_the_whole(self, empty_api: AsgiClient, body: bytes, code: str) -> None:
        empty_api.post("/track/inference", body).problem(400, code)

    @pytest.mark.parametrize("path", ["/track/inference", "/track/error", "/track/queue", "/track/system"])
    @pytest.mark.parametrize(
        "content_type",
        [
            None,
            "",
            "text/plain",
            "text/plain;charset=UTF-8",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/xml",
            "nonsense",
            "application/json; charset=latin-1",
        ],
    )
    def test_is_415_in_any_form_but_json(self, empty_api: AsgiClient, path: str, content_type: str | None) -> None:
        reply = empty_api.post(path, GOOD, content_type)
        code = "unsupported_charset" if "latin" in (content_type or "") else "unsupported_media_type"
        assert "application/json" in reply.problem(415, code)["detail"] or "charset" in code

    def test_in_an_unknown_encoding_is_415(self, empty_api: AsgiClient) -> None:
        empty_api.post("/track/inference", GOOD, content_encoding="br").problem(415, "unsupported_encoding")

    def test_that_is_not_gzip_but_has_the_header_is_400(self, empty_api: AsgiClient) -> None:
        empty_api.post("/track/inference", GOOD, content_encoding="gzip").problem(400, "bad_gzip")
        cut = gzip.compress(json.dumps(GOOD).encode())[:-4]
        empty_api.post("/track/inference", cut, content_encoding="gzip").problem(400, "bad_gzip")

    def test_of_a_client_that_disconnects_early_stores_nothing(self, empty_api: AsgiClient) -> None:
        whole = json.dumps([GOOD]).encode()
        empty_api.request("POST", "/track/inference", [whole[:20]], content_type=JSON, cut_off=True)


class ABodyThatIsTooLarge:
    def test_of_10_001_events_is_413(self, empty_api: AsgiClient) -> None:
        empty_api.post("/track/inference", [GOOD] * 10_001).problem(413, "too_many_events")

    def test_of_17_mebibytes_is_413_with_and_without_content_length(self, empty_api: AsgiClient) -> None:
        body = b'[{"model_name": "m", "metadata": {"a": "' + b"x" * 17 * MEBIBYTE + b'"}}]'
        empty_api.post("/track/inference", body).problem(413, "too_large")
        parts = [body[start : start + MEBIBYTE] for start in range(0, len(body), MEBIBYTE)]
        empty_api.post("/track/inference", parts).problem(413, "too_large")

    def test_is_not_read_if_content_length_is_too_large(self, empty_api: AsgiClient) -> None:
        empty_api.post("/track/inference", b"{}", content_length=str(17 * MEBIBYTE)).problem(413, "too_large")

    def test_when_unpacked_is_413(self, empty_api: AsgiClient) -> None:
        bomb = gzip.compress(b" " * 200 * MEBIBYTE, 1)
        assert len(bomb) < MEBIBYTE
        empty_api.post("/track/inference", bomb, content_encoding="gzip").problem(413, "too_large")

    def test_of_brackets_is_413(self, empty_api: AsgiClient) -> None:
        empty_api.post("/track/inference", b"[" + b"[]," * (5 * MEBIBYTE) + b"[]]").problem(413, "too_many_values")


def bad(**fields: Any) -> dict[str, Any]:
    return {**GOOD, **fields}


NOW = datetime.now(UTC)
WRONG = [
    ("model_name", {"prompt_tokens": 1}, "required"),
    ("model_name", bad(model_name=7), "text"),
    ("model_name", bad(model_name=""), "empty"),
    ("model_name", bad(model_name="x" * 10_000), "200"),
    ("model_name", bad(model_name="a\0b"), "control"),
    ("provider", bad(provider="a\nb"), "control"),
    ("request_id", bad(request_id="x" * 10_000), "200"),
    ("timestamp", bad(timestamp="1970-01-01T00:00:00Z"), "400 days"),
    ("timestamp", bad(timestamp=0), "400 days"),
    ("timestamp", bad(timestamp="2100-01-01T00:00:00Z"), "ahead"),
    ("timestamp", bad(timestamp=4_102_444_800), "ahead"),
    ("timestamp", bad(timestamp="yesterday"), "ISO 8601"),
    ("timestamp", bad(timestamp=[1]), "ISO 8601"),
    (None, "text", "object"),
    (None, [GOOD], "object"),
    (None, None, "object"),
]


class AnEventThatIsWrong:
    @pytest.mark.parametrize(("field", "event", "text"), WRONG)
    def test_is_named_by_its_field_and_not_stored(
        self, empty_api: AsgiClient, field: str | None, event: Any, text: str
    ) -> None:
        reply = empty_api.post("/track/inference", [event])
        assert (reply.status, reply.type) == (422, JSON)
        answer = reply.json()
        assert (answer["accepted"], answer["duplicates"]) == (0, 0)
        (rejected,) = answer["rejected"]
        assert (rejected["index"], rejected["field"]) == (0, field)
        assert text in rejected["error"]

    @pytest.mark.parametrize(
        ("path", "event", "field"),
        [
            ("/track/error", {"model_name": "m"}, "error_type"),
            ("/track/error", {"error_message": ""}, "error_type"),
            ("/track/queue", {"model_name": "m", "pending": 1}, "source"),
            ("/track/queue", {"model_name": "m", "source": "s", "pending": -1}, "pending"),
            ("/track/queue", {"model_name": "m", "source": "s", "pending": 1, "kind": "engine"}, "kind"),
            ("/track/system", {"cpu_percent": 5.0}, "host"),
        ],
    )
    def test_of_any_kind_is(self, empty_api: AsgiClient, path: str, event: Any, field: str) -> None:
        reply = empty_api.post(path, event)
        assert reply.status == 422
        assert [rejected["field"] for rejected in reply.json()["rejected"]] == [field]

    def test_among_a_thousand_costs_the_others_nothing(self, api: AsgiClient) -> None:
        events: list[Any] = [
            bad(request_id=f"r{n}", timestamp=(NOW - timedelta(seconds=n)).isoformat()) for n in range(1_000)
        ]
        events[413]["model_name"] = -1
        answer = api.post("/track/inference", events).json()
        assert (answer["accepted"], answer["duplicates"]) == (999, 0)
        assert [(rejection["index"], rejection["field"]) for rejection in answer["rejected"]] == [(413, "model_name")]
        assert InferenceMetrics.objects.count() == 999
        assert not InferenceMetrics.objects.filter(request_id="r413").exists()
        assert api.get("/metrics/summary").json()["total_requests"] == 999

    @pytest.mark.parametrize("odd", ["NaN", "-Infinity", "1e400", "9" * 400, "[" * 1_100 + "]" * 1_100])
    @pytest.mark.parametrize("form", ["[%s, %s]", '{"events": [%s, %s]}'])
    def test_in_a_value_that_json_does_not_have_is_stored_without_it(
        self, api: AsgiClient, form: str, odd: str
    ) -> None:
        first = f'{{"model_name": "m", "prompt_tokens": 1, "ttft_ms": {odd}, "metadata": {{"a": {odd}}}}}'
        answer = api.post("/track/inference", (form % (first, '{"model_name": "n"}')).encode()).json()
        assert (answer["accepted"], answer["rejected"]) == (2, [])
        assert answer["corrected"] in ({"ttft_ms": 1, "metadata.a": 1}, {"ttft_ms": 1, "metadata": 1})
        (row,) = api.get("/requests", model="m").json()["results"]
        assert (row["prompt_tokens"], row["ttft_ms"]) == (1, None)
        assert row["metadata"] in ({"a": None}, None)

    def test_never_has_its_text_repeated(self, api: AsgiClient) -> None:
        reply = api.post("/track/inference", bad(model_name="SECRET" * 100, prompt_tokens="SECRET"))
        assert b"SECRET" not in reply.body


class ALineThatIsNoJson:
    def test_is_named_and_the_others_are_stored(self, api: AsgiClient) -> None:
        body = b'{"model_name": "m"}\n{broken\n\n{"model_name": "n"}\n'
        answer = api.post("/track/inference", body, "application/x-ndjson").json()
        assert answer["accepted"] == 2
        assert [(rejection["index"], rejection["field"]) for rejection in answer["rejected"]] == [(1, None)]


class AServerThatIsNotReached:
    @pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
    def test_by_another_method_says_which_are_allowed(self, api: AsgiClient, method: str) -> None:
        reply = api.request(method, "/track/inference", GOOD, content_type=JSON)
        reply.problem(405, "method_not_allowed")
        assert "POST" in reply.headers["allow"]

    @pytest.mark.parametrize("path", ["/track/nothing", "/track", "/metrics/nothing", "/requests/nothing", "/export/x"])
    def test_at_an_address_that_is_none_says_so(self, api: AsgiClient, path: str) -> None:
        assert path in api.get(path).problem(404, "not_found")["detail"]

    def test_at_an_address_that_is_none_shows_a_person_a_page(self, api: AsgiClient) -> None:
        reply = api.request("GET", "/dashbord/<b>", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (reply.status, reply.type) == (404, "text/html")
        assert b"<code>/dashbord/&lt;b&gt;</code>" in reply.body
        assert b'href="/"' in reply.body

    def test_that_fails_does_not_reveal_why(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: Any, **more: Any) -> None:
            raise ZeroDivisionError("SECRET")

        monkeypatch.setattr("metrics.queries.summary", fail)
        reply = api.get("/metrics/summary")
        assert reply.problem(500, "internal")
        assert b"SECRET" not in reply.body

    def test_with_a_full_queue_sends_retry_after(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        from metrics.ingest.recorder import QueueFull, Recorder

        def full(self: Recorder, events: Any, size: int) -> None:
            raise QueueFull()

        monkeypatch.setattr(Recorder, "submit", full)
        api.post("/track/inference", GOOD).problem(429, "queue_full")

    def test_with_a_full_disk_sends_the_reason(self, api: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
        from metrics.store.unavailable import StoreUnavailable
        from metrics.store.writing.transaction import Store

        def down(self: Store, events: Any) -> None:
            raise StoreUnavailable("disk_full")

        monkeypatch.setattr(Store, "commit", down)
        problem = api.post("/track/inference", GOOD).problem(503, "store_unavailable")
        assert (problem["reason"], "disk is full" in problem["detail"]) == ("disk_full", True)

    def test_more_often_than_allowed_sends_retry_after(self, api: AsgiClient) -> None:
        settings = read_environment().model_copy(update={"rate_limit_ingest_per_minute": 3})
        with override_settings(LLMMONITOR=settings):
            replies = [api.post("/track/inference", GOOD) for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429]
        assert 1 <= int(replies[3].headers["retry-after"]) <= 120
        assert replies[3].json()["code"] == "throttled"


class APageOfAnotherSite:
    def test_may_not_post(self, api: AsgiClient) -> None:
        api.post("/track/inference", GOOD, origin="https://evil.example").problem(403, "foreign_origin")
        assert not InferenceMetrics.objects.exists()

    def test_may_not_be_the_host(self, api: AsgiClient) -> None:
        reply = api.post("/track/inference", GOOD, host="evil.example")
        reply.problem(400, "unknown_host")
