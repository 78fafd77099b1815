"""Random events with odd but valid fields, and the comparison of what was sent with what is returned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from math import inf, nan
from random import Random
from typing import Any

from metrics.events import Kind
from metrics.events.privacy import MAX_STRING
from metrics.events.requests import MAX_ERROR_MESSAGE, NO_ERROR_TYPE, cut_trace
from metrics.events.samples import GPUSample
from tests.support.odd_events import (
    GPU_IDS,
    LONG_TEXTS,
    METADATA,
    TEXTS,
    Item,
    Schema,
    extremes,
    fields_of,
    plain_schema,
    time_of,
)

KINDS = {Kind.INFERENCE: 11, Kind.ERROR: 5, Kind.QUEUE: 2, Kind.SYSTEM: 2}  # with their weights
MODELS = 8
NAMES = 4  # of each other text
SHORT = 60  # characters of names: a label set with all of them is within its limit in bytes
# Values that servers, drivers and scripts send for what they do not know.
WRONG = (
    -1,
    0,
    101,
    100.5,
    1e30,
    "[N/A]",
    "NaN",
    "12",
    "",
    "x" * 300,
    "a\nb",
    True,
    [],
    ["a"],
    {"a": 1},
    None,
    nan,
    inf,
)
IDENTITY = {"timestamp", "request_id", "model_name", "source", "host", "gpu_metrics"}


class EventGenerator:
    """Events of one day. Names are drawn from a few texts, so that filters match several events."""

    def __init__(self, random: Random, day: datetime) -> None:
        self._random = random
        self._day = day
        self._fields = {kind: fields_of(kind) for kind in Kind}
        gpu = GPUSample.model_json_schema()
        self._gpu_fields = {name: plain_schema(field, gpu) for name, field in gpu["properties"].items()}
        self._texts: dict[str, list[str]] = {}
        self._failed: list[Item] = []
        self._number = 0

    def event(self, kind: Kind) -> Item:
        """Return a valid event."""
        random = self._random
        event = {
            name: self._value(name, schema)
            for name, schema in self._fields[kind].items()
            if name in IDENTITY or random.random() < 0.6
        }
        event["timestamp"] = self._time()
        if kind in (Kind.INFERENCE, Kind.ERROR) and random.random() < 0.03:
            del event["timestamp"]
        match kind:
            case Kind.INFERENCE:
                self._complete_request(event)
            case Kind.ERROR:
                self._complete_error(event)
            case Kind.QUEUE:
                event["pending"] = random.randint(0, 10**9)
            case Kind.SYSTEM:
                event["gpu_metrics"] = [self._gpu(gpu_id) for gpu_id in random.sample(GPU_IDS, random.randint(0, 3))]
        return event

    def wrong_event(self, kind: Kind) -> Item:
        """Return an event that has a wrong value in a field that does not identify it."""
        event = self.event(kind)
        name = self._random.choice(sorted(self._fields[kind].keys() - IDENTITY))
        return {**event, name: self._random.choice(WRONG)}

    def _complete_request(self, event: Item) -> None:
        self._set_id(event)
        total = event.get("total_tokens")
        if total is not None and total < (event.get("prompt_tokens") or 0) + (event.get("completion_tokens") or 0):
            del event["total_tokens"]
        if event.get("success") is False and "request_id" in event:
            self._failed.append(event)
        if self._random.random() < 0.1:
            event[f"x {self._random.choice(TEXTS)}"[:100]] = self._random.choice([1e20, "ü", None, [1.0], {}])

    def _complete_error(self, event: Item) -> None:
        self._set_id(event)
        if not event.get("error_message"):
            event["error_type"] = event.get("error_type") or "E"
        if self._failed and self._random.random() < 0.3:
            request = self._random.choice(self._failed)
            event |= {name: request[name] for name in ("request_id", "model_name", "timestamp") if name in request}
            event["error_message"] = f"{self._number} {event.get('error_message') or ''}"  # no repeated error

    def _set_id(self, event: Item) -> None:
        self._number += 1
        event["request_id"] = f"{self._random.getrandbits(48):012x} {event['request_id']}"[:200]
        if self._random.random() < 0.05:
            del event["request_id"]

    def _gpu(self, gpu_id: Any) -> Item:
        chosen = [name for name in self._gpu_fields if self._random.random() < 0.6]
        return {name: self._value(name, self._gpu_fields[name]) for name in chosen} | {"gpu_id": gpu_id}

    def _time(self) -> Any:
        time = self._day + timedelta(microseconds=self._random.randrange(86_400_000_000))
        match self._random.randrange(5):
            case 0:
                return time.timestamp()
            case 1:
                return int(time.timestamp() * 1000)
            case 2:
                return time.replace(tzinfo=None).isoformat()
            case 3:
                return time.astimezone(timezone(timedelta(minutes=self._random.randint(-1439, 1439)))).isoformat()
        return time.isoformat().replace("+00:00", "Z")

    def _value(self, name: str, schema: Schema) -> Any:
        random = self._random
        if name == "metadata":
            return random.choice([*METADATA, None, {}, {"prompt": "dropped", "kept": 1}])
        match schema:
            case {"enum": _}:
                return random.choice(extremes(name, schema, self._day))
            case {"type": "string", "maxLength": longest}:
                return random.choice(self._names(name, longest, schema.get("minLength", 0)))
            case {"type": "string"} if name != "timestamp":
                return random.choice(LONG_TEXTS) if random.random() < 0.05 else self._text(200, 0)
            case {"type": "integer", "minimum": least, "maximum": most} if random.random() < 0.5:
                return random.randint(least, random.choice([most, min(most, least + 1000)]))
            case {"type": "number", "minimum": least, "maximum": most} if random.random() < 0.5:
                return random.uniform(least, random.choice([most, least + 1e-6, least + 1]))
        return random.choice(extremes(name, schema, self._day))

    def _names(self, name: str, longest: int, shortest: int) -> list[str]:
        if name not in self._texts:
            is_model = name == "model_name"
            length = longest if is_model else min(longest, SHORT)
            self._texts[name] = [self._text(length, shortest) for _ in range(MODELS if is_model else NAMES)]
        return self._texts[name]

    def _text(self, longest: int, shortest: int) -> str:
        random = self._random
        if random.random() < 0.5:
            return random.choice(TEXTS)[:longest]
        first, last = random.choice([(0x20, 0x7E), (0xA0, 0x24F), (0x590, 0x6FF), (0x2000, 0x206F), (0x1F300, 0x1FAFF)])
        length = random.choice([max(1, shortest), 5, longest])
        return "".join(chr(random.randint(first, last)) for _ in range(min(length, longest)))


def differences(sent: Item, row: Item, named: frozenset[str]) -> dict[str, tuple[Any, Any]]:
    """Return the fields of a row that differ from those that were sent, with both values.

    named: the fields that the response names as dropped or corrected, but for texts that are cut. Fields without a
    value, and those that the row does not have, are not compared.
    """
    expected = {name: value for name, value in sent.items() if value is not None and name in row and name not in named}
    unknown = {name: value for name, value in sent.items() if name not in row and name.startswith("x ")}
    if "metadata" in row and "metadata" not in named:
        expected["metadata"] = _as_stored({**(sent.get("metadata") or {}), **unknown}, named) or None
    if "error_message" in expected:
        expected["error_message"] = sent["error_message"].replace("\0", "\ufffd")[:MAX_ERROR_MESSAGE]
    if "stack_trace" in expected:
        expected["stack_trace"] = cut_trace(sent["stack_trace"].replace("\0", "\ufffd"))
    different = {}
    for name, value in expected.items():
        if name == "timestamp":
            is_same = abs(time_of(value) - time_of(row[name])) <= timedelta(microseconds=2)
        elif name == "gpu_id":
            is_same = str(value) == str(row[name])
        else:
            is_same = value == row[name]
        if not is_same:
            different[name] = (value, row[name])
    return different


def cut_texts(sent: Item) -> list[str]:
    """Return the names of the texts of an error that are stored shorter than they were sent."""
    message, trace = sent.get("error_message"), sent.get("stack_trace")
    names = ["error_message"] if isinstance(message, str) and len(message) > MAX_ERROR_MESSAGE else []
    return [*names, "stack_trace"] if isinstance(trace, str) and len(cut_trace(trace)) < len(trace) else names


def error_of(request: Item) -> Item | None:
    """Return the error that is sent with a request; None if it has none."""
    if not any(request.get(name) for name in ("error_type", "error_message", "stack_trace")):
        return None
    names = ("request_id", "timestamp", "model_name", "provider", "error_message", "stack_trace", "severity")
    error = {name: request[name] for name in names if request.get(name)}
    return {**error, "error_type": request.get("error_type") or NO_ERROR_TYPE}


def _as_stored(metadata: Item, named: frozenset[str]) -> Item:
    return {key: _cut(value) for key, value in metadata.items() if f"metadata.{key}" not in named}


def _cut(value: Any) -> Any:
    return value[:MAX_STRING] if isinstance(value, str) else value


def random_kind(random: Random) -> Kind:
    """Return a kind of events: more than half are requests."""
    return random.choices(list(KINDS), list(KINDS.values()))[0]


def random_day(random: Random, at: datetime) -> datetime:
    """Return the start of one of the 390 days before yesterday."""
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight - timedelta(days=random.randint(2, 390))
