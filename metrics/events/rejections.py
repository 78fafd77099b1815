"""Error messages of rejected items. They do not repeat text that was sent, because it may be content."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MAX_ECHO = 60  # characters of a sent value in a message
MAX_ERROR = 300  # characters of a message
MAX_WHOLE = 2**53  # whole numbers up to here are exact in a float

JSON_NAMES = {
    dict: "an object",
    list: "an array",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}
# The text of these fields is a time or a word from a list, so a message may repeat it.
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


class InvalidItem(Exception):
    """Raised for an item that is not a valid event. `field`: None if the whole item is invalid; `error`: why."""

    def __init__(self, field: str | None, error: str) -> None:
        super().__init__(field, error)
        self.field = field
        self.error = error[:MAX_ERROR]

    @classmethod
    def not_an_object(cls, item: Any) -> InvalidItem:
        """The error for an item that is not a JSON object."""
        return cls(None, f"must be an object, got {JSON_NAMES.get(type(item), type(item).__name__)}")


def describe(error: ValidationError) -> InvalidItem:
    """The first validation error, with the number of further errors."""
    errors = error.errors(include_url=False)
    first = errors[0]
    context = first.get("ctx", {})
    field = ".".join(str(step) for step in first["loc"]) or context.get("field")
    message = _message(first, context)
    return InvalidItem(field, message if len(errors) == 1 else f"{message} (and {len(errors) - 1} more)")


def _message(error: ErrorDetails, context: dict[str, Any]) -> str:
    kind = error["type"]
    if kind.startswith("datetime"):
        text = "must be a time in ISO 8601 or unix seconds"
    elif kind in BY_TYPE:
        text = BY_TYPE[kind].format(**{name: _plain(value) for name, value in context.items()})
    else:
        return error["msg"]  # raised by our own validators
    return text if kind in UNECHOED else f"{text}, got {_echo(error)}"


def _plain(limit: Any) -> Any:
    """A limit without needless decimals: 100 for 100.0."""
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


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
    """A copy of `item` without nulls (a null means "not sent") and with 12.0 as 12; None if that changes nothing."""
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
