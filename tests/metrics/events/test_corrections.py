"""Fields that describe or measure: an invalid value does not cost the event, and the response names it."""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.events import (
    EVENT_TYPES,
    Event,
    GPUSample,
    InferenceEvent,
    IngestPolicy,
    Kind,
    Outcome,
    Severity,
    Validated,
    validate_many,
)
from metrics.events.validation import ACCEPTED_FIELDS
from tests.support.policies import make_ingest_policy
from tests.support.validated import event_of

AT = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
POLICY = make_ingest_policy()
OTHERS_OF_A_QUEUE = "processing, wait_time_ms, oldest_seconds, ratelimit_remaining_requests, ratelimit_remaining_tokens"
# The least that an event of each kind needs. A queue needs one of its values.
LEAST: dict[Kind, dict[str, Any]] = {
    Kind.INFERENCE: {"model_name": "m"},
    Kind.ERROR: {"error_type": "E", "error_message": "boom"},
    Kind.QUEUE: {"source": "s", "model_name": "m", "pending": 1},
    Kind.SYSTEM: {"host": "h"},
}
IDENTITY = {
    Kind.INFERENCE: {"timestamp", "request_id", "model_name", "provider"},
    Kind.ERROR: {"timestamp", "request_id", "model_name", "provider"},
    Kind.QUEUE: {"timestamp", "source", "model_name", "provider", "kind"},
    Kind.SYSTEM: {"timestamp", "host"},
}
DESCRIPTIVE = [(kind, name) for kind in Kind for name in sorted(ACCEPTED_FIELDS[kind] - IDENTITY[kind])]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


SENTINELS: list[Any] = [
    *(-1, -1.0, 0, 0.0, 1, 101, 100.00000000000001, 65_535, 2**31 - 1, 2**32 - 1, 2**63, 2**64 - 1, 1e300),
    *(math.nan, math.inf, -math.inf, True, False, "", " ", "-", "-1", "12", "1.5", "1e999"),
    *("[N/A]", "N/A", "Not Supported", "nan", "NaN", "inf", "null", "None", "unknown", "[Unknown Error]", "ERR!"),
    *(
        "x" * 201,
        "x" * 10_000,
        "a\nb",
        "a\0b",
        "\x85",
        "cut \ud83d",
        [],
        [1],
        [None],
        nested(1_020),  # the most that the parser of JSON takes is 1,024
        ["x"],
        [-1, -1, -1],
        {},
        {"a": 1},
    ),
]


def validate(kind: Kind, *items: Any, policy: IngestPolicy = POLICY) -> Validated:
    return validate_many(kind, list(items), AT, policy)


def fixed(kind: Kind, policy: IngestPolicy = POLICY, /, **fields: Any) -> tuple[Any, dict[str, int]]:
    """The event with these fields, and what was corrected."""
    result = validate(kind, {**LEAST[kind], **fields}, policy=policy)
    assert result.rejected == []
    [event] = result.events
    return event, result.corrected


def request(**fields: Any) -> tuple[Any, dict[str, int]]:
    return fixed(Kind.INFERENCE, **fields)


