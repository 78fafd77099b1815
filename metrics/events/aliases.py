"""The names that providers use for our fields, so that the fields of a response can be sent as they are.

`usage` is an object in the responses of OpenAI (chat completions and responses), Anthropic and most other providers;
Gemini names it `usageMetadata`. Its counts may also be sent as fields of the event. Anthropic does not count cached
tokens as input tokens, and Gemini does not count thoughts as output tokens, so these are added.
"""

from __future__ import annotations

import math
from typing import Any

ALIASES = {"model": "model_name", "latency_ms": "response_time_ms", "duration_ms": "response_time_ms"}
USAGE_OBJECTS = ("usage", "usageMetadata", "usage_metadata")
# Field → the names of its value; the first that was sent is used. `+` adds the names after it, if they were sent.
USAGE = {
    "prompt_tokens": (
        "prompt_tokens",
        "input_tokens + cache_read_input_tokens + cache_creation_input_tokens",
        "promptTokenCount",
        "prompt_token_count",
    ),
    "completion_tokens": (
        "completion_tokens",
        "output_tokens",
        "candidatesTokenCount + thoughtsTokenCount",
        "candidates_token_count + thoughts_token_count",
        "thoughtsTokenCount",
        "thoughts_token_count",
    ),
    "total_tokens": ("total_tokens", "totalTokenCount", "total_token_count"),
    "cached_tokens": (
        "prompt_tokens_details.cached_tokens",
        "input_tokens_details.cached_tokens",
        "cache_read_input_tokens",
        "cachedContentTokenCount",
        "cached_content_token_count",
    ),
    "reasoning_tokens": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "thoughtsTokenCount",
        "thoughts_token_count",
    ),
}
Path = tuple[str, ...]
FORMS: dict[str, list[list[Path]]] = {
    field: [[tuple(name.split(".")) for name in form.split(" + ")] for form in forms] for field, forms in USAGE.items()
}
MAX_COUNT, MAX_DIGITS = 2**53, 15
NAMES = frozenset([*ALIASES, *USAGE_OBJECTS, *(path[0] for forms in FORMS.values() for form in forms for path in form)])


def translate(known: dict[str, Any], unknown: dict[str, Any], fields: frozenset[str], corrected: list[str]) -> None:
    """Set fields in `known` from their aliases in `unknown`, unless they were sent under their own names.

    fields: the names of the fields that the event has. A used alias is removed from `unknown`; the objects stay. A
    number that cannot be measured, such as −1, means "not sent": an alias replaces it, and `corrected` gets its field.
    """
    for alias, field in ALIASES.items():
        if field in fields and _replaces(field, known.get(field), unknown.get(alias)):
            _set(known, field, unknown.pop(alias), corrected)
    if "prompt_tokens" not in fields:
        return
    used: set[str] = set()
    sources = [unknown, *(unknown[name] for name in USAGE_OBJECTS if isinstance(unknown.get(name), dict))]
    for field, forms in FORMS.items():
        for source, form in ((source, form) for source in sources for form in forms):
            if _is_sent(field, known.get(field)):
                break
            value = _get(source, form[0])
            if _replaces(field, known.get(field), value):
                _set(known, field, _sum(value, [_get(source, path) for path in form[1:]]), corrected)
                used.update(path[0] for path in form if len(path) == 1 and source is unknown)
    for name in used:
        unknown.pop(name, None)


def _replaces(field: str, own: Any, value: Any) -> bool:
    """Whether the value of an alias is used instead of the field's own."""
    return value is not None if own is None else _is_sent(field, value) and not _is_sent(field, own)


def _is_sent(field: str, value: Any) -> bool:
    """Whether the value is a model, or a number that is not negative; it may be sent as text."""
    if field == "model_name" or value is None:
        return value is not None
    try:
        return not isinstance(value, bool) and 0 <= float(value) < math.inf
    except (TypeError, ValueError, OverflowError):
        return False


def _set(known: dict[str, Any], field: str, value: Any, corrected: list[str]) -> None:
    if known.get(field) is not None and field not in corrected:
        corrected.append(field)
    known[field] = value


def _get(source: Any, path: Path) -> Any:
    for name in path:
        source = source.get(name) if isinstance(source, dict) else None
    return source


def _sum(value: Any, others: list[Any]) -> Any:
    """The value plus the others that are counts. A value that is no count is left to the validation."""
    count = _count(value)
    counts = [other for other in map(_count, others) if other]
    return value if count is None or not counts else count + sum(counts)


def _count(value: Any) -> int | None:
    """The whole number that was sent as a number or, by some clients, as text."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS and value.isdecimal():
        return int(value)
    is_count = type(value) in (int, float) and 0 <= value < MAX_COUNT and value == int(value)
    return int(value) if is_count else None
