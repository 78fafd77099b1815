"""From what the caller recorded to the bodies of posts: lines of JSON, in batches of a limited size."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from typing import Any, NamedTuple

from llmmonitor.client.call import Call, copy_of
from llmmonitor.client.request_id import new_request_id
from llmmonitor.client.warn import warn

INFERENCE, ERROR, QUEUE = "/track/inference", "/track/error", "/track/queue"
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 512 * 1024  # before compression
MAX_EVENT_BYTES = 128 * 1024  # a longer event is sent without its metadata
MAX_TEXT = 8_192  # characters of each text of such an event
MAX_INTEGER_BITS = 1_024
MAX_LEVELS = 20
COMPRESSED_FROM_BYTES = 2_048
# What pydantic quotes: of an answer that is parsed, it is content. The key in a URL of Google.
SECRET = re.compile(r"input_value=.*?, (?=input_type=\w+\])|(?<=[?&]key=)[^&\s'\")]+", re.DOTALL)


class Recorded(NamedTuple):
    """An event that is not a `Call`: where it is posted to, and its fields."""

    path: str
    fields: dict[str, Any]


class Batch(NamedTuple):
    """A body: lines of JSON, perhaps compressed. file: that it was read from."""

    path: str
    events: int  # their number
    body: bytes
    file: Path | None = None

    @property
    def is_compressed(self) -> bool:
        """Whether the body is gzip, which begins with these two bytes, and JSON does not."""
        return self.body[:2] == b"\x1f\x8b"


def batches(items: Iterable[Call | Recorded], common: Mapping[str, Any]) -> Iterator[Batch]:
    """Yield the items as batches. common: fields of every event; its metadata is added to that of the event.

    An item that cannot be written as JSON is in none of them.
    """
    lines: dict[str, list[bytes]] = {}
    sizes: dict[str, int] = {}
    for item in items:
        path, line = _line_of(item, common)
        if not line:
            continue
        if path in lines and (len(lines[path]) >= MAX_BATCH_EVENTS or sizes[path] + len(line) > MAX_BATCH_BYTES):
            yield _batch(path, lines.pop(path))
        if path not in lines:
            lines[path], sizes[path] = [], 0
        lines[path].append(line)
        sizes[path] += len(line)
    for path, rest in lines.items():
        yield _batch(path, rest)


def at(unix_ns: int) -> str:
    """Return a time as text, with microseconds."""
    seconds, rest_ns = divmod(unix_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest_ns // 1000:06d}Z"


def _fields_of(call: Call) -> dict[str, Any]:
    """Return the fields of the event of a call that has ended."""
    response_time_ms = call.response_time_ms
    fields: dict[str, Any] = {
        "model_name": call.model_name,
        "timestamp": at(call.started_at_ns + round(response_time_ms * 1e6)),
        "response_time_ms": round(response_time_ms, 3),
        "request_id": call.request_id,
        **call.fields,
    }
    if (ttft_ms := call.ttft_ms) is not None:
        fields.setdefault("ttft_ms", round(ttft_ms, 3))
        fields.setdefault("stream", True)
    if call.error is not None:
        fields.setdefault("error_message", call.error)
    return fields


def _event(fields: dict[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    event = {**common, **fields}
    if not event.get("request_id"):
        event["request_id"] = new_request_id()
    if (metadata := common.get("metadata")) and "metadata" in fields:
        event["metadata"] = {**metadata, **copy_of(fields["metadata"])}
    trace = event.get("error_message")
    if isinstance(trace, TracebackException):
        event["error_message"] = SECRET.sub("", str(trace))
        event.setdefault("stack_trace", SECRET.sub("", "".join(trace.format())))
    return event


def _line_of(item: Call | Recorded, common: Mapping[str, Any]) -> tuple[str, bytes]:
    """Return the path of an item and its event as a line of JSON; an empty line if it cannot be written."""
    path = INFERENCE
    try:
        path, fields = item if isinstance(item, Recorded) else (path, _fields_of(item))
        event = fields if path == QUEUE else _event(fields, common) if fields else {}
        return path, _line(event) if event else b""
    except Exception as error:  # noqa: BLE001 (values are the caller's, and so are the methods that write them)
        warn("encoding", f"An event was not sent, because it cannot be written as JSON ({error!r}).")
        return path, b""


def _line(event: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(event, default=_simple, allow_nan=False)
    except Exception:  # noqa: BLE001 (NaN, a circle, keys of other types, a method of a value that raised)
        text = json.dumps(_plain(event))
    if len(text) > MAX_EVENT_BYTES:
        warn("size", f"The metadata of an event of {len(text):,} bytes was not sent.")
        text = json.dumps(_plain({**event, "metadata": None}, max_text=MAX_TEXT))
    return text.encode() if len(text) <= MAX_EVENT_BYTES else b""


def _simple(value: Any) -> Any:
    """Return a value of a type that JSON does not have as one that it has."""
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.astimezone()).isoformat()  # without a time zone, it is local
    if hasattr(value, "__index__"):  # integers of NumPy
        return int(value)
    if hasattr(value, "__float__"):
        return float(value)
    return str(value)


def _plain(value: Any, parents: tuple[int, ...] = (), max_text: int = MAX_EVENT_BYTES) -> Any:
    """Return a value as JSON has it: without NaN, circles and deep levels, and with texts as keys."""
    if isinstance(value, str):
        return value[:max_text]
    if value is None or isinstance(value, bool) or (isinstance(value, int) and value.bit_length() < MAX_INTEGER_BITS):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (Mapping, list, tuple)):
        if id(value) in parents or len(parents) >= MAX_LEVELS:
            return None
        parents = (*parents, id(value))
        if isinstance(value, Mapping):
            return {str(_plain(key)): _plain(entry, parents, max_text) for key, entry in value.items()}
        return [_plain(entry, parents, max_text) for entry in value]
    try:
        return _plain(_simple(value), parents, max_text)
    except Exception:  # noqa: BLE001 (a method of the caller's value)
        return f"<{type(value).__name__}>"


def _batch(path: str, lines: list[bytes]) -> Batch:
    body = b"\n".join(lines)
    return Batch(path, len(lines), gzip.compress(body, 1) if len(body) >= COMPRESSED_FROM_BYTES else body)