class AFieldThatDescribes:
    @pytest.mark.parametrize(("kind", "name"), DESCRIPTIVE)
    def test_never_costs_the_event(self, kind: Kind, name: str) -> None:
        others = {"metadata": {"a": 1}} if name != "metadata" and "metadata" in ACCEPTED_FIELDS[kind] else {}
        if kind is Kind.QUEUE:
            others = {"wait_time_ms": 5.0} if name != "wait_time_ms" else {"processing": 1}
        for sentinel in SENTINELS:
            event, corrected = fixed(kind, **{**others, name: sentinel})
            assert corrected in ({}, {name: 1}), (sentinel, corrected)
            for key, value in others.items():
                assert getattr(event, key) == value
            if not corrected and name not in ("error_message", "stack_trace", "gpu_metrics"):
                assert getattr(event, name) == (sentinel or getattr(event, name)), sentinel

    @pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in Kind for name in sorted(IDENTITY[kind])])
    @pytest.mark.parametrize("value", [["a"], nested(1_020), {"a": 1}, True, "x" * 201, "a\0b", -0.5])
    def test_is_not_one_that_identifies_the_event(self, kind: Kind, name: str, value: Any) -> None:
        result = validate(kind, {**LEAST[kind], name: value})
        assert [rejection.field for rejection in result.rejected] == [name]
        assert result.corrected == {}

    def test_is_null_for_a_value_without_a_meaning(self) -> None:
        event, corrected = request(max_tokens=-1, status_code=0, temperature=-1, prompt_tokens=-1, cost_usd="[N/A]")
        assert corrected == dict.fromkeys(["max_tokens", "status_code", "temperature", "prompt_tokens", "cost_usd"], 1)
        assert {getattr(event, name) for name in corrected} == {None}
        assert (event.success, event.outcome) == (True, Outcome.OK)

    def test_is_the_default_where_it_has_one(self) -> None:
        event, corrected = fixed(Kind.ERROR, severity="bad", service=["a"])
        assert (event.severity, event.service) == (Severity.ERROR, "")
        assert corrected == {"severity": 1, "service": 1}

    @pytest.mark.parametrize(
        ("word", "severity"),
        [
            *((word, Severity.WARNING) for word in ("WARN", "warn", "Warning ", "INFO", "notice", "debug", "trace")),
            *((word, Severity.ERROR) for word in ("err", " Error", "SEVERE")),
            *((word, Severity.CRITICAL) for word in ("fatal", "FATAL", "crit", "emergency", "alert", "panic")),
        ],
    )
    def test_is_the_severity_that_the_level_of_a_logger_means(self, word: str, severity: Severity) -> None:
        event, corrected = fixed(Kind.ERROR, severity=word)
        assert (event.severity, event.is_failure) == (severity, severity is not Severity.WARNING)
        assert corrected == {"severity": 1}
        assert request(severity=word, error_message="x")[0].success is (severity is Severity.WARNING)

    def test_keeps_the_measured_values_beside_it(self) -> None:
        event, corrected = request(prompt_tokens=12, completion_tokens=5, response_time_ms=90, ttft_ms="Not Supported")
        assert (event.total_tokens, event.response_time_ms, event.ttft_ms) == (17, 90, None)
        assert corrected == {"ttft_ms": 1}

    @pytest.mark.parametrize(
        ("name", "sent", "stored"),
        [
            ("prompt_tokens", "12", 12),
            ("prompt_tokens", "12.0", 12),
            ("prompt_tokens", "12.5", None),
            ("prompt_tokens", "-1", None),
            ("response_time_ms", "812.5", 812.5),
            ("response_time_ms", "9" * 41, None),
            ("response_time_ms", 24 * 86_400_000 + 1, 24 * 86_400_000),
            ("response_time_ms", 25 * 86_400_000, None),
            *(("prompt_tokens", largest, None) for largest in (2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)),
            ("max_tokens", 2**31 - 1, None),
            ("completion_tokens", "4294967295", None),
            ("response_time_ms", 2**31 - 1, None),
            ("queue_time_ms", float(2**32 - 1), None),
            ("request_id", 12_345, "12345"),
            ("request_id", 12_345.0, "12345"),
            ("request_id", 2**64 - 1, "18446744073709551615"),
            ("user", 42.0, "42"),
            ("status_code", 600, None),
            ("status_code", "429", 429),
            ("success", "False", False),
            ("stream", "yes", True),
            ("stream", "maybe", None),
            ("success", "no", False),
            ("success", "failed", False),
            ("user", 42, "42"),
            ("user", 0, None),
            ("user", True, None),
            ("user", "ann\nlee", "ann\ufffdlee"),
            ("trace_id", "x" * 65, "x" * 64),
            ("endpoint", "\n" * 201, "\ufffd" * 200),
            ("finish_reason", "cut \ud83d", "cut \ufffd"),
        ],
    )
    def test_keeps_a_value_with_a_clear_meaning_in_its_own_form(self, name: str, sent: Any, stored: Any) -> None:
        event, corrected = request(**{name: sent})
        assert (getattr(event, name), corrected) == (stored, {name: 1})

    @pytest.mark.parametrize(
        ("sent", "status", "outcome"),
        [
            ("429 Too Many Requests", 429, Outcome.RATE_LIMITED),
            ("HTTP 503", 503, Outcome.SERVER_ERROR),
            ("HTTP/1.1 504 Gateway Timeout", 504, Outcome.TIMEOUT),
            ("HTTP_404", 404, Outcome.CLIENT_ERROR),
            ("200 OK", 200, Outcome.OK),
            ("0", None, Outcome.OK),
            ("5030", None, Outcome.OK),
            ("OK", None, Outcome.OK),
        ],
    )
    def test_is_the_status_code_in_a_text(self, sent: str, status: int | None, outcome: Outcome) -> None:
        event, corrected = request(status_code=sent)
        assert (event.status_code, event.outcome, corrected) == (status, outcome, {"status_code": 1})

    @pytest.mark.parametrize(
        ("word", "outcome"),
        [
            ("DEADLINE_EXCEEDED", Outcome.TIMEOUT),
            ("RESOURCE_EXHAUSTED", Outcome.RATE_LIMITED),
            ("UNAVAILABLE", Outcome.SERVER_ERROR),
            ("STATUS_CODE_ERROR", Outcome.SERVER_ERROR),
        ],
    )
    def test_is_the_type_of_the_error_if_the_status_code_is_its_name(self, word: str, outcome: Outcome) -> None:
        event, corrected = request(status_code=word)
        assert (event.status_code, event.error_type, event.outcome) == (None, word, outcome)
        assert corrected == {"status_code": 1}
        assert request(status_code=word, error_type="E")[0].error_type == "E"
        assert request(status_code=f"{word}: some text")[0].error_type is None

    def test_is_a_failure_if_its_word_for_success_is_unknown(self) -> None:
        for word in ("timeout", "cancelled", "n", "f", "off", "false ", "aborted", "-1", "0.0", "x" * 300, -1, 0.5):
            event, corrected = request(success=word)
            assert (event.success, corrected) == (False, {"success": 1}), word
        for word in ("TRUE ", "yes", "ok", "success", "Successful", "1", "t", "y", "on", "done", "completed", "1.0"):
            event, corrected = request(success=word)
            assert (event.success, corrected) == (True, {"success": 1}), word
        for word in ("", " ", "N/A", "null", "None", "nan", "unknown", "inf", math.nan):
            event, corrected = request(success=word, status_code=500)
            assert (event.success, corrected) == (False, {"success": 1}), word
            assert request(success=word)[0].success is True, word
        assert request(stream="timeout")[0].stream is None

    @pytest.mark.parametrize(
        ("name", "sent", "stored"),
        [
            ("prompt_tokens", 12.0, 12),
            ("success", 1, True),
            ("success", 0.0, False),
            ("stream", 0, False),
            ("service", None, ""),
        ],
    )
    def test_is_not_corrected_for_another_way_to_write_its_value(self, name: str, sent: Any, stored: Any) -> None:
        event, corrected = request(**{name: sent})
        assert (getattr(event, name), corrected) == (stored, {})

    def test_keeps_the_failure_of_a_request_whose_error_is_not_text(self) -> None:
        for name in ("error_type", "error_message"):
            for value in ({"code": "SECRET"}, ["SECRET"], True):
                event, corrected = request(**{name: value})
                assert (event.success, getattr(event, name), corrected) == (False, "Error", {name: 1})
            for value in (False, 0, -1, 0.0, "", [], {}, math.nan, math.inf):
                assert request(**{name: value})[0].success is True
            event, corrected = request(**{name: -32_603})
            assert (event.success, getattr(event, name), corrected) == (False, "-32603", {name: 1})
            assert request(**{name: 1.5})[0].success is False
        assert request(error_type=429)[0].outcome is Outcome.RATE_LIMITED

    @pytest.mark.parametrize(
        ("fields", "total"),
        [
            ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 0}, 15),
            ({"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 29}, 30),
            ({"prompt_tokens": 10, "total_tokens": 9}, 10),
            ({"prompt_tokens": "10", "completion_tokens": 5.0, "total_tokens": -1}, 15),
            ({"prompt_tokens": 2**30, "completion_tokens": 2**30, "total_tokens": "1.0"}, 2**31),
        ],
    )
    def test_is_the_sum_of_its_parts_if_it_is_a_smaller_total(self, fields: dict[str, Any], total: int) -> None:
        event, corrected = request(**fields)
        assert event.total_tokens == total
        assert corrected["total_tokens"] == 1

    def test_is_kept_if_it_is_a_larger_total(self) -> None:
        event, corrected = request(prompt_tokens=10, completion_tokens=5, reasoning_tokens=85, total_tokens=100)
        assert (event.total_tokens, corrected) == (100, {})

    def test_is_the_id_of_a_request_only_if_it_is_a_positive_whole_number(self) -> None:
        for number in (0, -1, 1.5, float(2**53), True):
            [rejection] = validate(Kind.INFERENCE, {"model_name": "m", "request_id": number}).rejected
            assert rejection.field == "request_id"
        for kind, least in ((Kind.INFERENCE, {"model_name": "m"}), (Kind.ERROR, {"error_type": "E"})):
            sent, text = (event_of(validate(kind, {**least, "request_id": value})) for value in (7, "7"))
            assert sent.request_id == text.request_id == "7"

    def test_costs_a_queue_only_if_no_value_is_left(self) -> None:
        event, corrected = fixed(Kind.QUEUE, pending=-1, processing=3)
        assert (event.pending, event.processing, corrected) == (None, 3, {"pending": 1})

    @pytest.mark.parametrize(
        ("values", "field", "error"),
        [
            ({"pending": -1}, "pending", "must be a number from 0 to 1000000000, got -1"),
            (
                {"pending": None, "processing": 2e9},
                "processing",
                "must be a number from 0 to 1000000000, got 2000000000.0",
            ),
            ({"pending": "[N/A]"}, "pending", "must be a number from 0 to 1000000000, got text"),
            ({"wait_time_ms": math.nan}, "wait_time_ms", "must be a number from 0 to 2073600000, got nan"),
            ({"oldest_seconds": -1}, "oldest_seconds", "must be a number from 0 to 2073600, got -1"),
            (
                {"ratelimit_remaining_tokens": -1},
                "ratelimit_remaining_tokens",
                "must be a number from 0 to 1000000000, got -1",
            ),
            ({"pending": None}, "pending", f"is required if all of these are missing: {OTHERS_OF_A_QUEUE}"),
            ({}, "pending", f"is required if all of these are missing: {OTHERS_OF_A_QUEUE}"),
        ],
    )
    def test_is_named_with_its_value_if_it_costs_a_queue(self, values: dict[str, Any], field: str, error: str) -> None:
        [rejection] = validate(Kind.QUEUE, {"source": "s", "model_name": "m", **values}).rejected
        assert (rejection.field, rejection.error) == (field, error)

    @pytest.mark.parametrize(
        ("sent", "stored"), [(2.5, 3), (2.4, 2), ("2.5", 3), (0.4, 0), (1e9, 10**9), (-0.4, None), (math.inf, None)]
    )
    def test_is_rounded_if_it_is_the_average_of_a_queue(self, sent: Any, stored: int | None) -> None:
        event, corrected = fixed(Kind.QUEUE, pending=1, processing=sent)
        assert (event.processing, corrected) == (stored, {} if sent == 1e9 else {"processing": 1})
        if stored is not None:
            assert fixed(Kind.QUEUE, pending=sent)[0].pending == stored

    def test_is_a_tag_as_it_was_corrected(self) -> None:
        policy = make_ingest_policy(tags=("host", "user", "team"))
        event, _ = fixed(Kind.INFERENCE, policy, host="a\0b", user=["u"], metadata={"team": "search"})
        assert event.tags == (("host", "a\ufffdb"), ("team", "search"))

    @given(
        kind=st.sampled_from(Kind),
        fields=st.dictionaries(
            st.sampled_from(sorted({name for _, name in DESCRIPTIVE} - {"host", "gpu_metrics"})),
            st.sampled_from(SENTINELS),
            max_size=8,
        ),
    )
    def test_never_costs_the_event_beside_others(self, kind: Kind, fields: dict[str, Any]) -> None:
        own = {name: value for name, value in fields.items() if name in ACCEPTED_FIELDS[kind] and name != "pending"}
        own.pop("error_message", None)  # an error needs one of its texts
        event, corrected = fixed(kind, **own)
        assert corrected.keys() <= own.keys()
        for name in own.keys() - corrected.keys():
            assert getattr(event, name) == (own[name] or getattr(event, name))


