"""The field types of events, with their limits."""

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
MAX_LABEL_BYTES = 2_000  # of a label set as JSON; an entry of PostgreSQL's index of label sets has 2,704 bytes
# −1 in a field of 32 bits without a sign is 2**32 − 1. Other programs send the largest number of their type, of which
# this is the least. No count of tokens and no duration is as large.
INT32_MAX = 2**31 - 1
MAX_TOKENS = INT32_MAX - 1  # sums have 63 bits: billions of such requests an hour fit
MAX_LEVEL = 10**9  # requests at one time; the sum over ten thousand sources is still exact in a float and in JSON
MAX_DURATION_MS = 24 * 86_400_000.0  # 24 days, which are less than INT32_MAX
MAX_COST_USD = 100_000.0
MAX_BIGINT = 2**63 - 1  # counters since boot
MAX_NUMBER = 1e15  # of any other number: up to here a float is exact to tenths
# The model name of requests beyond the limit of series. A model must not have this name, because its requests could
# not be told apart from the others.
OTHER_MODEL = "__other__"
DEMO_KEY = "llmmonitor.demo"  # in an event or its metadata: the event belongs to the demo and is deleted with it
MODELLED_KEY = "llmmonitor.modelled"  # in an event's metadata: its times come from a model of latency

# No NUL, line breaks or other control characters. Characters that emoji and right-to-left names need (joiners, marks
# of direction) are allowed. These are Rust's regular expressions: `$` matches only at the end of the text.
PRINTABLE = r"^[^\x00-\x1f\x7f-\x9f]*$"


def _text(max_length: int, min_length: int = 1) -> Any:
    return Field(min_length=min_length, max_length=max_length, pattern=PRINTABLE)


Name = Annotated[str, _text(NAME_LENGTH)]


def _not_other_model(value: str) -> str:
    if value == OTHER_MODEL:
        raise PydanticCustomError(
            "shared_name",
            "must not be {name}: this is the series of all models beyond LLMMONITOR_MAX_SERIES",
            {"name": OTHER_MODEL},
        )
    return value


ModelName = Annotated[Name, AfterValidator(_not_other_model)]
Label = Annotated[str, _text(NAME_LENGTH, min_length=0)]  # a name that may be empty
RequestId = Annotated[str, _text(ID_LENGTH)]
Word = Annotated[str, _text(64, min_length=0)]
Tokens = Annotated[int, Field(ge=0, le=MAX_TOKENS)]
Level = Annotated[int, Field(ge=0, le=MAX_LEVEL)]
Count = Annotated[int, Field(ge=0, le=MAX_BIGINT)]
Milliseconds = Annotated[float, Field(ge=0, le=MAX_DURATION_MS, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=MAX_DURATION_MS / 1_000, allow_inf_nan=False)]
Speed = Annotated[float, Field(ge=0, le=MAX_TOKENS_PER_SECOND, allow_inf_nan=False)]
Cost = Annotated[float, Field(ge=0, le=MAX_COST_USD, allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, le=MAX_NUMBER, allow_inf_nan=False)]
Temperature = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
StatusCode = Annotated[int, Field(ge=100, le=599)]


def _no_nul(value: str) -> str:
    # PostgreSQL's text type cannot hold NUL. It has no meaning in a message, so it is replaced.
    return value.replace("\0", "\ufffd") if "\0" in value else value


FreeText = Annotated[str, AfterValidator(_no_nul)]


def without_entries(value: Any) -> Any:
    """The value; an object or an array is empty. Enumerations write a wrong value into an error message, but Python
    cannot write one of a thousand levels.
    """
    return type(value)() if isinstance(value, (dict, list)) else value


def _severity(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else without_entries(value)


AnySeverity = Annotated[Severity, Field(strict=False), BeforeValidator(_severity)]


def _utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError("timestamp", "must be a time between the years 1 and 9999") from None


# ISO 8601, with a time zone or in UTC; or a Unix time in seconds, or above 2e10 in milliseconds.
Timestamp = Annotated[datetime, Field(strict=False), AfterValidator(_utc)]


class Kind(StrEnum):
    """The kinds of events, as in the path `/track/<kind>`."""

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
    """The fields that all events have.

    timestamp: time of the event (of a request: its end), aware, in UTC, to the microsecond.
    stamped: False if the event was sent without a time and the server set it.
    is_demo: the event belongs to the demo. Set by our own code or by the metadata key `llmmonitor.demo`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", hide_input_in_errors=True)

    timestamp: Timestamp
    # SkipJsonSchema marks fields that only our own code sets. From a client they are unknown fields.
    stamped: SkipJsonSchema[bool] = True
    is_demo: SkipJsonSchema[bool] = False
