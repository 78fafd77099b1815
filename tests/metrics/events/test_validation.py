"""What an event is: bounds, derived fields, times, and that one bad item never costs the others."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metrics.events import (
    ErrorEvent,
    Event,
    FinishReason,
    InferenceEvent,
    IngestPolicy,
    Kind,
    Outcome,
    QueueEvent,
    QueueKind,
    Rejection,
    SeriesKey,
    Severity,
    SystemEvent,
    Validated,
    classify,
    finish_class,
    new_request_id,
    validate_many,
)
from metrics.events.derive import MAX_TOKENS_PER_SECOND, derive
from metrics.events.requests import MAX_STACK_TRACE_BYTES
from tests.support.policies import make_ingest_policy
from tests.support.validated import event_of

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
POLICY = make_ingest_policy()


def validate(kind: Kind, *items: Any, policy: IngestPolicy = POLICY) -> Validated:
    return validate_many(kind, list(items), AT, policy)


def only(kind: Kind, item: dict[str, Any], policy: IngestPolicy = POLICY) -> Any:
    """The one event that an item makes."""
    result = validate(kind, item, policy=policy)
    assert result.rejected == []
    return event_of(result)


def refusal(kind: Kind, item: Any, policy: IngestPolicy = POLICY) -> Rejection:
    """Why an item is refused."""
    result = validate(kind, item, policy=policy)
    assert result.events == []
    [rejection] = result.rejected
    return rejection


def inference(**fields: Any) -> InferenceEvent:
    event = only(Kind.INFERENCE, {"model_name": "m", **fields})
    assert isinstance(event, InferenceEvent)
    return event


def refused(**fields: Any) -> Rejection:
    return refusal(Kind.INFERENCE, {"model_name": "m", **fields})


SEED = {
    "request_id": "r-1",
    "model_name": "meta-llama/Llama-3",
    "prompt_tokens": 12,
    "completion_tokens": 33,
    "total_tokens": 46,
    "response_time_ms": 812.5,
    "tokens_per_second": 40.5,
    "queue_time_ms": 3.5,
    "processing_time_ms": 700.0,
    "success": False,
    "error_message": "boom",
    "temperature": 0.7,
    "max_tokens": 100,
    "metadata": {"tenant": "acme", "nested": {"a": [1, 2.5, None, True]}},
}


class AnEvent:
    def test_comes_out_field_by_field_as_it_was_sent(self) -> None:
        event = only(Kind.INFERENCE, SEED)
        assert {name: getattr(event, name) for name in SEED} == SEED

    def test_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError):
            inference().model_name = "other"

    def test_keeps_emoji_right_to_left_and_two_hundred_characters_in_its_names(self) -> None:
        names = ["🦙👩🏽‍💻 v2", "نموذج-اللغة", "a/b:c@d", "x" * 200, "é" * 200]
        assert [inference(model_name=name, provider=name).labels for name in names] == [
            SeriesKey(name, name) for name in names
        ]

    @pytest.mark.parametrize("field", ["model_name", "provider", "request_id"])
    @pytest.mark.parametrize("value", ["x" * 201, "x" * 10_000, "a\0b", "a\nb", "\x85", "\ud800", -7, ["a"], True])
    def test_is_refused_for_a_name_that_is_no_name(self, field: str, value: Any) -> None:
        assert refused(**{field: value}).field == field

    def test_is_refused_without_a_model(self) -> None:
        for item in ({}, {"model_name": None}, {"model_name": ""}):
            assert refusal(Kind.INFERENCE, item).field == "model_name"

    @pytest.mark.parametrize(
        ("kind", "rest"),
        [
            (Kind.INFERENCE, {}),
            (Kind.ERROR, {"error_type": "Timeout"}),
            (Kind.QUEUE, {"source": "gateway", "pending": 1}),
        ],
    )
    def test_is_refused_under_the_name_that_models_beyond_the_cap_share(self, kind: Kind, rest: dict[str, Any]) -> None:
        result = validate(kind, {"model_name": "__other__", **rest}, {"model_name": "__other", **rest})
        assert len(result.events) == 1
        [rejection] = result.rejected
        assert (rejection.index, rejection.field) == (0, "model_name")
        assert rejection.error.startswith("must not be __other__")
        assert "LLMMONITOR_MAX_SERIES" in rejection.error

    @pytest.mark.parametrize(
        "field",
        ["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens", "max_tokens"],
    )
    @pytest.mark.parametrize("value", [-1, 2**31 - 1, 2**53, 2**63, 1e300, "x", True, 1.5, [], {}, math.nan, math.inf])
    def test_has_no_value_for_tokens_that_are_no_count(self, field: str, value: Any) -> None:
        assert getattr(inference(**{field: value}), field) is None

    @pytest.mark.parametrize(
        "field", ["response_time_ms", "queue_time_ms", "processing_time_ms", "ttft_ms", "time_per_output_token_ms"]
    )
    @pytest.mark.parametrize("value", [-0.1, -1, 31 * 86_400_000, "x", True, math.nan, math.inf, -math.inf, [1], 1e300])
    def test_has_no_value_for_a_duration_that_is_none(self, field: str, value: Any) -> None:
        assert getattr(inference(**{field: value}), field) is None

    def test_takes_the_least_and_the_most(self) -> None:
        event = inference(prompt_tokens=2**31 - 2, response_time_ms=24 * 86_400_000, temperature=0, cost_usd=0)
        assert (event.prompt_tokens, event.response_time_ms) == (2**31 - 2, 2_073_600_000)

    def test_takes_null_for_what_was_not_sent_and_a_whole_number_with_a_point(self) -> None:
        fields = dict.fromkeys(InferenceEvent.model_fields.keys() - {"model_name", "stamped", "tags", "outcome"})
        fields |= {"prompt_tokens": 12.0, "is_demo": None, "finish_class": None}
        assert inference(**fields).prompt_tokens == 12

    def test_names_the_first_of_its_faults_and_counts_the_others(self) -> None:
        rejection = refused(timestamp="now", request_id="x" * 201, provider=7)
        assert rejection == Rejection(
            0, "timestamp", "must be a time in ISO 8601 or unix seconds, got 'now' (and 2 more)"
        )

    def test_is_refused_when_it_is_no_object(self) -> None:
        for item, name in [(None, "null"), (5, "a number"), ("x", "text"), ([], "an array"), (True, "true or false")]:
            assert refusal(Kind.INFERENCE, item) == Rejection(0, None, f"must be an object, got {name}")

    def test_never_repeats_words_in_a_refusal(self) -> None:
        secret = "the secret prompt"
        for field in InferenceEvent.model_fields.keys() - {"timestamp"}:
            for value in (secret * 30, {"a": secret}, [secret], secret + "\0"):
                for rejection in validate(Kind.INFERENCE, {"model_name": "m", field: value}).rejected:
                    assert "secret" not in rejection.error
                    assert len(rejection.error) <= 300

    def test_cannot_be_told_from_outside_what_only_we_say(self) -> None:
        event = inference(is_demo=True, stamped=False, outcome="timeout", tags=[["a", "b"]], finish_class="stop")
        assert (event.is_demo, event.outcome, event.tags, event.finish_class) == (False, Outcome.OK, (), None)
        assert event.metadata == {
            "is_demo": True,
            "stamped": False,
            "outcome": "timeout",
            "tags": [["a", "b"]],
            "finish_class": "stop",
        }

    def test_belongs_to_the_demo_by_its_mark_which_is_then_gone(self) -> None:
        marked = inference(metadata={"llmmonitor.demo": True, "a": 1})
        assert (marked.is_demo, marked.metadata) == (True, {"a": 1})
        assert inference(metadata={"llmmonitor.demo": False}).is_demo is False
        host = only(Kind.SYSTEM, {"host": "h", "metadata": {"llmmonitor.demo": True}})
        queue = only(Kind.QUEUE, {"source": "s", "model_name": "m", "pending": 1, "llmmonitor.demo": True})
        assert host.is_demo
        assert queue.is_demo

    def test_keeps_unknown_fields_in_its_metadata(self) -> None:
        event = inference(tenant="acme", metadata={"run": 7, "tenant": "other"})
        assert event.metadata == {"run": 7, "tenant": "other", "event.tenant": "acme"}

    def test_carries_the_metadata_keys_that_are_promoted_as_tags(self) -> None:
        policy = make_ingest_policy(tags=("tenant", "beta", "shard", "missing", "long"))
        metadata = {"tenant": "acme", "beta": True, "shard": 3, "long": "x" * 300, "other": "o"}
        event = only(Kind.INFERENCE, {"model_name": "m", "metadata": metadata}, policy)
        tags = (("beta", "true"), ("long", "x" * 200), ("shard", "3"), ("tenant", "acme"))
        assert event.labels == SeriesKey("m", tags=tags)
        assert event.metadata == metadata

    def test_promotes_its_host_and_its_user_as_tags(self) -> None:
        policy = make_ingest_policy(tags=("host", "user", "team"))
        event = only(Kind.INFERENCE, {"model_name": "m", "host": "gpu-1", "user": "u"}, policy)
        assert (event.host, event.user, event.metadata) == ("gpu-1", "u", None)
        assert event.tags == (("host", "gpu-1"), ("user", "u"))
        assert only(Kind.INFERENCE, {"model_name": "m"}, policy).tags == ()

    def test_gets_an_id_when_it_has_none_and_the_answer_can_name_it(self) -> None:
        result = validate(
            Kind.INFERENCE, {"model_name": "a"}, {"model_name": "b", "request_id": "mine"}, {"model_name": "c"}
        )
        events: list[Any] = result.events
        ids = [event.request_id for event in events]
        assert result.generated_ids == {0: ids[0], 2: ids[2]}
        assert ids[1] == "mine"
        assert ids[0] < ids[2]

    def test_leaves_the_item_as_it_was(self) -> None:
        item = {"model_name": "m", "prompt": "p", "x": 1, "metadata": {"llmmonitor.demo": True, "content": "c"}}
        before = {**item, "metadata": dict(item["metadata"])}  # type: ignore[call-overload]
        inference(**item)
        validate(Kind.INFERENCE, item)
        assert item == before


class AnIdMadeHere:
    def test_sorts_by_time_and_looks_like_a_uuid_of_version_7(self) -> None:
        ids = [new_request_id(AT + timedelta(milliseconds=n)) for n in range(50)]
        assert ids == sorted(ids)
        assert len(set(ids)) == 50
        assert {(len(made), made[12], made[16] in "89ab") for made in ids} == {(32, "7", True)}


class ATimestamp:
    @pytest.mark.parametrize(
        "sent",
        [
            "2026-03-01T11:59:00Z",
            "2026-03-01T11:59:00",
            "2026-03-01 13:59:00+02:00",
            "2026-03-01T11:59:00.000000Z",
            1772366340,
            1772366340.0,
            1772366340000,
        ],
    )
    def test_is_taken_in_many_forms_and_kept_in_utc(self, sent: Any) -> None:
        event = inference(timestamp=sent)
        assert event.timestamp == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
        assert event.timestamp.tzinfo is UTC
        assert event.stamped

    def test_is_kept_to_the_microsecond(self) -> None:
        assert inference(timestamp="2026-03-01T11:59:00.123456Z").timestamp.microsecond == 123456

    def test_is_the_servers_when_none_was_sent(self) -> None:
        for item in ({}, {"timestamp": None}):
            event = inference(**item)
            assert (event.timestamp, event.stamped) == (AT, False)

    @pytest.mark.parametrize(
        "sent", ["yesterday", "", True, [], {}, math.nan, 1e30, "2026-13-01T00:00:00Z", "x" * 9999]
    )
    def test_is_refused_when_it_is_no_time(self, sent: Any) -> None:
        rejection = refused(timestamp=sent)
        assert rejection.field == "timestamp"
        assert len(rejection.error) < 160

    def test_is_refused_from_another_age(self) -> None:
        for sent in ("1970-01-01T00:00:00Z", 0, "0001-01-01T00:00:00+23:00", AT - timedelta(days=400, seconds=1)):
            assert "at most 400 days old" in refused(timestamp=sent).error or sent == "0001-01-01T00:00:00+23:00"
            assert refused(timestamp=sent).field == "timestamp"

    def test_is_refused_from_the_future_but_for_five_minutes(self) -> None:
        assert inference(timestamp="2026-03-01T12:05:00Z").stamped
        for sent in ("2026-03-01T12:05:00.000001Z", "2100-01-01T00:00:00Z", "9999-12-31T23:59:59-23:00"):
            assert refused(timestamp=sent).field == "timestamp"
        assert "300 s ahead" in refused(timestamp="2100-01-01T00:00:00Z").error

    def test_is_refused_if_events_of_that_time_are_deleted(self) -> None:
        policy = make_ingest_policy(raw_floor=AT - timedelta(days=30))
        at_floor = {"model_name": "m", "timestamp": "2026-01-30T12:00:00Z"}
        assert validate(Kind.INFERENCE, at_floor, policy=policy).rejected == []
        below = {**at_floor, "timestamp": "2026-01-30T11:59:59.999999Z"}
        rejection = refusal(Kind.INFERENCE, below, policy)
        assert rejection.field == "timestamp"
        assert rejection.error == (
            "must not be before 2026-01-30T12:00:00Z (older events are deleted already, by their retention or the disk "
            "limit), got 2026-01-30T11:59:59.999999Z"
        )


AMOUNT = st.one_of(st.none(), st.floats(0, 1e9))
COUNT = st.one_of(st.none(), st.integers(0, 10**9))


class TheDerivedFields:
    @given(prompt=COUNT, completion=COUNT, response=AMOUNT, queue=AMOUNT, ttft=AMOUNT, processing=AMOUNT)
    def test_are_finite_not_negative_or_missing(
        self,
        prompt: int | None,
        completion: int | None,
        response: float | None,
        queue: float | None,
        ttft: float | None,
        processing: float | None,
    ) -> None:
        for value in derive(prompt, completion, response, queue, ttft, processing):
            assert value is None or (math.isfinite(value) and value >= 0)

    @given(
        prompt=COUNT,
        completion=COUNT,
        response=AMOUNT,
        queue=AMOUNT,
        ttft=AMOUNT,
        processing=AMOUNT,
        speed=AMOUNT,
        per_token=AMOUNT,
    )
    def test_fill_what_was_not_given_and_nothing_else(self, **given: Any) -> None:
        sent = {
            "prompt_tokens": given["prompt"],
            "completion_tokens": given["completion"],
            "response_time_ms": given["response"],
            "queue_time_ms": given["queue"],
            "ttft_ms": given["ttft"],
            "processing_time_ms": given["processing"],
            "tokens_per_second": given["speed"],
            "time_per_output_token_ms": given["per_token"],
        }
        event = inference(**sent)
        figures = derive(*list(given.values())[:6])._asdict()
        for name, value in {**figures, **{n: v for n, v in sent.items() if v is not None}}.items():
            assert getattr(event, name) == value

    def test_are_these_for_a_streamed_answer(self) -> None:
        event = inference(prompt_tokens=10, completion_tokens=41, response_time_ms=1300, queue_time_ms=100, ttft_ms=300)
        assert event.total_tokens == 51
        assert event.processing_time_ms == 1200
        assert event.tokens_per_second == 40.0  # 40 tokens in the second after the first
        assert event.time_per_output_token_ms == 25.0  # 40 steps in that second

    @pytest.mark.parametrize(
        ("tokens", "ttft", "speed"),
        [
            (2, 1000, 100.0),
            (11, 1000, 1000.0),
            (1, 1000, None),
            (0, 1000, None),
            (2, 1010, None),
            (2, 1020, None),
            (1, None, 1000 / 1010),
            (0, None, 0.0),
        ],
    )
    def test_have_a_speed_without_the_first_token(self, tokens: int, ttft: int | None, speed: float | None) -> None:
        event = inference(completion_tokens=tokens, response_time_ms=1010, ttft_ms=ttft)
        assert event.tokens_per_second == speed
        if speed and ttft is not None:
            assert event.time_per_output_token_ms == pytest.approx(1000 / speed)

    @pytest.mark.parametrize(
        ("times", "speed"),
        [
            ({"processing_time_ms": 1000}, 50.0),
            ({"processing_time_ms": 500, "response_time_ms": 1000}, 100.0),
            ({"processing_time_ms": 500, "response_time_ms": 1000, "queue_time_ms": 100}, 100.0),
            ({"processing_time_ms": 500, "response_time_ms": 1000, "ttft_ms": 510}, 100.0),
            ({"processing_time_ms": 500, "ttft_ms": 10}, None),
            ({"processing_time_ms": 0, "response_time_ms": 1000}, None),
        ],
    )
    def test_have_the_speed_of_the_processing_time_that_was_sent(
        self, times: dict[str, float], speed: float | None
    ) -> None:
        event = inference(completion_tokens=50, **times)
        assert event.tokens_per_second == speed
        assert event.processing_time_ms == times["processing_time_ms"]

    def test_are_these_for_an_answer_in_one_piece(self) -> None:
        event = inference(completion_tokens=50, response_time_ms=600, queue_time_ms=100)
        assert (event.total_tokens, event.processing_time_ms, event.tokens_per_second) == (50, 500, 100.0)
        assert event.time_per_output_token_ms is None

    def test_stay_empty_where_they_would_be_negative_or_divide_by_zero(self) -> None:
        event = inference(completion_tokens=5, response_time_ms=100, queue_time_ms=150, ttft_ms=100)
        assert (event.processing_time_ms, event.tokens_per_second) == (None, None)
        assert inference(completion_tokens=5, response_time_ms=100, ttft_ms=150).time_per_output_token_ms is None
        assert inference(completion_tokens=1, response_time_ms=100, ttft_ms=50).time_per_output_token_ms is None
        assert derive(None, 10, 1e-6, None, None, None).tokens_per_second is None
        assert derive(None, 1, 1e-6, None, None, None).tokens_per_second == MAX_TOKENS_PER_SECOND

    def test_let_a_given_value_win(self) -> None:
        event = inference(
            prompt_tokens=1, completion_tokens=2, total_tokens=10, response_time_ms=9, processing_time_ms=1
        )
        assert (event.total_tokens, event.processing_time_ms) == (10, 1)


class ARequestsSuccess:
    @pytest.mark.parametrize(
        ("fields", "success"),
        [
            ({}, True),
            ({"status_code": 200}, True),
            ({"status_code": 399}, True),
            ({"status_code": 400}, False),
            ({"error_type": "ValueError"}, False),
            ({"error_message": "boom"}, False),
            ({"error_message": ""}, True),
            ({"error_message": "careful", "severity": "warning"}, True),
            ({"success": True, "status_code": 500, "error_type": "X"}, True),
            ({"success": False}, False),
        ],
    )
    def test_is_what_was_sent_or_follows_from_the_rest(self, fields: dict[str, Any], success: bool) -> None:
        event = inference(**fields)
        assert event.success is success
        assert (event.outcome is Outcome.OK) is success

    @pytest.mark.parametrize(
        ("status_code", "error_type", "outcome"),
        [
            (429, None, Outcome.RATE_LIMITED),
            (None, "openai.RateLimitError", Outcome.RATE_LIMITED),
            (None, "429 Too Many Requests", Outcome.RATE_LIMITED),
            (408, None, Outcome.TIMEOUT),
            (504, None, Outcome.TIMEOUT),
            (None, "APITimeoutError", Outcome.TIMEOUT),
            (None, "DEADLINE_EXCEEDED", Outcome.TIMEOUT),
            (499, None, Outcome.CANCELLED),
            (None, "asyncio.CancelledError", Outcome.CANCELLED),
            (404, "ServerError", Outcome.CLIENT_ERROR),
            (None, "BadRequestError", Outcome.CLIENT_ERROR),
            (None, "AuthenticationError", Outcome.CLIENT_ERROR),
            (None, "PermissionDeniedError", Outcome.CLIENT_ERROR),
            (None, "NotFoundError", Outcome.CLIENT_ERROR),
            (None, "ValidationError", Outcome.CLIENT_ERROR),
            (None, "context_length_exceeded", Outcome.CLIENT_ERROR),
            (500, "RateLimitError", Outcome.SERVER_ERROR),
            (200, "TimeoutError", Outcome.TIMEOUT),
            (None, "CUDAOutOfMemory", Outcome.SERVER_ERROR),
            (None, None, Outcome.SERVER_ERROR),
            (None, "🙈", Outcome.SERVER_ERROR),
        ],
    )
    def test_fails_in_one_of_five_ways(self, status_code: int | None, error_type: str | None, outcome: Outcome) -> None:
        assert classify(False, status_code, error_type) is outcome
        assert classify(True, status_code, error_type) is Outcome.OK

    @pytest.mark.parametrize(
        ("sent", "reason"),
        [
            ("stop", FinishReason.STOP),
            ("end_turn", FinishReason.STOP),
            ("STOP", FinishReason.STOP),
            ("length", FinishReason.LENGTH),
            ("max_tokens", FinishReason.LENGTH),
            ("tool_use", FinishReason.TOOL),
            ("function_call", FinishReason.TOOL),
            ("content-filter", FinishReason.CONTENT_FILTER),
            ("SAFETY", FinishReason.CONTENT_FILTER),
            ("abort", FinishReason.ERROR),
            ("something new", FinishReason.OTHER),
        ],
    )
    def test_has_a_finish_in_one_of_six_classes_beside_the_word_sent(self, sent: str, reason: FinishReason) -> None:
        event = inference(finish_reason=sent)
        assert (event.finish_class, event.finish_reason) == (reason, sent)
        assert finish_class(None) is None


class AnError:
    def test_needs_a_type_or_a_message(self) -> None:
        assert refusal(Kind.ERROR, {"model_name": "m"}).field == "error_type"
        assert only(Kind.ERROR, {"error_message": "boom"}).error_type == "Error"
        assert only(Kind.ERROR, {"error_type": "E"}).error_message is None

    def test_has_a_severity_in_any_case_and_is_a_failure_unless_it_is_a_warning(self) -> None:
        events = [only(Kind.ERROR, {"error_type": "E", "severity": word}) for word in ("critical", "Error", "WARNING")]
        assert [event.severity for event in events] == [Severity.CRITICAL, Severity.ERROR, Severity.WARNING]
        assert [event.is_failure for event in events] == [True, True, False]
        assert only(Kind.ERROR, {"error_type": "E"}).severity is Severity.ERROR

    def test_needs_no_model_and_no_id(self) -> None:
        result = validate(Kind.ERROR, {"error_type": "ReadTimeout"})
        [event] = result.events
        assert isinstance(event, ErrorEvent)
        assert (event.model_name, event.outcome) == ("unknown", Outcome.TIMEOUT)
        assert result.generated_ids == {0: event.request_id}

    def test_is_cut_where_it_is_long(self) -> None:
        event = only(Kind.ERROR, {"error_message": "ü" * 5000, "stack_trace": "first" + "ü" * 40_000 + "last"})
        assert len(event.error_message) == 2000
        assert len(event.stack_trace.encode()) <= MAX_STACK_TRACE_BYTES
        assert event.stack_trace.startswith("first")
        assert event.stack_trace.endswith("last")
        whole = only(Kind.ERROR, {"error_type": "E", "stack_trace": "x" * MAX_STACK_TRACE_BYTES})
        assert len(whole.stack_trace) == MAX_STACK_TRACE_BYTES

    def test_holds_no_nul(self) -> None:
        event = only(Kind.ERROR, {"error_message": "a\0b", "stack_trace": "c\0d"})
        assert (event.error_message, event.stack_trace) == ("a\ufffdb", "c\ufffdd")

    @pytest.mark.parametrize("kind", [Kind.ERROR, Kind.INFERENCE])
    def test_leaves_its_words_at_the_door_where_the_setting_says_so(self, kind: Kind) -> None:
        item = {"model_name": "m", "error_message": "secret", "stack_trace": "secret", "request_id": "r"}
        result = validate(kind, item, policy=make_ingest_policy(drop_error_text=True))
        [event] = result.events
        assert "secret" not in repr(event)
        assert result.dropped == {"error_message": 1, "stack_trace": 1}
        if isinstance(event, InferenceEvent):
            assert event.success is False
            error = event.as_error()
            assert error is not None
            assert error.error_type == "Error"

    def test_is_made_by_a_request_that_carries_one(self) -> None:
        event = inference(request_id="r", error_message="boom", severity="CRITICAL", provider="p", status_code=429)
        error = event.as_error()
        assert error is not None
        assert (error.request_id, error.error_type, error.error_message) == ("r", "Error", "boom")
        assert (error.severity, error.outcome, error.labels) == (Severity.CRITICAL, event.outcome, event.labels)
        assert error.timestamp == event.timestamp
        assert inference(success=False).as_error() is None


class AQueue:
    def test_is_what_a_source_says(self) -> None:
        event = only(
            Kind.QUEUE, {"source": "gw", "model_name": "m", "pending": 3, "processing": 2, "wait_time_ms": 1.5}
        )
        assert isinstance(event, QueueEvent)
        assert (event.pending, event.processing, event.wait_time_ms, event.kind) == (3, 2, 1.5, QueueKind.TRACK)
        assert event.labels == SeriesKey("m")

    def test_is_at_most_so_long_that_all_sources_together_are_exact_in_json(self) -> None:
        event = only(Kind.QUEUE, {"source": "s", "model_name": "m", "pending": 10**9, "processing": 10**9})
        assert 10_000 * (event.pending + event.processing) < 2**53

    @pytest.mark.parametrize(
        ("fields", "field"),
        [
            ({"source": "s"}, "model_name"),
            ({"model_name": "m", "pending": 1}, "source"),
            ({"source": "s", "model_name": "m"}, "pending"),
            ({"source": "s", "model_name": "m", "pending": -1}, "pending"),
            ({"source": "s", "model_name": "m", "pending": 10**9 + 1}, "pending"),
            ({"source": "s", "model_name": "m", "processing": 2**63 - 1}, "processing"),
            ({"source": "s", "model_name": "m", "pending": 1, "kind": "engine"}, "kind"),
            ({"source": "s", "model_name": "m", "pending": 1, "kind": "other"}, "kind"),
        ],
    )
    def test_is_refused_by_field(self, fields: dict[str, Any], field: str) -> None:
        assert refusal(Kind.QUEUE, fields).field == field

    def test_names_what_it_cannot_keep(self) -> None:
        result = validate(
            Kind.QUEUE, {"source": "s", "model_name": "m", "pending": 1, "note": "x", "metadata": {"a": 1}}
        )
        assert result.dropped == {"note": 1, "metadata": 1}
        result = validate(Kind.QUEUE, {"source": "s", "model_name": "m", "pending": 1, "metadata": "text"})
        assert (result.dropped, result.corrected) == ({"metadata": 1}, {})


GPU_FIELDS = {
    "gpu_id": 0,
    "name": "NVIDIA H100",
    "temperature": 71,
    "utilization_percent": 96,
    "memory_used_mb": 70_000.5,
    "memory_total_mb": 81_559,
    "memory_percent": 85.8,
    "power_draw_watts": 612.3,
    "power_limit_watts": 700,
}
SYSTEM_FIELDS = {
    "host": "gpu-1",
    "cpu_percent": 41.5,
    "memory_percent": 63,
    "memory_used_gb": 64.25,
    "memory_total_gb": 128,
    "disk_percent": 20.1,
    "gpu_count": 2,
    "network_bytes_sent": 2**62,
    "network_bytes_recv": 5,
    "load_average": [1.5, 2, 3],
}


class AMachine:
    def test_comes_out_field_by_field_with_null_for_what_a_gpu_cannot_say(self) -> None:
        gpus = [GPU_FIELDS, {**GPU_FIELDS, "gpu_id": "0:1", "power_draw_watts": None}]
        event = only(Kind.SYSTEM, {**SYSTEM_FIELDS, "gpu_metrics": gpus})
        assert isinstance(event, SystemEvent)
        assert {name: getattr(event, name) for name in SYSTEM_FIELDS} == SYSTEM_FIELDS
        sent_back = [{**gpu.model_dump(include=set(GPU_FIELDS)), "gpu_id": gpu.gpu_id} for gpu in event.gpu_metrics]
        assert sent_back == [{**gpu, "gpu_id": str(gpu["gpu_id"])} for gpu in gpus]

    def test_is_refused_without_its_name(self) -> None:
        assert refusal(Kind.SYSTEM, {"host": ""}).field == "host"

    @pytest.mark.parametrize(
        ("used", "total", "percent"),
        [
            (40_000, 80_000, 50),
            (0, 80, 0),
            (80.5, 80, 100),
            (81, 80, None),
            (1, 0, None),
            (None, 80, None),
            (1, None, None),
        ],
    )
    def test_has_a_memory_percent_from_its_used_memory(self, used: Any, total: Any, percent: float | None) -> None:
        gpu = {"gpu_id": 0, "memory_used_mb": used, "memory_total_mb": total}
        fields = {"memory_used_gb": used, "memory_total_gb": total}
        event = only(Kind.SYSTEM, {"host": "h", **fields, "gpu_metrics": [gpu]})
        assert (event.memory_percent, event.gpu_metrics[0].memory_percent) == (percent, percent)
        sent = {"memory_percent": 7}
        event = only(Kind.SYSTEM, {"host": "h", **fields, **sent, "gpu_metrics": [{**gpu, **sent}]})
        assert (event.memory_percent, event.gpu_metrics[0].memory_percent) == (7, 7)

    def test_names_what_it_cannot_keep(self) -> None:
        result = validate(Kind.SYSTEM, {"host": "h", "note": 1, "gpu_metrics": [{"gpu_id": 0, "led": "red"}]})
        assert result.dropped == {"note": 1, "gpu_metrics.led": 1}


JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(max_size=20),
        st.sampled_from(["WARNING", "engine", "2026-03-01T12:00:00Z", "0001-01-01T00:00:00+23:59", "\0", 12.0, 0]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=12,
)
FIELD_NAMES = sorted(
    {name for kind in (InferenceEvent, ErrorEvent, QueueEvent, SystemEvent) for name in kind.model_fields}
)
ITEM = st.one_of(
    JSON, st.dictionaries(st.sampled_from([*FIELD_NAMES, "prompt", "llmmonitor.demo", "x"]), JSON, max_size=8)
)


class TheDoor:
    @given(kind=st.sampled_from(Kind), items=st.lists(ITEM, max_size=4), strict=st.booleans())
    def test_takes_or_refuses_any_json_and_never_raises(self, kind: Kind, items: list[Any], strict: bool) -> None:
        policy = make_ingest_policy(
            tags=("x",), drop_error_text=strict, raw_floor=AT - timedelta(days=1) if strict else None
        )
        result = validate_many(kind, items, AT, policy)
        assert len(result.events) == len(result.indexes)
        assert sorted([*result.indexes, *(rejection.index for rejection in result.rejected)]) == list(range(len(items)))
        for rejection in result.rejected:
            assert 0 < len(rejection.error) <= 300

    def test_keeps_the_other_nine_hundred_and_ninety_nine(self) -> None:
        items = [{"model_name": "m", "request_id": f"r{n}", "prompt_tokens": n} for n in range(1000)]
        items[500]["model_name"] = 5
        result = validate(Kind.INFERENCE, *items)
        assert result.rejected == [Rejection(500, "model_name", "must be text, got 5")]
        assert result.indexes == [*range(500), *range(501, 1000)]

    def test_counts_more_paths_than_it_names_together(self) -> None:
        result = validate(Kind.INFERENCE, *({"model_name": "m", f"{n}_prompt": "x"} for n in range(60)))
        assert len(result.dropped) == 51
        assert result.dropped["…"] == 10

    def test_says_nothing_of_content_in_what_it_refused(self) -> None:
        result = validate(Kind.INFERENCE, {"model_name": "", "prompt": "x"}, {"model_name": "m", "prompt": "x"})
        assert result.dropped == {"prompt": 1}

    def test_gives_events_that_are_all_events(self) -> None:
        assert all(isinstance(event, Event) for event in validate(Kind.QUEUE, {"source": "s"}).events)
