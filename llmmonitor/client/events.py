"""From what the caller recorded to the bodies of posts: lines of JSON, in batches of a limited size."""

from __future__ import annotations

import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from llmmonitor.client.call import Call
from llmmonitor.client.request_id import new_request_id
from llmmonitor.client.warn import warn

INFERENCE, ERROR, QUEUE = "/track/inference", "/track/error", "/track/queue"
MAX_BATCH_EVENTS = 500
MAX_BATCH_BYTES = 512 * 1024  # before compression
MAX_EVENT_BYTES = 128 * 1024  # a longer event is sent without its metadata
COMPRESSED_FROM_BYTES = 2_048


class Recorded(NamedTuple):
    """An event that is not a `Call`: where it is posted to, and its fields."""

    path: str
    fields: dict[str, Any]


class Batch(NamedTuple):
    """A body: lines of JSON, perhaps compressed."""

    path: str
    events: int  # their number
    body: bytes

    @property
    def is_compressed(self) -> bool:
        """Whether the body is gzip, which begins with these two bytes, and JSON does not."""
        return self.body[:2] == b"\x1f\x8b"


def batches(items: Iterable[Call | Recorded], common: Mapping[str, Any]) -> Iterator[Batch]:
    """Yield the items as batches. common: fields of every event; its metadata is added to that of the event."""
    lines: dict[str, list[bytes]] = {}
    sizes: dict[str, int] = {}
    for item in items:
        path, fields = item if isinstance(item, Recorded) else (INFERENCE, _fields_of(item))
        line = _line({**common, **fields} if path == QUEUE else _event(fields, common))
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
        fields.setdefault("error_message", str(call.error))
        fields.setdefault("stack_trace", "".join(call.error.format()))
    return fields


def _event(fields: dict[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    event = {**common, **fields}
    if not event.get("request_id"):
        event["request_id"] = new_request_id()
    metadata = fields.get("metadata")
    if isinstance(metadata, Mapping) and common.get("metadata"):
        event["metadata"] = {**common["metadata"], **metadata}
    return event


def _line(event: dict[str, Any]) -> bytes:
    """Return an event as a line of JSON; an empty one if it cannot be written."""
    try:
        try:
            text = json.dumps(event, default=str, allow_nan=False)
        except ValueError:
            text = json.dumps(_finite(event), default=str)
        if len(text) > MAX_EVENT_BYTES:
            warn("size", f"The metadata of an event of {len(text):,} bytes was not sent.")
            text = json.dumps({**event, "metadata": None}, default=str)
        return text.encode() if len(text) <= MAX_EVENT_BYTES else b""
    except Exception as error:  # noqa: BLE001 (values are the caller's, and so are the methods that write them)
        warn("encoding", f"An event was not sent, because it cannot be written as JSON ({error!r}).")
        return b""


def _finite(value: Any) -> Any:
    """Return the value without infinite numbers and NaN, which JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(entry) for name, entry in value.items()}
    return [_finite(entry) for entry in value] if isinstance(value, (list, tuple)) else value


def _batch(path: str, lines: list[bytes]) -> Batch:
    body = b"\n".join(lines)
    return Batch(path, len(lines), gzip.compress(body, 1) if len(body) >= COMPRESSED_FROM_BYTES else body)
