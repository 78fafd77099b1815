"""The names that providers use for our fields, so that the fields of a response can be sent as they are.

`usage` is an object in the responses of OpenAI (chat completions and responses), Anthropic and most other providers;
Gemini names it `usageMetadata`, LangChain `usage_metadata`. Its counts may also be sent as fields of the event.
Anthropic does not count cached tokens as input tokens, and Gemini does not count thoughts as output tokens, so these
are added. Gateways send the same names with counts that include them.

A failed response has an object `error`, or is one (vLLM, Mistral: `"object": "error"`). Its code is a word (OpenAI) or
an HTTP status (Gemini, OpenRouter). Ollama and many clients send a text.
"""

from __future__ import annotations

import re
from typing import Any

from metrics.catalogue import FIELD_ALIASES
from metrics.events.derive import Outcome, classify
from metrics.events.requests import NO_ERROR_TYPE
from metrics.events.types import INT32_MAX, NAME_LENGTH

ALIASES = {"model": "model_name"} | {
    alias: field for alias, field in FIELD_ALIASES.items() if not field.endswith("_tokens")
}
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
        "input_token_details.cache_read",
        "cache_read_input_tokens",
        "cachedContentTokenCount",
        "cached_content_token_count",
    ),
    "reasoning_tokens": (
        "completion_tokens_details.reasoning_tokens",
        "output_tokens_details.reasoning_tokens",
        "output_token_details.reasoning",
        "thoughtsTokenCount",
        "thoughts_token_count",
    ),
}
Path = tuple[str, ...]
FORMS: dict[str, list[list[Path]]] = {
    field: [[tuple(name.split(".")) for name in form.split(" + ")] for form in forms] for field, forms in USAGE.items()
}
MAX_DIGITS = 15
# Of the counts that are added up: the count of the other direction.
OTHER_COUNT = {
    "input_tokens": "output_tokens",
    "candidatesTokenCount": "promptTokenCount",
    "candidates_token_count": "prompt_token_count",
}
INPUT_DETAILS = ("input_tokens_details", "input_token_details", "prompt_tokens_details")
ERROR_WORDS = ("type", "code", "status")  # in an error object; the first that is a word
ERROR_CODES = ("code", "status")
NO_ERROR = frozenset({"", "-", "0", "false", "n/a", "nan", "nil", "no", "none", "null", "ok", "undefined"})
WORD = re.compile(r"[\w.:-]{1,200}")
NAMES = frozenset(
    [
        *ALIASES,
        *USAGE_OBJECTS,
        *(path[0] for forms in FORMS.values() for form in forms for path in form),
        "error",
        "object",
    ]
)


def translate(known: dict[str, Any], unknown: dict[str, Any], fields: frozenset[str], corrected: list[str]) -> None:
    """Set fields in `known` from their aliases in `unknown`, unless they were sent under their own names.

    fields: the names of the fields that the event has. A used alias is removed from `unknown`, also from an error
    object; the objects of the usage stay. A number that cannot be measured, such as −1, means "not sent": an alias
    replaces it, and `corrected` gets its field.
    """
    for alias, field in ALIASES.items():
        if field in fields and _replaces(field, known.get(field), unknown.get(alias)):
            _set(known, field, unknown.pop(alias), corrected)
    if "error_type" in fields and ("error" in unknown or "object" in unknown):
        _translate_error(known, unknown)
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
                if len(form) > 1:
                    value = _sum(source, form, known.get("total_tokens"))
                _set(known, field, value, corrected)
                used.update(path[0] for path in form if len(path) == 1 and source is unknown)
    for name in used:
        unknown.pop(name, None)