GPU_DESCRIPTIVE = sorted(GPUSample.model_fields.keys() - {"gpu_id"})


class AFieldOfAMachine:
    @pytest.mark.parametrize("name", GPU_DESCRIPTIVE)
    def test_never_costs_the_sample_of_its_host(self, name: str) -> None:
        for sentinel in SENTINELS:
            gpus = [{"gpu_id": 0, "temperature": 60}, {"gpu_id": 1, name: sentinel}, {"gpu_id": 2, name: sentinel}]
            event, corrected = fixed(Kind.SYSTEM, cpu_percent=10, gpu_metrics=gpus)
            assert corrected in ({}, {f"gpu_metrics.{name}": 2}), (sentinel, corrected)
            assert (event.cpu_percent, event.gpu_metrics[0].temperature) == (10, 60)
            if not corrected:
                assert getattr(event.gpu_metrics[1], name) == sentinel

    @pytest.mark.parametrize(
        ("name", "sent", "stored"),
        [
            ("utilization_percent", 101, 100),
            ("utilization_percent", 100.00000000000001, 100),
            ("utilization_percent", 101.1, None),
            ("utilization_percent", "[N/A]", None),
            ("utilization_percent", "97", 97),
            ("utilization_percent", -1, None),
            ("power_draw_watts", "Not Supported", None),
            ("performance_state", "P16", None),
            ("throttle_reasons", "none", None),
            ("throttle_reasons", ["idle", 5], None),
            ("name", True, None),
            ("uuid", "x" * 97, "x" * 96),
        ],
    )
    def test_of_a_gpu_is_null_or_at_its_limit(self, name: str, sent: Any, stored: Any) -> None:
        event, corrected = fixed(Kind.SYSTEM, gpu_metrics=[{"gpu_id": 0}, {"gpu_id": 1, name: sent}])
        assert (getattr(event.gpu_metrics[1], name), corrected) == (stored, {f"gpu_metrics.{name}": 1})

    def test_of_a_gpu_may_be_written_in_another_way(self) -> None:
        gpu = {"gpu_id": 0.0, "performance_state": 0.0, "temperature": None, "ecc_uncorrected_total": 1.0}
        event, corrected = fixed(Kind.SYSTEM, gpu_metrics=[gpu])
        assert event.gpu_metrics[0].gpu_id == "0"
        assert (event.gpu_metrics[0].performance_state, event.gpu_metrics[0].temperature, corrected) == (0, None, {})

    def test_of_a_gpu_may_be_the_performance_state_as_nvidia_smi_writes_it(self) -> None:
        gpus = [{"gpu_id": state, "performance_state": f"P{state}"} for state in range(16)]
        event, corrected = fixed(Kind.SYSTEM, gpu_metrics=gpus)
        assert ([gpu.performance_state for gpu in event.gpu_metrics], corrected) == ([*range(16)], {})

    @pytest.mark.parametrize(
        ("name", "sent", "stored"),
        [
            ("cpu_percent", -1, None),
            ("memory_percent", 100.4, 100),
            ("load_average", [-1, -1, -1], None),
            ("load_average", [1, 2], None),
            ("load_average", [1, 2, 3, 4], [1, 2, 3]),
            ("load_average", [1, None, 3], None),
            ("per_core_percent", [5.0] * 1025, [5.0] * 1024),
            ("network_bytes_sent", 2**64 - 1, None),
            ("gpu_count", 1.5, None),
            ("platform", 5.5, None),
            ("gpu_metrics", {}, ()),
            ("gpu_metrics", [5], ()),
        ],
    )
    def test_of_a_host_is_null_or_at_its_limit(self, name: str, sent: Any, stored: Any) -> None:
        event, corrected = fixed(Kind.SYSTEM, **{name: sent, "disk_percent": 5})
        assert (getattr(event, name), event.disk_percent) == (stored, 5)
        assert corrected == {name: 1}

    def test_leaves_the_memory_percent_to_the_used_memory(self) -> None:
        event, _ = fixed(Kind.SYSTEM, memory_used_gb=32, memory_total_gb=64, memory_percent="[N/A]")
        assert event.memory_percent == 50

    def test_is_counted_for_each_gpu(self) -> None:
        gpus = [{"gpu_id": n, "utilization_percent": "[N/A]", "fan_percent": -1} for n in range(64)]
        _, corrected = fixed(Kind.SYSTEM, gpu_metrics=gpus)
        assert corrected == {"gpu_metrics.utilization_percent": 64, "gpu_metrics.fan_percent": 64}

    def test_is_stored_for_the_first_64_gpus(self) -> None:
        gpus = [{"gpu_id": n, "temperature": "hot", "name": "x" * 300} for n in range(70)]
        before = deepcopy(gpus)
        event, corrected = fixed(Kind.SYSTEM, gpu_metrics=gpus)
        assert [gpu.gpu_id for gpu in event.gpu_metrics] == [str(n) for n in range(64)]
        assert corrected == {"gpu_metrics": 1, "gpu_metrics.temperature": 64, "gpu_metrics.name": 64}
        assert gpus == before

    @pytest.mark.parametrize("gpu_id", [None, True, "", "x" * 65, "a\0", 1.5, math.nan, 1e300, [], nested(1_020)])
    def test_costs_only_its_gpu_if_it_is_the_id(self, gpu_id: Any) -> None:
        gpus = [{"gpu_id": 0}, {"gpu_id": gpu_id, "temperature": "hot", "name": "MIG"}, {"gpu_id": 2}, {"name": "x"}]
        event, corrected = fixed(Kind.SYSTEM, cpu_percent=1, gpu_metrics=gpus)
        assert (event.cpu_percent, [gpu.gpu_id for gpu in event.gpu_metrics]) == (1, ["0", "2"])
        assert corrected == {"gpu_metrics.gpu_id": 2}

    def test_is_kept_of_the_other_gpus_if_an_entry_is_no_gpu(self) -> None:
        gpus = [None, {"gpu_id": 0, "temperature": "hot", "fan_percent": 5, "x": 1}, "x", [], 5]
        result = validate(Kind.SYSTEM, {"host": "h", "gpu_metrics": gpus})
        [gpu] = event_of(result).gpu_metrics
        assert (gpu.gpu_id, gpu.temperature, gpu.fan_percent) == ("0", None, 5)
        assert result.corrected == {"gpu_metrics": 1, "gpu_metrics.temperature": 1}
        assert result.dropped == {"gpu_metrics.x": 1}

    def test_is_that_of_the_last_of_the_gpus_with_one_id(self) -> None:
        gpus = [{"gpu_id": gpu_id, "temperature": n} for n, gpu_id in enumerate([0, 1, "0", 0.0])]
        event, corrected = fixed(Kind.SYSTEM, gpu_metrics=gpus)
        assert [(gpu.gpu_id, gpu.temperature) for gpu in event.gpu_metrics] == [("0", 3), ("1", 1)]
        assert corrected == {"gpu_metrics.gpu_id": 2}

    def test_is_that_of_the_gpu_that_nvidia_smi_names_by_its_index(self) -> None:
        gpus = [{"index": 0, "temperature": 60}, {"index": "1", "gpu_id": None}, {"gpu_id": 2, "index": 7}]
        result = validate(Kind.SYSTEM, {"host": "h", "gpu_metrics": gpus})
        assert [gpu.gpu_id for gpu in event_of(result).gpu_metrics] == ["0", "1", "2"]
        assert (result.corrected, result.dropped) == ({}, {"gpu_metrics.index": 1})


