"""Correction of invalid values in fields that describe or measure, so that one field does not cost the event.

Servers, drivers and scripts send −1, "[N/A]" or 101 % for what they do not know. Such a value becomes null, and the
response names its field. A value whose meaning is clear is kept in the form of its field: 101 as the limit 100 (up to
1 % above it), "12" as 12, 42 as the text "42", "HTTP 503" as 503. Text that is too long is cut, and control characters
and halves of a character become U+FFFD. A failure never becomes a success: an unknown word for success means a failure.

What to do follows from the validation error, which has the limits of the field. Fields that identify an event
(`_identity`) are not corrected, except that a whole number as `request_id` is a text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from metrics.events.derive import Severity
from metrics.events.rejections import InvalidItem, describe
from metrics.events.requests import NO_ERROR_TYPE
from metrics.events.samples import GPU_INDEX, MAX_GPUS, GPUSample

AnyModel = TypeVar("AnyModel", bound=BaseModel)

NEAR = 1.01  # a float up to this multiple of its limit is set to the limit
EXACT = 2**53  # below, a float has all digits of a whole number
MAX_NUMBER_TEXT = 40  # characters of a number that was sent as text
# A field may need several corrections: from text to a number, from the number to null.
MAX_ATTEMPTS = 5
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
REPLACEMENT = "\ufffd"
STATUS = re.compile(r"(?<!\d)[1-5]\d\d(?!\d)")
# The names of gRPC's and OpenTelemetry's status codes that mean a failure.
FAILED = re.compile(
    r"(?=\w{1,64}\Z)\w*(error|fail|timeout|cancel|abort|exceeded|exhausted|denied|invalid|not_?found|unavailable|unauth"
    r"|internal)\w*",
    re.IGNORECASE,
)
YES = frozenset({"true", "t", "yes", "y", "on", "ok", "success", "successful", "succeeded", "done", "completed"})
NO = frozenset({"false", "f", "no", "n", "off", "fail", "failed", "failure", "error"})
NOT_SENT = frozenset({"", "-", "n/a", "[n/a]", "nan", "none", "null", "undefined", "unknown"})
# The levels of syslog and of logging libraries.
SEVERITIES: dict[str, Severity] = {
    **dict.fromkeys(("warning", "warn", "notice", "info", "information", "debug", "trace"), Severity.WARNING),
    **dict.fromkeys(("error", "err", "severe"), Severity.ERROR),
    **dict.fromkeys(("critical", "crit", "fatal", "emergency", "emerg", "alert", "panic"), Severity.CRITICAL),
}
LEVELS = frozenset({"pending", "processing"})  # averages of these are rounded
ERROR_TEXTS = frozenset({"error_type", "error_message"})  # one of these makes a request a failed request


def build_event(event_type: type[AnyModel], item: dict[str, Any], corrected: list[str], path: str = "") -> AnyModel:
    """The event of `item`. The paths of corrected fields are added to `corrected`; they begin with `path`.

    A null means "not sent", and 12.0 is 12; neither is a correction. Raises InvalidItem.
    """
    parse: Callable[[Any], AnyModel] = event_type.__pydantic_validator__.validate_python
    try:
        return parse(item)
    except ValidationError as raised:
        error = raised
    fixed = {name: value for name, value in item.items() if value is not None}
    gpus = fixed.get("gpu_metrics")
    built = None  # the place of errors that concern the original value
    if isinstance(gpus, list):
        built = ("gpu_metrics",)
        objects = [gpu for gpu in gpus[:MAX_GPUS] if isinstance(gpu, dict)]
        fixed["gpu_metrics"] = [gpu for gpu in (_build_gpu(gpu, corrected) for gpu in objects) if gpu]
        if len(objects) < len(gpus):
            corrected.append("gpu_metrics")
    names: set[str] = set()
    for _ in range(MAX_ATTEMPTS):
        errors = [each for each in error.errors(include_url=False) if each["loc"][:1] != built]
        uncorrected = [each for each in errors if not _fix(event_type, fixed, each, names)]
        if uncorrected:
            raise describe(uncorrected) from None
        try:
            event = parse(fixed)
        except ValidationError as again:
            error = again
        else:
            corrected.extend(path + name for name in sorted(names))
            return event
    raise describe(error.errors(include_url=False)) from None


def _build_gpu(gpu: dict[str, Any], corrected: list[str]) -> GPUSample | None:
    """The sample of a GPU; None if it has no valid id, so that it does not cost the sample of its host."""
    if gpu.get("gpu_id") is None and GPU_INDEX in gpu:
        gpu = {**gpu, "gpu_id": gpu[GPU_INDEX]}
    try:
        return build_event(GPUSample, gpu, corrected, "gpu_metrics.")
    except InvalidItem:
        corrected.append("gpu_metrics.gpu_id")
        return None


def _fix(model: type[BaseModel], fixed: dict[str, Any], detail: ErrorDetails, names: set[str]) -> bool:
    """Correct the field of this error in `fixed`, and add its name to `names`. False if it cannot be corrected."""
    context = detail.get("ctx", {})
    if not detail["loc"]:  # a contradiction between fields; the model may know the value that resolves it
        if "value" in context:
            fixed[context["field"]] = context["value"]
            names.add(context["field"])
        return "value" in context
    name, inside = str(detail["loc"][0]), len(detail["loc"]) > 1
    if detail["input"] is None and not inside:
        return True  # removed before
    if name not in model.model_fields or (name in _identity(model) and not _is_numeric_id(name, detail["input"])):
        return False
    sent = fixed.pop(name, None)
    value = None if inside else _corrected(name, sent, detail)
    if value is not None:
        fixed[name] = value
    elif name == "status_code" and isinstance(sent, str) and FAILED.fullmatch(sent):
        fixed.setdefault("error_type", sent)
    if sent is not None and value != sent:
        names.add(name)
    return True


def _is_numeric_id(name: str, value: Any) -> bool:
    """Whether the value is the id of a request in a database; tables with empty cells make it a float."""
    return name == "request_id" and _is_whole(value) and value > 0


def _is_whole(value: Any) -> bool:
    return type(value) is int or (type(value) is float and abs(value) < EXACT and value.is_integer())


@lru_cache
def _identity(model: type[BaseModel]) -> frozenset[str]:
    """The fields that identify an event, its series or its source: all required fields, and these."""
    required = (name for name, field in model.model_fields.items() if field.is_required())
    return frozenset([*required, "model_name", "provider", "kind"])


def _corrected(name: str, value: Any, detail: ErrorDetails) -> Any:
    """The value to store instead of the invalid `value`; None if it has no clear meaning."""
    if isinstance(value, float) and not math.isfinite(value):
        return None  # also for a text: programs that read tables write NaN for an empty cell
    limits = detail.get("ctx", {})
    match detail["type"]:
        case "less_than_equal" if isinstance(limits["le"], float) and value <= limits["le"] * NEAR:
            return limits["le"]
        case "int_type" if isinstance(value, float):
            if value.is_integer():
                return int(value)
            return int(value + 0.5) if name in LEVELS and value > 0 else None
        case "int_type" | "float_type" if isinstance(value, str):
            number = _number(value)
            status = STATUS.search(value[:MAX_NUMBER_TEXT]) if name == "status_code" and number is None else None
            return int(status[0]) if status else number
        case "bool_type" if isinstance(value, (str, int, float)):
            return _boolean(name, value)
        case "enum" if name == "severity" and isinstance(value, str):
            return SEVERITIES.get(value.strip().lower())
        case "string_type" if _is_whole(value) and (value > 0 or (name in ERROR_TEXTS and value < -1)):
            return str(int(value))
        case "string_too_long" | "too_long":
            return value[: limits["max_length"]]
        case "string_pattern_mismatch":
            return CONTROL.sub(REPLACEMENT, value)
        case "string_unicode":
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if name in ERROR_TEXTS and value not in (0, -1) and isinstance(value, (bool, float, list, dict)) and value:
        return NO_ERROR_TYPE  # a failed request must not become a successful one
    return None


def _boolean(name: str, value: str | float) -> bool | None:
    number = _number(value) if isinstance(value, str) else value
    if number is not None:
        return None if not math.isfinite(number) else number >= 1
    word = str(value).strip().lower()
    if word in YES:
        return True
    return False if word in NO or (name == "success" and word not in NOT_SENT) else None


def _number(text: str) -> int | float | None:
    if len(text) > MAX_NUMBER_TEXT:
        return None
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return None
