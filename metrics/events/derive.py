"""What follows from what was sent. Every derived field of a request is filled here and nowhere else.

A value that was given wins over the derived one; a derived value that would be negative, infinite or a division by zero
stays None. Pure: numbers and strings in, numbers and strings out.
"""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

# Speeds beyond this are artefacts of a clock (two stamps within the same microsecond), not of a model. It also keeps
# every sum of speeds in a bucket far below what a column holds.
MAX_TOKENS_PER_SECOND = 1e9


class Outcome(StrEnum):
    """How a request ended. Everything but `ok` is a failed request."""

    OK = "ok"
    CLIENT_ERROR = "client_error"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


class FinishReason(StrEnum):
    """Why a model stopped, whatever its provider calls it."""

    STOP = "stop"
    LENGTH = "length"
    TOOL = "tool"
    CONTENT_FILTER = "content_filter"
    ERROR = "error"
    OTHER = "other"


class Severity(StrEnum):
    """How bad an error is. A WARNING never counts as a failed request."""

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

# Tried in this order on `error_type` with everything but its letters and digits taken out.
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
NOT_A_LETTER = re.compile("[^a-z0-9]+")


@lru_cache(maxsize=4096)
def classify(success: bool, status_code: int | None, error_type: str | None) -> Outcome:
    """How a request ended. A status code from 400 decides; without one the words of `error_type` do."""
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
    words = NOT_A_LETTER.sub("", error_type.lower()) if error_type else ""
    for pattern, outcome in ERROR_TYPES:
        if words and pattern.search(words):
            return outcome
    return Outcome.SERVER_ERROR


@lru_cache(maxsize=1024)
def finish_class(finish_reason: str | None) -> FinishReason | None:
    """The class of a provider's own word; None when none was sent."""
    if not finish_reason:
        return None
    return FINISH_REASONS.get(finish_reason.strip().lower().replace("-", "_"), FinishReason.OTHER)


class Figures(NamedTuple):
    """The derived figures of one request, in the units of their names."""

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
) -> Figures:
    """What follows from tokens and times. What cannot be known, or would be negative or infinite, is None.

    - total_tokens: the sum of those parts that were sent (an embedding has no output tokens);
    - processing_time_ms: response time less queue time; without a queue, all of it;
    - tokens_per_second: output tokens over the seconds after the first token where that is known, else over processing
      time;
    - time_per_output_token_ms: the time after the first token over the tokens after the first; needs a known ttft_ms.
    """
    total = (
        None if prompt_tokens is None and completion_tokens is None else (prompt_tokens or 0) + (completion_tokens or 0)
    )
    if response_time_ms is None:
        return Figures(total, None, None, None)
    processing = response_time_ms - (queue_time_ms or 0.0)
    decode = None if ttft_ms is None else response_time_ms - ttft_ms
    speed = per_token = None
    if completion_tokens is not None:
        over = processing if decode is None else decode
        if over > 0:
            speed = completion_tokens / over * 1000.0
            if speed > MAX_TOKENS_PER_SECOND:
                speed = None
        if decode is not None and decode >= 0 and completion_tokens > 1:
            per_token = decode / (completion_tokens - 1)
    return Figures(total, processing if processing >= 0 else None, speed, per_token)