class TheMetadataOfAnEvent:
    @pytest.mark.parametrize(
        "metadata",
        ["text", [1], 5, {f"k{n}": "x" * 500 for n in range(20)}, {"k" * 201: 1}, {"a": "\ud83d"}, {"a": 2**70}],
    )
    def test_does_not_cost_the_event(self, metadata: Any) -> None:
        event, corrected = request(metadata=metadata, prompt_tokens=3)
        assert (event.prompt_tokens, event.metadata, corrected) == (3, None, {"metadata": 1})

    def test_does_not_cost_the_event_if_it_is_made_of_unknown_fields(self) -> None:
        event, corrected = request(**{f"k{n}": 1 for n in range(3_000)})
        assert (event.metadata, corrected) == (None, {"metadata": 1})

    def test_keeps_each_value_of_keys_that_collide_with_unknown_fields(self) -> None:
        event, _ = request(x=5, metadata={"x": 4, "event.x": 3})
        assert event.metadata == {"x": 4, "event.x": 3, "event.event.x": 5}
        event, _ = request(**{"x": 5, "event.x": 6}, metadata={"x": 4})
        assert event.metadata == {"x": 4, "event.x": 5, "event.event.x": 6}
        event, _ = request(**{"event.x": 6, "x": 5}, metadata={"x": 4})
        assert event.metadata == {"x": 4, "event.x": 6, "event.event.x": 5}

    def test_has_its_long_strings_cut_and_named(self) -> None:
        event, corrected = request(metadata={"a": {"b": "x" * 513}, "c": ["y" * 600], "d": "z" * 512}, e="x" * 9_000)
        assert event.metadata == {"a": {"b": "x" * 512}, "c": ["y" * 512], "d": "z" * 512, "e": "x" * 512}
        assert corrected == {"metadata.a.b": 1, "metadata.c": 1, "metadata.e": 1}

    def test_has_null_for_numbers_that_json_does_not_have(self) -> None:
        event, corrected = request(metadata={"a": {"b": math.nan}, "c": [1, -math.inf]}, d=math.inf)
        assert event.metadata == {"a": {"b": None}, "c": [1, None], "d": None}
        assert corrected == {"metadata.a.b": 1, "metadata.c": 1, "metadata.d": 1}

    def test_may_have_nul_in_its_keys_and_values(self) -> None:
        assert request(metadata={"a\0b": "c\0d"})[0].metadata == {"a\ufffdb": "c\ufffdd"}


