"""Odd but valid events, made from the limits of the fields in `metrics.events`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from metrics.events import Kind
from metrics.events.samples import GPUSample
from metrics.events.types import MAX_TOKENS
from metrics.events.validation import ACCEPTED_FIELDS, EVENT_TYPES

Schema = dict[str, Any]
Item = dict[str, Any]

OLDEST = timedelta(days=399)

TEXTS = (
    "🦙 llama 👩‍💻",
    "\u202eשלום עולם العربية\u202c",
    "\"double\" 'single' `back` \\ slash %s {{ x }} {0}",
    "<script>alert('x')</script> & <b>",
    "=1+1",
    "\ufeff=HYPERLINK(1)",
    "＝1＋1",
    "0",
    " ",
    "null",
    "a, b; c/d?e=f&g#h%20+",
    "..",
    "e\u0301 \u2028 \u2029 \uffff \u200b \U0010fffd",
    "𝕏" * 200,
)
LONG_TEXTS = (*TEXTS, "first\nsecond\r\nthird\t\x00\x01\x1b[31m\x7f\x85", "\n=1+1", "x" * 100_000, "")
NUMBERS = (
    3.4028234663852886e38,
    1e20,
    2**70,
    2**64 - 1,
    2**63,
    float(2**63),
    -(2**63),
    1e16,
    -1e16,
    1e308,
    5e-324,
    -1e-7,
    0.1,
    1.0,
    -0.0,
    0,
)
METADATA: tuple[Any, ...] = (
    *({"loss": number} for number in NUMBERS),
    {"numbers": list(NUMBERS)},
    {text[:200]: text for text in TEXTS},
    {"lines": LONG_TEXTS[-4].replace("\0", ""), "": None, "z": True, "a": False, "__proto__": {}, "id": "x"},
    {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1e20}}}}}}}}},
)
GPU_IDS = (0, "0:1", "007", 2**63, "99999999999999999999", "9" * 64, "-1", "𝟙", "🎛️")


def fields_of(kind: Kind) -> dict[str, Schema]:
    """Return the JSON schema of each field that a client may send."""
    schema = EVENT_TYPES[kind].model_json_schema()
    return {name: plain_schema(schema["properties"][name], schema) for name in sorted(ACCEPTED_FIELDS[kind])}


def extremes(name: str, schema: Schema, at: datetime) -> list[Any]:
    """Return the oddest valid values of a field."""
    match name:
        case "timestamp":
            return _times(at)
        case "metadata":
            return list(METADATA)
        case "gpu_metrics":
            return [list(_gpus(at)), []]
    match schema:
        case {"enum": names}:
            return [value for value in names if value != "engine"]  # that is for readings of the monitor itself
        case {"type": "boolean"}:
            return [True, False]
        case {"type": "array", "items": items}:
            least, most = schema.get("minItems", 0), min(schema["maxItems"], 100)
            return [[value] * length for value in extremes("", items, at) for length in {least, most}]
        case {"type": "string", "maxLength": longest}:
            texts = dict.fromkeys(text[:longest] for text in TEXTS)
            return [*texts, *([""] if not schema.get("minLength") else [])]
        case {"type": "string"}:
            return list(LONG_TEXTS)
        case {"type": "integer", "minimum": least, "maximum": most}:
            return [least, least + 1, most, most - 1]
        case {"minimum": least, "maximum": most}:
            return [least, float(least), most, float(most), least + 5e-324, least + 1e-7, most / 3, -0.0]
    raise AssertionError(f"{name} has an unknown schema: {schema}")


def odd_events(kind: Kind, at: datetime) -> list[Item]:
    """Return events that have every extreme of every field. Each has its own name in `request_id`, `source` or `host`,
    so that none is a duplicate."""
    values = {name: extremes(name, schema, at) for name, schema in fields_of(kind).items()}
    events = []
    for number in range(max(map(len, values.values()))):
        # Shifted, because a label set must not be long in every name.
        event = {name: listed[(number + shift) % len(listed)] for shift, (name, listed) in enumerate(values.items())}
        if kind is Kind.INFERENCE:
            # A total must not be smaller than its parts.
            event["total_tokens"] = max(event["total_tokens"], event["prompt_tokens"] + event["completion_tokens"])
            if event["total_tokens"] > MAX_TOKENS:
                del event["total_tokens"]
        if kind is Kind.ERROR and not event["error_message"]:
            event["error_type"] = event["error_type"] or "E"
        identity = {Kind.QUEUE: "source", Kind.SYSTEM: "host"}.get(kind, "request_id")
        event[identity] = f"{number} {event[identity]}"[:200]
        events.append(event)
    return events


def plain_schema(schema: Schema, root: Schema) -> Schema:
    """Return the schema of a value that is not null, with its references resolved."""
    if "anyOf" in schema:
        return plain_schema(schema["anyOf"][0], root)
    if "$ref" in schema:
        return dict(root["$defs"][schema["$ref"].rsplit("/", 1)[1]])
    return schema


def _gpus(at: datetime) -> Iterator[Item]:
    schema = GPUSample.model_json_schema()
    values = {name: extremes(name, plain_schema(field, schema), at) for name, field in schema["properties"].items()}
    for number, gpu_id in enumerate(GPU_IDS):
        yield {name: listed[number % len(listed)] for name, listed in values.items()} | {"gpu_id": gpu_id}


def _times(at: datetime) -> list[Any]:
    def text(time: datetime) -> str:
        return time.isoformat()

    east, west = timezone(timedelta(hours=14)), timezone(timedelta(hours=-23, minutes=-59))
    return [
        text(at),
        text(at - timedelta(seconds=0.000001)).replace("+00:00", "Z"),
        text((at - timedelta(minutes=1)).replace(tzinfo=None)),
        text((at - timedelta(hours=1)).astimezone(east)),
        text((at - timedelta(days=1)).astimezone(west)),
        (at - timedelta(minutes=2)).timestamp(),
        int((at - timedelta(minutes=3)).timestamp()),
        int((at - timedelta(minutes=4)).timestamp() * 1000),
        text(at - OLDEST),
        text(at + timedelta(minutes=4)),
    ]


def time_of(sent: Any) -> datetime:
    """Return the time that a `timestamp` means."""
    if isinstance(sent, int | float):
        return datetime.fromtimestamp(sent / 1000 if sent >= 1e11 else sent, UTC)
    time = datetime.fromisoformat(sent)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
