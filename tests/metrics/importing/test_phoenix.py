"""Spans of Phoenix: recorded exports, whose origin `files/README.md` describes, and spans that are not as they should
be."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from metrics.events import InferenceEvent
from metrics.importing import sources
from metrics.importing.files import open_file, read_rows
from metrics.importing.importer import Importer
from metrics.importing.phoenix import map_span
from metrics.importing.source import Skip
from metrics.store.writing.transaction import Store

FILES = Path(__file__).with_name("files")
FORMS = ["phoenix-dataframe.csv", "phoenix-dataframe.jsonl", "phoenix-pages.ndjson"]
AT = datetime(2026, 11, 30, 17, 0, tzinfo=UTC)

pytestmark = [pytest.mark.store, pytest.mark.django_db]


def imported(name: str) -> Importer:
    """Import a recorded file without storing it."""
    with open_file(str(FILES / name)) as stream:
        file_format, rows = read_rows(stream)
        read = list(rows)
        assert isinstance(read[0].value, dict)
        source = sources.recognize(frozenset(read[0].value))
        assert source.name == "spans of Phoenix"
        importer = Importer(source, file_format == "csv", lambda: AT, None)
        importer.run(read)
    assert importer.problem is None
    return importer


def events(name: str) -> dict[str, InferenceEvent]:
    """Return the requests of a recorded file by model."""
    read = [event for event in imported(name).first_events if isinstance(event, InferenceEvent)]
    return {event.model_name: event for event in read}


class AnExport:
    @pytest.mark.parametrize("name", FORMS)
    def test_has_the_requests_to_models_alone(self, name: str) -> None:
        report = imported(name).report

        assert (report.read, report.valid, report.rejected) == (5, 4, 0)
        assert report.skipped == {"spans of the kind CHAIN, which are no requests to a model": 1}
        assert not report.corrected
        assert not report.not_imported

    @pytest.mark.parametrize("name", FORMS)
    def test_has_their_fields(self, name: str) -> None:
        read = events(name)

        chat, stream, refused, embedding = (read[model] for model in ("chat-a", "chat-b", "chat-error429", "embed"))
        assert (chat.prompt_tokens, chat.completion_tokens, chat.total_tokens) == (21, 4, 25)
        assert (chat.cached_tokens, chat.reasoning_tokens) == (8, 2)
        assert (chat.temperature, chat.max_tokens, chat.finish_reason, chat.success) == (0.2, 50, "stop", True)
        assert (chat.provider, chat.user, chat.request_id) == ("openai", "u1", "4ebbc880246dfd10")
        assert (chat.trace_id, chat.span_id) == ("a0171e22e4af29f2e185d25bfe628346", "4ebbc880246dfd10")
        assert chat.metadata == {"span_name": "ChatCompletion", "session_id": "s1", "team": "search", "tags": ["a"]}
        assert chat.timestamp == datetime(2026, 11, 30, 16, 38, 40, 840_000, tzinfo=UTC)
        assert chat.response_time_ms == pytest.approx(21, abs=1.1)
        assert stream.stream
        assert stream.ttft_ms == pytest.approx(8.847, abs=1.1)
        assert (refused.success, refused.outcome, refused.error_type) == (
            False,
            "rate_limited",
            "openai.RateLimitError",
        )
        assert refused.error_message == "Error code: 429 - Rate limit reached"
        assert refused.stack_trace is not None
        assert refused.stack_trace.startswith("Traceback")
        assert (embedding.operation, embedding.prompt_tokens) == ("embeddings", 21)

    @pytest.mark.parametrize("name", FORMS)
    def test_has_no_content(self, name: str) -> None:
        assert "SECRET" not in str(imported(name).first_events)
        dropped = imported(name).report.dropped
        assert {"input.value", "output.value", "metadata.prompt"} <= dropped.keys()
        assert [path for path in dropped if path.startswith("llm.input_messages")]

    def test_has_the_same_events_in_each_form(self) -> None:
        first, *others = (list(events(name).values()) for name in FORMS)
        store = Store(clock=lambda: AT)
        assert store.commit(first).accepted == 4
        for other in others:
            assert store.commit(other).duplicates == 4


SPAN: dict[str, Any] = {
    "id": "x",
    "name": "call",
    "context": {"trace_id": "t", "span_id": "s"},
    "span_kind": "LLM",
    "start_time": "2026-11-30T16:00:00+00:00",
    "end_time": "2026-11-30T16:00:02.500999+00:00",
    "status_code": "UNSET",
    "attributes": {"llm.model_name": "m"},
    "events": [],
}


def span(**more: Any) -> dict[str, Any]:
    return copy.deepcopy(SPAN) | more


class ASpan:
    def test_names_what_is_not_imported(self) -> None:
        mapped = map_span(span(attributes={"llm.model_name": "m", "my.own": 5, "output.value": "x"}), False)
        assert (mapped.content, mapped.unknown) == (("output.value",), ("my.own",))

    def test_may_have_nested_attributes(self) -> None:
        nested = {
            "llm": {"model_name": "m", "token_count": {"prompt": 3, "completion": 4.0}},
            "metadata": {"a": {"b": 1}},
        }
        item = map_span(span(attributes=nested), False).item
        assert (item["model_name"], item["prompt_tokens"], item["completion_tokens"]) == ("m", 3, 4)
        assert item["metadata"] == {"span_name": "call", "a": {"b": 1}}

    def test_has_the_model_of_its_parameters_if_no_response_named_it(self) -> None:
        assert (
            map_span(span(attributes={"llm.invocation_parameters": '{"model": "p"}'}), False).item["model_name"] == "p"
        )

    def test_that_failed_without_an_exception_has_the_message_of_its_status(self) -> None:
        item = map_span(span(status_code="ERROR", status_message="no route"), False).item
        assert (item["success"], item["error_message"]) == (False, "no route")

    @pytest.mark.parametrize("more", [{"end_time": None}, {"end_time": ""}, {"span_kind": "TOOL"}, {"span_kind": None}])
    def test_that_is_no_finished_request_is_skipped(self, more: dict[str, Any]) -> None:
        with pytest.raises(Skip):
            map_span(span(**more), False)

    @pytest.mark.parametrize(
        "more",
        [
            {"start_time": "noon"},
            {"start_time": 1e300, "end_time": 1e300},
            {"start_time": True},
            {"events": "[" * 100_000},
            {"events": "nonsense"},
            {"events": "5"},
            {"events": 5},
            {"events": [None, 5, {"name": "exception", "attributes": "x"}], "status_code": "ERROR"},
            {"attributes": {"llm.invocation_parameters": "[1]", "metadata": "{'a': 1"}},
            {"attributes": {"metadata": 5, "llm.cost.total": "x", "llm.token_count.prompt": "many"}},
            {"context": None},
            {"events": {"name": "x"}},
            {"attributes": None},
        ],
    )
    def test_with_odd_values_is_left_to_validation(self, more: dict[str, Any]) -> None:
        assert map_span(span(**more), False).item["success"] in (True, False)
