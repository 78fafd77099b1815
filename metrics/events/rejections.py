"""Error messages of rejected items. They do not repeat text that was sent, because it may be content."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic_core import ErrorDetails

MAX_ECHO = 60  # characters of a sent value in a message
MAX_ERROR = 300  # characters of a message

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
# Only the errors of fields that are not corrected.
BY_TYPE = {
    "missing": "is required",
    "string_type": "must be text",
    "model_type": "must be an object",
    "string_too_short": "must not be empty",
    "string_too_long": "must be at most {max_length} characters",
    "string_pattern_mismatch": "must not hold control characters or NUL",
    "string_unicode": "must be valid Unicode",
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


def before_floor(timestamp: datetime, floor: datetime) -> str:
    """The error for an event before the raw floor of its kind."""
    reason = "older events are deleted already, by their retention or the disk limit"
    return f"must not be before {iso(floor)} ({reason}), got {iso(timestamp)}"


def iso(time: datetime) -> str:
    """A time in UTC as in the API."""
    return time.isoformat().replace("+00:00", "Z")


def describe(errors: list[ErrorDetails]) -> InvalidItem:
    """The first of these validation errors, with the number of further errors."""
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
        text = BY_TYPE[kind].format(**context)
    else:
        return error["msg"]  # raised by our own validators
    return text if kind in UNECHOED else f"{text}, got {_echo(error)}"


def _echo(error: ErrorDetails) -> str:
    value = error["input"]
    if isinstance(value, str):
        if error["loc"] and error["loc"][-1] in ECHOED_TEXT:
            return repr(value[:MAX_ECHO])
        if error["type"] == "string_too_long":
            return f"{len(value)} characters"
    return echo(value)


def echo(value: Any) -> str:
    """A sent value as it may stand in an error: a number itself, of others only the type."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)[:MAX_ECHO]
    return "text" if isinstance(value, str) else JSON_NAMES.get(type(value), type(value).__name__)
