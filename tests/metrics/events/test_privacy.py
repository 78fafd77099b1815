"""Nothing of a prompt is stored: what is left out of metadata, what stays, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.events import Kind, validate_many
from metrics.events.content_names import names, names_content, normalise
from metrics.events.privacy import MAX_DEPTH, Cleaner, InvalidMetadata
from tests.support.policies import make_ingest_policy
from tests.support.validated import event_of

AT = datetime(2026, 3, 1, tzinfo=UTC)
SECRET = "my grandmother's secret recipe"


def clean(metadata: dict[str, Any], keep: tuple[str, ...] = ()) -> tuple[dict[str, Any], list[str]]:
    dropped: list[str] = []
    return Cleaner(keep).clean(metadata, dropped, []), dropped


def nested(levels: int) -> dict[str, Any]:
    """An object with this many levels."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value  # type: ignore[no-any-return]


class AKeyThatNamesContent:
    @pytest.mark.parametrize(
        "key",
        [
            *("messages", "prompt", "input", "inputs", "output", "outputs", "completion", "completions", "content"),
            *(
                "text",
                "response",
                "answer",
                "system_prompt",
                "instructions",
                "choices",
                "reasoning_content",
                "thinking",
            ),
            *("tool_calls", "arguments", "query", "document", "documents", "context", "delta", "message", "body"),
            *("Prompt", "MESSAGES", "systemPrompt", "System-Prompt", "user prompt", "rawLLMResponse", "llm_output"),
            *("gen_ai.input.messages", "gen_ai.prompt.0.content", "gen_ai.tool.definitions", "input.value", "prompt_1"),
            *(
                "prompt[]",
                "messages[0]",
                "messages[0][content]",
                "prompt_v2",
                "prompt2",
                "messages_json",
                "response_raw",
            ),
            *("prompt_2_json", "last_message", "pro\u200bmpt", "\ufeffcontent", "ｐｒｏｍｐｔ", "input\u00a0text"),
            *(
                "pro\u034fmpt",
                "prompt\ufe0f",
                "pro\u3164mpt",
                "prompt!",
                "messages(0)",
                "@message",
                "gen_ai|prompt",
                "reply",
            ),
            *("user_query", "llm_reasoning", "tool_args", "search-queries", "system", "usermessage", "log_record_body"),
            *("PrOmPt", "cOntent", "CONTENTs", "MESSAGEs", "prompt_value", "prompt_text_full", "messages_list"),
            *("llm.input_messages.0.message.content", "gen_ai.system_instructions", "traceloop/entity/input"),
            *("prompt_variables", "prompt_html", "prompt_markdown", "promptTxt", "prompt_snippet", "chunks"),
            *("passages", "raw_request", "chat", "retrieved_chunks", "token_ids", "prompt_logprobs", "conversations"),
        ],
    )
    def test_is_recognised_however_it_is_written(self, key: str) -> None:
        assert names_content(key)
        assert clean({"a": {"b": [{key: SECRET}]}}) == ({"a": {"b": [{}]}}, [f"metadata.a.b.{key}"])

    @pytest.mark.parametrize(
        "key",
        [
            *(
                "prompt_tokens",
                "input_tokens",
                "output_length",
                "prompt_id",
                "promptVersion",
                "error_message",
                "tenant",
            ),
            *(
                "gen_ai.usage.input_tokens",
                "gen_ai.system",
                "content_type",
                "response_time_ms",
                "user",
                "trace_context",
            ),
            *("prompt_hash", "messages_count", "json", "v2", "raw", "string", "context_2_length"),
            *("tool_name", "tool_count", "cache_result", "stop_reason", "schema_version", "usage", "toolConfig"),
            *("", ".", "_", "0", "[]", "текст", "🦙", "\u200b"),
        ],
    )
    def test_is_not_one_that_counts_or_identifies(self, key: str) -> None:
        assert not names_content(key)

    @pytest.mark.parametrize(
        "key",
        [
            *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"),  # OpenTelemetry
            *("gen_ai.tool.definitions", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"),
            *("gen_ai.prompt.0.content", "gen_ai.completion.0.content", "traceloop.entity.input"),  # OpenLLMetry
            *("input.value", "output.value", "llm.input_messages.0.message.content", "llm.prompts"),  # OpenInference
            *("llm.output_messages.1.message.tool_calls.0.tool_call.function.arguments", "llm.function_call"),
            *("retrieval.documents.0.document.content", "tool.parameters"),
            *("$ai_input", "$ai_output_choices"),  # PostHog
            *("input", "output", "langfuse.observation.input", "langfuse.trace.output"),  # Langfuse
            *("inputs", "outputs", "generations", "messages"),  # LangSmith
            *("ai.prompt", "ai.prompt.messages", "ai.response.text", "ai.response.toolCalls"),  # Vercel's AI SDK
            *("ai.toolCall.args", "ai.toolCall.result"),
            *("mlflow.spanInputs", "mlflow.spanOutputs"),  # MLflow
            *("gcp.vertex.agent.llm_request", "lk.chat_ctx", "all_messages_events"),  # Google ADK, LiveKit, Pydantic AI
        ],
    )
    def test_is_known_by_the_name_that_a_tracing_library_gives_it(self, key: str) -> None:
        assert clean({key: SECRET}) == ({}, [f"metadata.{key}"])

    @pytest.mark.parametrize("value", [SECRET, 3, None, True, [SECRET], {"a": SECRET}, [], {}])
    def test_is_left_out_whatever_it_holds(self, value: Any) -> None:
        assert clean({"prompt": value, "kept": 1}) == ({"kept": 1}, ["metadata.prompt"])

    def test_stays_where_the_setting_lists_it_and_only_there(self) -> None:
        metadata = {"Input": "batch", "gen_ai.prompt": "p", "prompt": "q", "x": {"input": 1}}
        cleaned, dropped = clean(metadata, keep=("input", "genAi.prompt"))
        assert cleaned == {"Input": "batch", "gen_ai.prompt": "p", "x": {"input": 1}}
        assert dropped == ["metadata.prompt"]

    def test_does_not_bring_back_what_is_inside_it_when_it_stays(self) -> None:
        cleaned, dropped = clean({"messages": [{"role": "user", "content": SECRET}]}, keep=("messages",))
        assert (cleaned, dropped) == ({"messages": [{"role": "user"}]}, ["metadata.messages.content"])

    @given(st.text(max_size=60))
    def test_is_the_same_in_its_normal_form(self, key: str) -> None:
        assert names_content(normalise(key)) == names_content(key)


class ATextThatIsItselfJson:
    @pytest.mark.parametrize(
        "text",
        [
            orjson.dumps({"messages": [{"role": "user", "content": SECRET}]}).decode(),
            str({"content": SECRET}),
            orjson.dumps({"x": orjson.dumps({"prompt": SECRET}).decode()}).decode(),
            '{"role": "user", "content": "' + SECRET,
            "sent " + '{"inputText" : "' + SECRET + '"}',
            r'{"\u0063ontent": "' + SECRET + '"}',
            r"{\"\\u0063ontent\": \"" + SECRET + '\\"}',
            '{"' + "x" * 70 + '_prompt": "' + SECRET + '"}',
            r'{"pro\u200bmpt": "' + SECRET + '"}',
        ],
    )
    def test_is_left_out_when_it_holds_content(self, text: str) -> None:
        assert clean({"request": text, "list": [text, "b"]}) == ({"list": ["b"]}, ["metadata.request", "metadata.list"])

    @pytest.mark.parametrize("text", ['{"tokens": 3}', "at 12:30", '"a": b', "https://example.com/?q=content:"])
    def test_stays_when_it_does_not(self, text: str) -> None:
        assert clean({"note": text}) == ({"note": text}, [])


class TheMetadata:
    def test_has_its_strings_cut(self) -> None:
        assert clean({"a": "x" * 600, "b": ["ü" * 513]}) == ({"a": "x" * 512, "b": ["ü" * 512]}, [])

    def test_is_refused_over_eight_kilobytes(self) -> None:
        assert clean({f"k{n}": "x" * 500 for n in range(15)})[1] == []
        with pytest.raises(InvalidMetadata) as refused:
            clean({f"k{n}": "x" * 500 for n in range(17)})
        assert refused.value.path == "metadata"
        assert "8192 bytes" in refused.value.error

    def test_is_measured_after_what_was_left_out(self) -> None:
        assert clean({"prompt": "x" * 10**6, "a": "y" * 10**6})[0] == {"a": "y" * 512}

    def test_is_refused_when_it_is_nested_too_deep(self) -> None:
        assert clean(nested(MAX_DEPTH))[0] == nested(MAX_DEPTH)
        for levels in (MAX_DEPTH + 1, 50, 100_000):
            with pytest.raises(InvalidMetadata, match="10 levels"):
                clean(nested(levels))

    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ({"x" * 201: 1}, "metadata.k"),
            ("\ud800", "metadata"),
            (2**70, "metadata"),
            (object(), "metadata.k"),
        ],
    )
    def test_is_refused_by_field_for_what_no_database_holds(self, value: Any, path: str) -> None:
        with pytest.raises(InvalidMetadata) as refused:
            clean({"k": value})
        assert refused.value.path == path

    def test_is_refused_for_more_entries_than_fit(self) -> None:
        for metadata in ({f"prompt {n}": 1 for n in range(2_001)}, {"a": [0] * 2_000}, {"a": {"b": [[]] * 2_000}}):
            with pytest.raises(InvalidMetadata, match="2000 entries"):
                clean(metadata)

    def test_holds_no_nul(self) -> None:
        assert clean({"a": "\0b", "c": ["\0"]}) == ({"a": "\ufffdb", "c": ["\ufffd"]}, [])

    def test_has_no_key_that_a_cache_would_have_to_hold(self) -> None:
        before = names.cache_info().misses
        result = validate_many(Kind.INFERENCE, [{"model_name": "m", "p" * 10_000: 1}], AT, make_ingest_policy())
        assert (result.corrected, names.cache_info().misses) == ({"metadata": 1}, before)

    def test_is_not_touched_itself(self) -> None:
        metadata = {"a": {"prompt": 1}, "b": "x" * 600}
        clean(metadata)
        assert metadata == {"a": {"prompt": 1}, "b": "x" * 600}


