"""The derived fields: total tokens, processing time, speed, outcome and finish class of a request, used memory.

A value that was sent takes precedence over the derived one. A derived value that would be negative, infinite or a
division by zero is None.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

# A higher speed is an artefact of the clock (two times within the same microsecond). The limit also keeps every sum of
# speeds in a bucket far below the maximum of its column.
MAX_TOKENS_PER_SECOND = 1e9


class Outcome(StrEnum):
    """The result of a request. Every outcome except `ok` is a failure."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class FinishReason(StrEnum):
    """Why a model stopped: one name for the words of all providers."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    OTHER = "other"


class Severity(StrEnum):
    """The severity of an error. A WARNING does not count as a failed request."""

    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


FINISH_REASONS: dict[str, FinishReason] = {
    word: reason
    for reason, words in {
        # OpenAI, Anthropic, Gemini, Cohere, vLLM, Hugging Face TGI, Ollama; all compared in lower case.
        FinishReason.STOP: "stop end_turn eos eos_token stop_sequence complete completed end pause_turn",
        FinishReason.LENGTH: "length max_tokens max_output_tokens model_length model_context_window_exceeded",
        FinishReason.TOOL: "tool tool_call tool_calls tool_use function_call",
        FinishReason.CONTENT_FILTER: "content_filter content_filtered safety refusal guardrail_intervened "
        "prohibited_content blocklist recitation spii error_toxic",
        FinishReason.ERROR: "error abort aborted cancelled canceled malformed_function_call",
    }.items()
    for word in words.split()
}

# Searched in this order, in the letters and digits of `error_type`.
ERROR_TYPES: tuple[tuple[re.Pattern[str], Outcome], ...] = (
    (re.compile("ratelimit|toomanyrequests|quota|throttl|resourceexhausted|^(http)?429"), Outcome.RATE_LIMITED),
    (re.compile("timeout|timedout|deadlineexceeded|^(http)?(408|504)"), Outcome.TIMEOUT),
    (re.compile("cancel|aborted|aborterror|clientdisconnect|^(http)?499"), Outcome.CANCELLED),
    (
        re.compile(
            "badrequest|invalid|validation|authentication|unauthori|unauthenticated|permission|forbidden|notfound"
            "|unprocessable|contextlength|contextwindow|contentfilter|contentpolicy|toolarge|^(http)?4\\d\\d"
        ),
        Outcome.CLIENT_ERROR,
    ),
)
NOT_ALPHANUMERIC = re.compile("[^a-z0-9]+")


@lru_cache(maxsize=4096)
def classify(success: bool, status_code: int | None, error_type: str | None) -> Outcome:
    """The outcome of a request: from a status code of 400 or more, otherwise from the words of `error_type`."""
    if success:
        return Outcome.OK
    if status_code is not None and status_code >= 400:
        if status_code == 429:
            return Outcome.RATE_LIMITED
        if status_code in (408, 504):
            return Outcome.TIMEOUT
        if status_code == 499:
            return Outcome.CANCELLED
        return Outcome.CLIENT_ERROR if status_code < 500 else Outcome.SERVER_ERROR
    words = NOT_ALPHANUMERIC.sub("", error_type.lower()) if error_type else ""
    for pattern, outcome in ERROR_TYPES:
        if words and pattern.search(words):
            return outcome
    return Outcome.SERVER_ERROR


@lru_cache(maxsize=1024)
def finish_class(finish_reason: str | None) -> FinishReason | None:
    """The finish reason for a provider's own word; None if none was sent."""
    if not finish_reason:
        return None
    return FINISH_REASONS.get(finish_reason.strip().lower().replace("-", "_"), FinishReason.OTHER)


def memory_percent(used: float | None, total: float | None) -> float | None:
    """The used share of a memory in percent. None if it is unknown or more than 101 %."""
    if used is None or not total or used > 1.01 * total:
        return None
    return min(100.0, 100.0 * used / total)


class DerivedValues(NamedTuple):
    """The derived numbers of one request, in the units of their names."""

    total_tokens: int | None
    processing_time_ms: float | None
    tokens_per_second: float | None
    time_per_output_token_ms: float | None


def derive(
    prompt_tokens: int | None,
    completion_tokens: int | None,
    response_time_ms: float | None,
    queue_time_ms: float | None,
    ttft_ms: float | None,
    processing_time_ms: float | None,
) -> DerivedValues:
    """Derive values from tokens and times. A value that is unknown, negative or infinite is None.

    - total_tokens: the sum of the parts that were sent (an embedding has no output tokens).
    - processing_time_ms: as it was sent, otherwise the response time minus the queue time, if that is known.
    - tokens_per_second: if ttft_ms is known, the tokens after the first divided by the time after the first, so that it
      is unknown for fewer than two tokens; otherwise all output tokens divided by the processing time.
    - time_per_output_token_ms: the time after the first token divided by the number of further tokens; needs ttft_ms.
    """
    total = (
        None if prompt_tokens is None and completion_tokens is None else (prompt_tokens or 0) + (completion_tokens or 0)
    )
    if processing_time_ms is not None:
        processing = processing_time_ms
    elif response_time_ms is not None:
        processing = response_time_ms - (queue_time_ms or 0.0)
    else:
        return DerivedValues(total, None, None, None)
    speed = per_token = None
    if completion_tokens is not None:
        if ttft_ms is None:
            speed = _speed(completion_tokens, processing)
        elif completion_tokens > 1 and response_time_ms is not None and ttft_ms <= response_time_ms:
            decode = response_time_ms - ttft_ms
            speed = _speed(completion_tokens - 1, decode)
            per_token = decode / (completion_tokens - 1)
    return DerivedValues(total, processing if processing >= 0 else None, speed, per_token)


def _speed(tokens: int, duration_ms: float) -> float | None:
    """Tokens per second. None if the duration is not positive or too short to be measured."""
    if duration_ms <= 0:
        return None
    speed = tokens / duration_ms * 1000.0
    return speed if speed <= MAX_TOKENS_PER_SECOND else None
