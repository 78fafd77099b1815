"""The types and bounds that events are made of. Each bound says what it protects."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

from metrics.events.derive import MAX_TOKENS_PER_SECOND, Severity

NAME_LENGTH = 200  # the columns of `Series`, `GaugeLabels` and the raw tables
ID_LENGTH = 200
MAX_TOKENS = 2**40  # histograms hold values up to 2**50, and sums 63 bits: millions of such requests an hour
MAX_LEVEL = 10**9  # requests at one time; of ten thousand sources together still exact in a float, and in any JSON
MAX_DURATION_MS = 30 * 86_400_000.0  # thirty days
MAX_COST_USD = 100_000.0
MAX_BIGINT = 2**63 - 1  # counters since boot
MAX_NUMBER = 1e15  # any other figure: below it a float still tells tenths apart
# The name under which is recorded what comes beyond the cap of series. No model may have it: its requests would be
# mixed with those of others for good.
OTHER_MODEL = "__other__"
DEMO_KEY = "llmmonitor.demo"  # in an event or its metadata: it belongs to the demo and goes with it
MODELLED_KEY = "llmmonitor.modelled"  # in an event's metadata: its times were filled in by a model of latency

# Neither NUL, line breaks nor other control characters. What emoji and right-to-left names need (joiners, marks of
# direction) is welcome. `$` is the end of the text here, not of a line: these are Rust's regular expressions.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"


def _text(length: int, least: int = 1) -> Any:
    return Field(min_length=least, max_length=length, pattern=PRINTABLE)


Name = Annotated[str, _text(NAME_LENGTH)]


def _not_shared(value: str) -> str:
    if value == OTHER_MODEL:
        raise PydanticCustomError(
            "shared_name",
            "must not be {name}: this is the series of all models that come beyond LLMMONITOR_MAX_SERIES",
            {"name": OTHER_MODEL},
        )
    return value


ModelName = Annotated[Name, AfterValidator(_not_shared)]
Label = Annotated[str, _text(NAME_LENGTH, least=0)]  # a name that may be empty
RequestId = Annotated[str, _text(ID_LENGTH)]
Word = Annotated[str, _text(64, least=0)]
Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
Level = Annotated[int, Field(ge=0, le=MAX_LEVEL)]
Count = Annotated[int, Field(ge=0, le=MAX_BIGINT)]
Milliseconds = Annotated[float, Field(ge=0, le=MAX_DURATION_MS, allow_inf_nan=False)]
Speed = Annotated[float, Field(ge=0, le=MAX_TOKENS_PER_SECOND, allow_inf_nan=False)]
Cost = Annotated[float, Field(ge=0, le=MAX_COST_USD, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=MAX_NUMBER, allow_inf_nan=False)]
Temperature = Annotated[float, Field(ge=-100, le=100, allow_inf_nan=False)]
StatusCode = Annotated[int, Field(ge=100, le=599)]


def _no_nul(value: str) -> str:
    # PostgreSQL's text cannot hold NUL. In a message it says nothing, so it is replaced and the message kept.
    return value.replace("\0", "\ufffd") if "\0" in value else value


FreeText = Annotated[str, AfterValidator(_no_nul)]


def _severity(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


AnySeverity = Annotated[Severity, Field(strict=False), BeforeValidator(_severity)]


def _utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp", "must be a time between the years 1 and 9999") from None


# ISO 8601, with a zone or without (then UTC), or a unix time: seconds, or milliseconds from 1e11 on.
Timestamp = Annotated[datetime, Field(strict=False), AfterValidator(_utc)]


class Kind(StrEnum):
    """The kinds of events, named as in their addresses: `/track/<kind>`."""

    INFERENCE = "inference"
    ERROR = "error"
    QUEUE = "queue"
    SYSTEM = "system"


class SeriesKey(NamedTuple):
    """The labels of a request. `tags` holds the promoted metadata keys, sorted by key."""

    model_name: str
    provider: str = ""
    service: str = ""
    endpoint: str = ""
    tags: tuple[tuple[str, str], ...] = ()


class Event(BaseModel):
    """What all events have in common.

    timestamp: when it happened (a request: when it ended), aware, UTC, to the microsecond.
    stamped: False when it came without a time and the server gave it one.
    is_demo: belongs to the demo. Set by our own code or through the metadata key `llmmonitor.demo`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    timestamp: Timestamp
    # SkipJsonSchema marks what only our own code fills: sent from outside it is an unknown field like any other.
    stamped: SkipJsonSchema[bool] = True
    is_demo: SkipJsonSchema[bool] = False
