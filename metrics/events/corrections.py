"""Correction of invalid values in fields that describe or measure, so that one field does not cost the event.

Servers, drivers and scripts send −1, "[N/A]" or 101 % for what they do not know. Such a value becomes null, and the
response names its field. A value whose meaning is clear is kept in the form of its field: 101 as the limit 100 (up to
1 % above it), "12" as 12, 42 as the text "42". Text that is too long is cut, and control characters and halves of a
character become U+FFFD.

What to do follows from the validation error, which has the limits of the field. Fields that identify an event
(`_identity`) are not corrected.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metrics.events.rejections import describe
from metrics.events.requests import NO_ERROR_TYPE
from metrics.events.types import Event

AnyEvent = TypeVar("AnyEvent", bound=Event)
Place = tuple[str | int, ...]  # of a field in an item

NEAR = 1.01  # a float up to this multiple of its limit is set to the limit
MAX_NUMBER_TEXT = 40  # characters of a number that was sent as text
# A field may need several corrections: from text to a number, from the number to null.
MAX_ATTEMPTS = 5
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
REPLACEMENT = "\ufffd"
BOOLEANS: dict[Any, bool] = {"true": True, "false": False, 1: True, 0: False}
ERROR_TEXTS = frozenset({"error_type", "error_message"})  # one of these makes a request a failed request


def correct(event_type: type[AnyEvent], item: dict[str, Any], error: ValidationError, corrected: list[str]) -> AnyEvent:
    """The event of `item`, whose validation raised `error`. The paths of corrected fields are added to `corrected`.

    A null means "not sent", and 12.0 is 12; neither is a correction. Raises InvalidItem.
    """
    fixed = {name: value for name, value in item.items() if value is not None}
    paths: dict[Place, str] = {}
    for _ in range(MAX_ATTEMPTS):
        errors = error.errors(include_url=False)
        uncorrected = [detail for detail in errors if not _fix(event_type, fixed, detail, paths)]
        if uncorrected:
            raise describe(uncorrected) from None
        try:
            event = event_type.model_validate(fixed)
        except ValidationError as again:
            error = again
        else:
            corrected.extend(paths.values())
            return event
    raise describe(error.errors(include_url=False)) from None


def _fix(model: type[BaseModel], fixed: dict[str, Any], detail: ErrorDetails, paths: dict[Place, str]) -> bool:
    """Correct the field of this error in `fixed`. False if it cannot be corrected."""
    context = detail.get("ctx", {})
    if not detail["loc"] and "value" in context:  # a contradiction between fields, with the value that resolves it
        fixed[context["field"]] = context["value"]
        paths[(context["field"],)] = context["field"]
        return True
    name, *inside = detail["loc"] or [None]
    if detail["input"] is None and not inside:
        return True  # already removed
    if name not in model.model_fields or name in _identity(model) or len(inside) > 1:
        return False
    sent = fixed.pop(str(name), None)
    value = None if inside else _corrected(str(name), detail)
    if value is not None:
        fixed[str(name)] = value
    if sent is not None and value != sent:
        paths[(name,)] = str(name)
    return True


@lru_cache
def _identity(model: type[BaseModel]) -> frozenset[str]:
    """The fields that identify an event, its series or its source: all required fields, and these."""
    required = (name for name, field in model.model_fields.items() if field.is_required())
    return frozenset([*required, "model_name", "provider", "kind"])


def _corrected(name: str, detail: ErrorDetails) -> Any:
    """The value to store instead of the invalid one; None if it has no clear meaning."""
    value, limits = detail["input"], detail.get("ctx", {})
    match detail["type"]:
        case "less_than_equal" if isinstance(limits["le"], float) and value <= limits["le"] * NEAR:
            return limits["le"]
        case "int_type" if isinstance(value, float):
            return int(value) if value.is_integer() else None
        case "int_type" | "float_type" if isinstance(value, str) and len(value) <= MAX_NUMBER_TEXT:
            return _number(value)
        case "bool_type" if isinstance(value, (str, int)):
            return BOOLEANS.get(value.lower() if isinstance(value, str) else value)
        case "string_type" if type(value) is int and value > 0:
            return str(value)
        case "string_too_long" | "too_long":
            return value[: limits["max_length"]]
        case "string_pattern_mismatch":
            return CONTROL.sub(REPLACEMENT, value)
        case "string_unicode":
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if name in ERROR_TEXTS and value and isinstance(value, (bool, list, dict)):
        return NO_ERROR_TYPE  # a failed request must not become a successful one
    return None


def _number(text: str) -> int | float | None:
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return None