def _translate_error(known: dict[str, Any], unknown: dict[str, Any]) -> None:
    """Set the error fields and the status code from `error`. An empty one is no failure: successful responses have it.

    A value of another type is left to the validation, which makes the request a failed one.
    """
    error = unknown.get("error")
    if isinstance(error, dict):
        used = _read_error(known, error)
        unknown["error"] = {name: value for name, value in error.items() if name not in used}
        if not unknown["error"]:
            del unknown["error"]
    elif isinstance(error, str):
        if known.get("error_message") is None and _means_error(error):
            known["error_message"] = unknown.pop("error")
            if known.get("error_type") is None and WORD.fullmatch(error):
                known["error_type"] = error  # `timeout`
    elif error:
        if known.get("error_type") is None:
            known["error_type"] = unknown.pop("error")
    elif unknown.get("object") == "error":
        for name in _read_error(known, {name: unknown.get(name) for name in (*ERROR_WORDS, "message")}):
            unknown.pop(name, None)


def _read_error(known: dict[str, Any], error: dict[str, Any]) -> set[str]:
    """Set the missing error fields from an error object. Return the names of the values that were used."""
    fields: dict[str, tuple[str, Any]] = {}  # field → the name and the value of its source
    words = [(name, error[name][:NAME_LENGTH]) for name in ERROR_WORDS if _is_word(error.get(name))]
    if words:
        # OpenAI's rate limit has the type `requests` and the code `rate_limit_exceeded`, its invalid request the type
        # `invalid_request_error` and the code `unknown_parameter`.
        telling = (word for word in words if classify(False, None, word[1]) is not Outcome.SERVER_ERROR)
        fields["error_type"] = next(telling, words[0])
    for name in ERROR_CODES:
        code = _count(error.get(name))
        if code is not None and 400 <= code <= 599:
            fields["status_code"] = (name, code)
        elif _means_error(error.get(name)) and "error_type" not in fields:
            fields["error_type"] = (name, error[name])
    if _means_error(error.get("message")):
        fields["error_message"] = ("message", error["message"])
    if not fields and any(map(_means_error, error.values())):
        fields["error_type"] = ("", NO_ERROR_TYPE)
    missing = {field: source for field, source in fields.items() if known.get(field) is None}
    known.update((field, value) for field, (_, value) in missing.items())
    return {name for name, _ in missing.values()}


def _means_error(value: Any) -> bool:
    return value.strip().lower() not in NO_ERROR if isinstance(value, str) else bool(value)


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _means_error(value) and not value.strip().isdecimal()


def _replaces(field: str, own: Any, value: Any) -> bool:
    """Whether the value of an alias is used instead of the field's own."""
    return value is not None if own is None else _is_sent(field, value) and not _is_sent(field, own)


def _is_sent(field: str, value: Any) -> bool:
    """Whether the value is a model, or a number that can be measured; it may be sent as text."""
    if field == "model_name" or value is None:
        return value is not None
    try:
        return not isinstance(value, bool) and 0 <= float(value) < INT32_MAX
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


def _sum(source: dict[str, Any], form: list[Path], total: Any) -> Any:
    """The value of the first name plus the others, unless it includes them. One that is no count is left as it is."""
    value = _get(source, form[0])
    count = _count(value)
    others = sum(_count(_get(source, path)) or 0 for path in form[1:])
    if count is None or not others:
        return value
    return count if count >= others and _is_whole(source, form[0][0], count, total) else count + others


def _is_whole(source: dict[str, Any], name: str, count: int, total: Any) -> bool:
    """Whether the count includes its parts: it has details of them, or is the total together with the other count."""
    if name == "input_tokens" and any(isinstance(source.get(details), dict) for details in INPUT_DETAILS):
        return True
    totals = (_count(value) for value in (total, *(source.get(name) for name in USAGE["total_tokens"])))
    sent = next((value for value in totals if value is not None), None)
    return sent == count + (_count(source.get(OTHER_COUNT[name])) or 0)


def _count(value: Any) -> int | None:
    """The whole number that was sent as a number or, by some clients, as text."""
    if isinstance(value, str) and len(value) <= MAX_DIGITS and value.isdecimal():
        value = int(value)
    is_count = type(value) in (int, float) and 0 <= value < INT32_MAX and value == int(value)
    return int(value) if is_count else None
