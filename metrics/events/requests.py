"""The events of requests and of errors."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from metrics.events.derive import FinishReason, Outcome, Severity, classify, derive, finish_class
from metrics.events.identity import NO_MODEL, UNKNOWN_MODEL, content_key, model_key
from metrics.events.types import (
    PRINTABLE,
    AnySeverity,
    Cost,
    Event,
    FreeText,
    Label,
    Milliseconds,
    ModelName,
    Name,
    RequestId,
    SeriesKey,
    Speed,
    StatusCode,
    Temperature,
    Tokens,
    Word,
)

MAX_ERROR_MESSAGE = 2_000  # characters
MAX_STACK_TRACE_BYTES = 32_768
CUT = "\n[… cut …]\n"
NO_ERROR_TYPE = "Error"  # the type of an error that was sent without a type


def cut_trace(text: str) -> str:
    """`text` in at most 32,768 bytes of UTF-8: its start and its end, because languages differ in which one matters."""
    if len(text) * 4 <= MAX_STACK_TRACE_BYTES:
        return text
    data = text.encode()
    if len(data) <= MAX_STACK_TRACE_BYTES:
        return text
    half = (MAX_STACK_TRACE_BYTES - len(CUT.encode())) // 2
    return data[:half].decode(errors="ignore") + CUT + data[-half:].decode(errors="ignore")


class InferenceEvent(Event):
    """One finished request to a model.

    Times are in ms, as measured by the sender. A field that was not sent is derived (`metrics.events.derive`) or None.
    If `success` was not sent, it follows from the status code and the error fields. `outcome` and `finish_class` are
    always derived. A request with an error field is stored as an error, too (`as_error`).
    """

    request_id: RequestId
    model_name: ModelName
    provider: Label = ""
    service: Label = ""
    endpoint: Label = ""
    operation: Word | None = None
    prompt_tokens: Tokens | None = None
    completion_tokens: Tokens | None = None
    total_tokens: Tokens | None = None
    cached_tokens: Tokens | None = None
    reasoning_tokens: Tokens | None = None
    response_time_ms: Milliseconds | None = None
    queue_time_ms: Milliseconds | None = None
    processing_time_ms: Milliseconds | None = None
    ttft_ms: Milliseconds | None = None
    time_per_output_token_ms: Milliseconds | None = None
    tokens_per_second: Speed | None = None
    success: bool | None = None
    status_code: StatusCode | None = None
    error_type: Name | None = None
    error_message: FreeText | None = None
    stack_trace: FreeText | None = None
    severity: AnySeverity | None = None
    finish_reason: Word | None = None
    stream: bool | None = None
    temperature: Temperature | None = None
    max_tokens: Tokens | None = None
    cost_usd: Cost | None = None
    trace_id: Word | None = None
    span_id: str | None = Field(None, max_length=32, pattern=PRINTABLE)
    host: Label | None = None
    user: Label | None = None
    metadata: dict[str, Any] | None = None
    tags: SkipJsonSchema[tuple[tuple[str, str], ...]] = ()
    outcome: SkipJsonSchema[Outcome] = Outcome.OK
    finish_class: SkipJsonSchema[FinishReason | None] = None

    @model_validator(mode="after")
    def _derive(self) -> Self:
        own = self.__dict__
        prompt, completion, total = own["prompt_tokens"], own["completion_tokens"], own["total_tokens"]
        derived = derive(
            prompt,
            completion,
            own["response_time_ms"],
            own["queue_time_ms"],
            own["ttft_ms"],
            own["processing_time_ms"],
        )
        if total is None:
            own["total_tokens"] = derived.total_tokens
        elif derived.total_tokens is not None and total < derived.total_tokens:
            raise PydanticCustomError(
                "total_tokens",
                "must be at least prompt_tokens + completion_tokens = {value}",
                {"field": "total_tokens", "value": derived.total_tokens},
            )
        own["processing_time_ms"] = derived.processing_time_ms
        if own["tokens_per_second"] is None:
            own["tokens_per_second"] = derived.tokens_per_second
        if own["time_per_output_token_ms"] is None:
            own["time_per_output_token_ms"] = derived.time_per_output_token_ms
        message, trace, status = own["error_message"], own["stack_trace"], own["status_code"]
        failed = own["error_type"] or message
        if own["success"] is None:
            reported = bool(failed) and own["severity"] is not Severity.WARNING
            own["success"] = not (reported or (status is not None and status >= 400))
        if message and len(message) > MAX_ERROR_MESSAGE:
            own["error_message"] = message[:MAX_ERROR_MESSAGE]
        if trace:
            own["stack_trace"] = cut_trace(trace)
        own["outcome"] = classify(own["success"], status, own["error_type"])
        own["finish_class"] = finish_class(own["finish_reason"])
        return self

    @property
    def labels(self) -> SeriesKey:
        """The labels of its series."""
        return SeriesKey(self.model_name, self.provider, self.service, self.endpoint, self.tags)

    @property
    def model_key(self) -> int:
        """The hash of its model and provider. With `timestamp` and `request_id`, it identifies the request."""
        return model_key(self.model_name, self.provider)

    def as_error(self) -> ErrorEvent | None:
        """The request as an error event; None if it has no error field, even if `success` is False."""
        if not (self.error_type or self.error_message or self.stack_trace):
            return None
        return ErrorEvent(
            timestamp=self.timestamp,
            stamped=self.stamped,
            is_demo=self.is_demo,
            request_id=self.request_id,
            error_type=self.error_type or NO_ERROR_TYPE,
            error_message=self.error_message,
            stack_trace=self.stack_trace,
            severity=self.severity or Severity.ERROR,
            status_code=self.status_code,
            model_name=self.model_name,
            provider=self.provider,
            service=self.service,
            endpoint=self.endpoint,
            metadata=self.metadata,
            tags=self.tags,
            sent_with_request=True,
        )


class ErrorEvent(Event):
    """One error. It also counts as a failed request with its `outcome`, unless `metrics.events.settling` prevents it.

    `error_type` or `error_message` is required. An error of severity WARNING does not count as a failed request.
    sent_with_request: it was sent as part of a request, which counts by itself.
    """

    request_id: RequestId
    error_type: Name | None = None
    error_message: FreeText | None = None
    severity: AnySeverity = Severity.ERROR
    stack_trace: FreeText | None = None
    status_code: StatusCode | None = None
    model_name: ModelName = UNKNOWN_MODEL
    provider: Label = ""
    service: Label = ""
    endpoint: Label = ""
    metadata: dict[str, Any] | None = None
    tags: SkipJsonSchema[tuple[tuple[str, str], ...]] = ()
    outcome: SkipJsonSchema[Outcome] = Outcome.SERVER_ERROR
    sent_with_request: SkipJsonSchema[bool] = False

    @model_validator(mode="after")
    def _derive(self) -> Self:
        own = self.__dict__
        message, trace = own["error_message"], own["stack_trace"]
        if not own["error_type"]:
            if not message:
                raise PydanticCustomError(
                    "error_type", "is required where error_message is missing", {"field": "error_type"}
                )
            own["error_type"] = NO_ERROR_TYPE
        if message and len(message) > MAX_ERROR_MESSAGE:
            own["error_message"] = message[:MAX_ERROR_MESSAGE]
        if trace:
            own["stack_trace"] = cut_trace(trace)
        own["outcome"] = classify(False, own["status_code"], own["error_type"])
        return self

    @property
    def labels(self) -> SeriesKey:
        """The labels of its series."""
        return SeriesKey(self.model_name, self.provider, self.service, self.endpoint, self.tags)

    @property
    def model_key(self) -> int:
        """The hash of its model and provider; NO_MODEL if it was sent without a model."""
        return NO_MODEL if self.model_name == UNKNOWN_MODEL else model_key(self.model_name, self.provider)

    @property
    def content_key(self) -> int:
        """The hash of what distinguishes it from other errors of its time, id and model."""
        sender = "request" if self.sent_with_request else "error"
        return content_key(self.error_type, self.error_message, self.severity, sender)

    @property
    def is_failure(self) -> bool:
        """Whether it counts as a failed request. A WARNING does not."""
        return self.severity is not Severity.WARNING