class AnEventWithContent:
    @pytest.mark.parametrize("kind", [Kind.INFERENCE, Kind.ERROR, Kind.QUEUE, Kind.SYSTEM])
    def test_keeps_none_of_it_and_names_all_of_it(self, kind: Kind) -> None:
        content = {"messages": [{"content": SECRET}], "prompt": SECRET, "input": SECRET, "output": SECRET}
        metadata = {**content, "a": {**content, "b": [{**content, "kept": 1}]}}
        item = {"model_name": "m", "error_type": "E", "source": "s", "pending": 1, "host": "h", "content": SECRET}
        fields = {
            Kind.INFERENCE: {"model_name"},
            Kind.ERROR: {"model_name", "error_type"},
            Kind.QUEUE: {"model_name", "source", "pending"},
            Kind.SYSTEM: {"host"},
        }[kind]
        sent = {name: item[name] for name in (*fields, "content")} | content | {"metadata": metadata}
        result = validate_many(kind, [sent], AT, make_ingest_policy())
        event = event_of(result)
        assert SECRET not in repr(event)
        assert set(result.dropped) >= {"content", *content}
        if kind in (Kind.INFERENCE, Kind.ERROR):
            inside = {f"metadata{path}.{name}" for path in ("", ".a", ".a.b") for name in content}
            assert set(result.dropped) == {"content", *content, *inside}
            assert event.metadata == {"a": {"b": [{"kept": 1}]}}

    def test_keeps_none_of_it_where_the_metadata_cannot_be_stored(self) -> None:
        for item in ({"metadata": {"prompt": SECRET, "a": nested(50)}}, {"prompt": SECRET, "extra": nested(50)}):
            result = validate_many(Kind.INFERENCE, [{"model_name": "m", **item}], AT, make_ingest_policy())
            event = event_of(result)
            assert event.metadata is None
            assert result.corrected == {"metadata": 1}
