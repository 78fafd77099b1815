"""The fields of providers' responses, sent as they are."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import pytest

from metrics.catalogue import FIELD_ALIASES
from metrics.events import Kind, Outcome, Validated, validate_many
from metrics.events.aliases import NAMES, USAGE, USAGE_OBJECTS
from tests.support.policies import make_ingest_policy
from tests.support.validated import event_of

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")


def validate(kind: Kind, *items: Any) -> Validated:
    return validate_many(kind, list(items), AT, make_ingest_policy())


def accepted(kind: Kind, item: dict[str, Any]) -> Any:
    result = validate(kind, item)
    assert (result.rejected, result.corrected) == ([], {})
    return event_of(result)


def tokens(**fields: Any) -> tuple[int | None, ...]:
    event = accepted(Kind.INFERENCE, {"model_name": "m", **fields})
    return tuple(getattr(event, name) for name in TOKENS)


OPENAI_CHAT = {
    "prompt_tokens": 12,
    "completion_tokens": 5,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 8, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 3, "audio_tokens": 0},
}
OPENAI_RESPONSES = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 8},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 17,
}
ANTHROPIC = {
    "input_tokens": 12,
    "cache_creation_input_tokens": 100,
    "cache_read_input_tokens": 1_000,
    "output_tokens": 5,
    "service_tier": "standard",
}
GEMINI = {
    "promptTokenCount": 12,
    "cachedContentTokenCount": 8,
    "candidatesTokenCount": 5,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 47,
}
GEMINI_IN_PYTHON = {
    "prompt_token_count": 12,
    "cached_content_token_count": None,
    "candidates_token_count": None,
    "thoughts_token_count": 30,
    "total_token_count": 42,
}

LANGCHAIN = {
    "input_tokens": 12,
    "output_tokens": 5,
    "total_tokens": 17,
    "input_token_details": {"cache_read": 8, "cache_creation": 0},
    "output_token_details": {"reasoning": 3},
}


class AFirstPost:
    def test_of_a_response_and_its_latency_is_accepted(self) -> None:
        event = accepted(
            Kind.INFERENCE,
            {"model": "gpt-4o", "usage": {"prompt_tokens": 12, "completion_tokens": 5}, "latency_ms": 840},
        )
        assert (event.model_name, event.prompt_tokens, event.completion_tokens) == ("gpt-4o", 12, 5)
        assert (event.total_tokens, event.response_time_ms) == (17, 840)
        assert event.metadata == {"usage": {"prompt_tokens": 12, "completion_tokens": 5}}

    def test_of_a_whole_response_stores_no_content(self) -> None:
        response = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "gpt-4o",
            "choices": [{"message": {"content": "SECRET"}, "finish_reason": "stop"}],
            "usage": OPENAI_CHAT,
        }
        result = validate(Kind.INFERENCE, {**response, "duration_ms": 12.5})
        event = event_of(result)
        assert (event.model_name, event.response_time_ms) == ("gpt-4o", 12.5)
        assert "SECRET" not in repr(event)
        assert result.dropped == {"choices": 1}

    @pytest.mark.parametrize(
        ("kind", "item"),
        [
            (Kind.ERROR, {"model": "m", "error_type": "E", "latency_ms": 5}),
            (Kind.QUEUE, {"model": "m", "source": "s", "pending": 1}),
        ],
    )
    def test_of_another_kind_may_name_its_model(self, kind: Kind, item: dict[str, Any]) -> None:
        event = accepted(kind, item)
        assert event.model_name == "m"
        if kind is Kind.ERROR:
            assert event.metadata == {"latency_ms": 5}

    def test_without_any_model_is_rejected_by_our_name(self) -> None:
        for model in ({}, {"model": None}, {"model": 7}, {"model": {"name": "m"}}):
            [rejection] = validate(Kind.INFERENCE, {**model, "latency_ms": 5}).rejected
            assert rejection.field == "model_name"

    def test_of_a_host_keeps_no_field_of_a_request(self) -> None:
        result = validate(Kind.SYSTEM, {"host": "h", "model": "m", "usage": OPENAI_CHAT})
        assert result.dropped == {"model": 1, "usage": 1}


class TheUsage:
    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            ({"usage": OPENAI_CHAT}, (12, 5, 17, 8, 3)),
            ({"usage": OPENAI_RESPONSES}, (12, 5, 17, 8, 3)),
            ({"usage": ANTHROPIC}, (1_112, 5, 1_117, 1_000, None)),
            (
                {"usage": {"input_tokens": 12, "cache_read_input_tokens": None, "output_tokens": 5}},
                (12, 5, 17, None, None),
            ),
            ({"usageMetadata": GEMINI}, (12, 35, 47, 8, 30)),
            ({"usage_metadata": GEMINI_IN_PYTHON}, (12, 30, 42, None, 30)),
            ({"usage_metadata": LANGCHAIN}, (12, 5, 17, 8, 3)),
            ({"usage": {"prompt_tokens": 9, "total_tokens": 9}}, (9, None, 9, None, None)),
            ({"input_tokens": 12, "output_tokens": 5}, (12, 5, 17, None, None)),
            (ANTHROPIC, (1_112, 5, 1_117, 1_000, None)),
            (OPENAI_CHAT, (12, 5, 17, 8, 3)),
            ({"usage": None}, (None,) * 5),
            ({"usage": "12"}, (None,) * 5),
            ({"usage": []}, (None,) * 5),
            ({"usage": {"prompt_tokens_details": 5, "input_tokens": {}}}, (None,) * 5),
        ],
    )
    def test_of_each_provider_is_counted(self, fields: dict[str, Any], expected: tuple[int | None, ...]) -> None:
        result = validate(Kind.INFERENCE, {"model_name": "m", **fields})
        event = event_of(result)
        assert tuple(getattr(event, name) for name in TOKENS) == expected

    def test_of_a_gateway_in_two_forms_is_counted_once(self) -> None:
        both = {**OPENAI_CHAT, "prompt_tokens": 1_112, "total_tokens": 1_117, **ANTHROPIC}
        assert tokens(usage=both)[:3] == (1_112, 5, 1_117)

    @pytest.mark.parametrize(
        ("usage", "prompt"),
        [
            ({"input_tokens_details": {"cached_tokens": 1_000}, "total_tokens": 1_214}, 1_209),
            ({"input_tokens_details": {"cached_tokens": 1_000}}, 1_209),
            ({"input_token_details": {"cache_read": 1_000}}, 1_209),
            ({"total_tokens": 1_214}, 1_209),
            ({"total_tokens": 2_214}, 2_209),
            ({"input_tokens_details": None}, 2_209),
            ({"input_tokens": 12, "total_tokens": 17}, 1_012),  # the total of a client that knows no cache
        ],
    )
    def test_does_not_add_up_what_its_input_includes(self, usage: dict[str, Any], prompt: int) -> None:
        usage = {"input_tokens": 1_209, "cache_read_input_tokens": 1_000, "output_tokens": 5, **usage}
        for fields in ({"usage": usage}, usage):
            result = validate(Kind.INFERENCE, {"model": "m", **fields})
            event = event_of(result)
            assert (event.prompt_tokens, event.total_tokens, event.cached_tokens) == (prompt, prompt + 5, 1_000)
            assert result.corrected == ({"total_tokens": 1} if usage.get("total_tokens") == 17 else {})

    def test_of_gemini_does_not_add_up_the_thoughts_that_its_output_includes(self) -> None:
        usage = {"promptTokenCount": 12, "candidatesTokenCount": 35, "thoughtsTokenCount": 30, "totalTokenCount": 47}
        assert tokens(usageMetadata=usage) == (12, 35, 47, None, 30)

    def test_of_anthropic_is_added_up_also_as_text_or_decimals(self) -> None:
        for input_tokens, cached in ((10.0, 5.0), ("10", 5), (10, "5")):
            usage = {"input_tokens": input_tokens, "cache_read_input_tokens": cached}
            event = event_of(validate(Kind.INFERENCE, {"model_name": "m", "usage": usage}))
            assert event.prompt_tokens == 15

    def test_is_not_added_up_with_the_largest_number_of_a_type(self) -> None:
        usage = {"input_tokens": 12, "cache_read_input_tokens": 2**32 - 1, "output_tokens": 5}
        event = event_of(validate(Kind.INFERENCE, {"model": "m", "usage": usage}))
        assert (event.prompt_tokens, event.cached_tokens) == (12, None)

    def test_is_corrected_like_our_own_fields(self) -> None:
        result = validate(Kind.INFERENCE, {"model": "m", "usage": {"prompt_tokens": -1, "completion_tokens": "5"}})
        event = event_of(result)
        assert (event.prompt_tokens, event.completion_tokens) == (None, 5)
        assert result.corrected == {"prompt_tokens": 1, "completion_tokens": 1}


class AnErrorOfAProvider:
    """A response that failed: its own fields make the request a failed one."""

    @pytest.mark.parametrize(
        ("error", "expected", "outcome"),
        [
            (
                {"message": "Rate limit", "type": "requests", "param": None, "code": "rate_limit_exceeded"},
                ("rate_limit_exceeded", "Rate limit", None),
                Outcome.RATE_LIMITED,
            ),
            (
                {"message": "Unknown: foo", "type": "invalid_request_error", "code": "unknown_parameter"},
                ("invalid_request_error", "Unknown: foo", None),
                Outcome.CLIENT_ERROR,
            ),
            (
                {"type": "overloaded_error", "message": "Overloaded"},
                ("overloaded_error", "Overloaded", None),
                Outcome.SERVER_ERROR,
            ),
            (
                {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"},
                ("RESOURCE_EXHAUSTED", "Quota", 429),
                Outcome.RATE_LIMITED,
            ),
            ({"code": "503", "message": "Loading"}, (None, "Loading", 503), Outcome.SERVER_ERROR),
            ({"code": "DeploymentNotFound"}, ("DeploymentNotFound", None, None), Outcome.CLIENT_ERROR),
            ({"code": -32_603, "message": "Internal"}, ("-32603", "Internal", None), Outcome.SERVER_ERROR),
            ({"innererror": {"code": 5}}, ("Error", None, None), Outcome.SERVER_ERROR),
            ("timeout", ("timeout", "timeout", None), Outcome.TIMEOUT),
            ('{"detail":1}', (None, '{"detail":1}', None), Outcome.SERVER_ERROR),
            ("no route to host", (None, "no route to host", None), Outcome.SERVER_ERROR),
            (True, ("Error", None, None), Outcome.SERVER_ERROR),
            (["boom"], ("Error", None, None), Outcome.SERVER_ERROR),
            (504, ("504", None, None), Outcome.TIMEOUT),
        ],
    )
    def test_makes_the_request_a_failed_one(
        self, error: Any, expected: tuple[str | None, ...], outcome: Outcome
    ) -> None:
        event = event_of(validate(Kind.INFERENCE, {"model": "gpt-4o", "latency_ms": 95, "error": error}))
        assert (event.error_type, event.error_message, event.status_code) == expected
        assert (event.success, event.outcome, event.response_time_ms) == (False, outcome, 95)

    def test_may_be_the_whole_response(self) -> None:
        response = {"object": "error", "message": "too long", "type": "BadRequestError", "param": None, "code": 400}
        event = accepted(Kind.INFERENCE, {"model": "m", **response})
        assert (event.error_type, event.error_message, event.status_code) == ("BadRequestError", "too long", 400)
        assert (event.outcome, event.metadata) == (Outcome.CLIENT_ERROR, {"object": "error", "param": None})

    def test_is_that_of_an_error_event_too(self) -> None:
        event = accepted(Kind.ERROR, {"model": "m", "type": "error", "error": {"type": "api_error", "message": "x"}})
        assert (event.error_type, event.error_message, event.metadata) == ("api_error", "x", {"type": "error"})
        assert accepted(Kind.ERROR, {"error": "timeout"}).error_message == "timeout"

    @pytest.mark.parametrize(
        "error",
        [
            None,
            False,
            0,
            "",
            " ",
            "None",
            "null",
            "N/A",
            [],
            {},
            {"code": None, "message": ""},
            {"code": 0},
            {"code": "0", "message": "OK"},
        ],
    )
    def test_is_no_failure_if_it_is_empty(self, error: Any) -> None:
        event = accepted(Kind.INFERENCE, {"model": "m", "error": error})
        assert (event.success, event.error_type, event.error_message) == (True, None, None)

    def test_leaves_what_was_not_used_in_the_metadata(self) -> None:
        error = {"message": "m", "type": "requests", "code": "rate_limit_exceeded", "param": "n"}
        before = dict(error)
        result = validate(Kind.INFERENCE, {"model": "m", "error_message": "ours", "status_code": 429, "error": error})
        event = event_of(result)
        assert (event.error_type, event.error_message) == ("rate_limit_exceeded", "ours")
        assert (event.metadata, result.dropped) == (
            {"error": {"type": "requests", "param": "n"}},
            {"metadata.error.message": 1},
        )
        assert error == before


class ANameOfAProvider:
    @pytest.mark.parametrize(("alias", "field"), FIELD_ALIASES.items())
    def test_means_the_same_field_in_an_event_and_in_a_query(self, alias: str, field: str) -> None:
        assert getattr(accepted(Kind.INFERENCE, {"model": "m", alias: 5}), field) == 5

    def test_is_one_in_a_query_too_if_it_is_one_in_an_event(self) -> None:
        own = {*USAGE, "model", *USAGE_OBJECTS, "error", "object", "cache_creation_input_tokens"}
        assert {name for name in NAMES - own if "_details" not in name} == FIELD_ALIASES.keys()


class AFieldOfOurs:
    def test_wins_over_its_alias_which_stays_in_the_metadata(self) -> None:
        event = accepted(
            Kind.INFERENCE,
            {
                "model_name": "deployment",
                "model": "gpt-4o",
                "response_time_ms": 5,
                "latency_ms": 6,
                "prompt_tokens": 1,
                "input_tokens": 2,
                "usage": {"prompt_tokens": 3, "completion_tokens": 4},
            },
        )
        assert (event.model_name, event.response_time_ms, event.prompt_tokens) == ("deployment", 5, 1)
        assert event.completion_tokens == 4
        assert event.metadata == {
            "model": "gpt-4o",
            "latency_ms": 6,
            "input_tokens": 2,
            "usage": {"prompt_tokens": 3, "completion_tokens": 4},
        }

    def test_is_not_sent_if_it_is_null(self) -> None:
        event = accepted(Kind.INFERENCE, {"model_name": None, "model": "m", "prompt_tokens": None, "input_tokens": 2})
        assert (event.model_name, event.prompt_tokens, event.metadata) == ("m", 2, None)

    @pytest.mark.parametrize(
        "sentinel", [-1, -1.0, "-1", 2**31 - 1, 2**32 - 1, 2**64 - 1, math.nan, math.inf, "[N/A]", True, []]
    )
    def test_is_not_sent_if_it_is_a_number_that_cannot_be_measured(self, sentinel: Any) -> None:
        aliases = {"latency_ms": 840, "usage": {"prompt_tokens": 12, "completion_tokens": 5}}
        for alias in (aliases, {**aliases, "latency_ms": sentinel, "input_tokens": sentinel, "duration_ms": 840}):
            item = {"model": "m", "response_time_ms": sentinel, "prompt_tokens": sentinel, **alias}
            result = validate(Kind.INFERENCE, item)
            event = event_of(result)
            assert (event.response_time_ms, event.total_tokens) == (840, 17)
            fields = {path: count for path, count in result.corrected.items() if not path.startswith("metadata.")}
            assert fields == {"response_time_ms": 1, "prompt_tokens": 1}

    def test_is_not_sent_if_no_alias_has_its_value(self) -> None:
        usage = {"prompt_tokens": -1, "completion_tokens": 5}
        item = {"model": "m", "response_time_ms": -1, "latency_ms": -1, "prompt_tokens": -1, "usage": usage}
        result = validate(Kind.INFERENCE, item)
        event = event_of(result)
        assert (event.prompt_tokens, event.response_time_ms, event.total_tokens) == (None, None, 5)
        assert result.corrected == {"prompt_tokens": 1, "response_time_ms": 1}

    def test_wins_over_its_alias_if_it_is_zero_or_text(self) -> None:
        usage = {"prompt_tokens": 12, "completion_tokens": 5}
        event = event_of(
            validate(Kind.INFERENCE, {"model": "m", "prompt_tokens": 0, "completion_tokens": "7.0", "usage": usage})
        )
        assert (event.prompt_tokens, event.completion_tokens) == (0, 7)

    def test_is_the_latency_if_a_duration_was_sent_too(self) -> None:
        event = accepted(Kind.INFERENCE, {"model": "m", "duration_ms": 9, "latency_ms": 5})
        assert (event.response_time_ms, event.metadata) == (5, {"duration_ms": 9})

    def test_leaves_the_item_as_it_was(self) -> None:
        item = {"model": "m", "usage": {**OPENAI_CHAT}, "input_tokens": 3}
        before = {**item, "usage": {**OPENAI_CHAT}}
        validate(Kind.INFERENCE, item)
        assert item == before
