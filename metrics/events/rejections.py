"""Why an item is refused, in words that a client's author can act on. Never a word of content: text is not echoed."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_ECHO = 60  # characters of a value that a message repeats
MAX_ERROR = 300  # characters of a message
MAX_WHOLE = 2**53  # the largest whole number that a float holds exactly

JSON_NAMES = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
# Texts of these fields are times and words from a list: to repeat them helps and gives nothing away.
ECHOED_TEXT = frozenset({"timestamp", "severity", "kind"})
BY_TYPE = {
    "missing": "is required",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "finite_number": "must be a finite number",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "string_pattern_mismatch": "must not hold control characters or NUL",
    "string_unicode": "must be valid Unicode",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "enum": "must be one of {expected}",
}
UNECHOED = frozenset({"missing", "string_too_short", "string_pattern_mismatch", "string_unicode"})


class Refused(Exception):
    """An item that does not come in: the field (None: the whole of it), and why."""

    def __init__(self, field: str | None, error: str) -> None:
        super().__init__(field, error)
        self.field = field
        self.error = error[:MAX_ERROR]

    @classmethod
    def no_object(cls, item: Any) -> Refused:
        """An item that is not even an object."""
        return cls(None, f"must be an object, got {JSON_NAMES.get(type(item), type(item).__name__)}")


def describe(error: ValidationError) -> Refused:
    """The first thing that is wrong, and how many more there are."""
    found = error.errors(include_url=False)
    first = found[0]
    context = first.get("ctx", {})
    field = ".".join(str(step) for step in first["loc"]) or context.get("field")
    text = _sentence(first, context)
    return Refused(field, text if len(found) == 1 else f"{text} (and {len(found) - 1} more)")


def _sentence(error: ErrorDetails, context: dict[str, Any]) -> str:
    kind = error["type"]
    if kind.startswith("datetime"):
        text = "must be a time in ISO 8601 or unix seconds"
    elif kind in BY_TYPE:
        text = BY_TYPE[kind].format(**{name: _plain(value) for name, value in context.items()})
    else:
        return error["msg"]  # one of ours
    return text if kind in UNECHOED else f"{text}, got {_echo(error)}"


def _plain(bound: Any) -> Any:
    """A bound as people write it: 100 for 100.0."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _echo(error: ErrorDetails) -> str:
    value = error["input"]
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)[:MAX_ECHO]
    if isinstance(value, str):
        if error["loc"] and error["loc"][-1] in ECHOED_TEXT:
            return repr(value[:MAX_ECHO])
        return f"{len(value)} characters" if error["type"] == "string_too_long" else "text"
    if isinstance(value, list) and error["type"] in ("too_long", "too_short"):
        return str(len(value))
    return JSON_NAMES.get(type(value), type(value).__name__)


def coerce(item: dict[str, Any], error: ValidationError) -> dict[str, Any] | None:
    """`item` as it was meant, where that is beyond doubt: null is "not sent", 12.0 is 12. None: nothing to coerce."""
    coerced = {key: value for key, value in item.items() if value is not None}
    changed = len(coerced) < len(item)
    for detail in error.errors(include_url=False):
        value = detail["input"]
        if detail["type"] != "int_type" or len(detail["loc"]) != 1 or not isinstance(value, float):
            continue
        if value.is_integer() and abs(value) <= MAX_WHOLE:
            coerced[str(detail["loc"][0])] = int(value)
            changed = True
    return coerced if changed else None