class TheTextsOfAnError:
    @pytest.mark.parametrize("kind", [Kind.INFERENCE, Kind.ERROR])
    def test_are_cut_and_named(self, kind: Kind) -> None:
        texts = {"error_message": "m" * 2_001, "stack_trace": "t" * 40_000}
        event, corrected = fixed(kind, error_type="E", **texts)
        assert (len(event.error_message), corrected) == (2_000, {"error_message": 1, "stack_trace": 1})
        assert fixed(kind, error_type="E", error_message="m" * 2_000, stack_trace="t" * 30_000)[1] == {}

    def test_are_not_named_if_they_are_dropped(self) -> None:
        policy = replace(POLICY, drop_error_text=True)
        assert fixed(Kind.ERROR, policy, error_type="E", error_message="m" * 2_001)[1] == {}


class TheCorrections:
    def test_are_counted_over_the_accepted_events(self) -> None:
        items = [{"model_name": "m", "max_tokens": -1, "prompt_tokens": n} for n in range(998)]
        result = validate(Kind.INFERENCE, *items, {"max_tokens": -1}, {"model_name": "m", "seed": -1})
        assert len(result.events) == 999
        assert result.corrected == {"max_tokens": 998}

    def test_are_not_made_in_the_item_that_was_sent(self) -> None:
        item = {"model_name": "m", "max_tokens": -1, "user": "a\0", "service": None}
        before = dict(item)
        validate(Kind.INFERENCE, item)
        assert item == before

    def test_are_named_in_a_refusal_only_if_they_are_the_reason(self) -> None:
        [rejection] = validate(
            Kind.INFERENCE, {"model_name": 7, "provider": "", "request_id": "", "max_tokens": -1}
        ).rejected
        assert (rejection.field, rejection.error) == ("request_id", "must not be empty (and 1 more)")

    def test_leave_an_event_that_every_other_part_can_use(self) -> None:
        for kind, event_type in EVENT_TYPES.items():
            event, _ = fixed(kind)
            assert isinstance(event, Event)
            assert isinstance(event, event_type)
        assert isinstance(request(max_tokens=-1)[0], InferenceEvent)
