"""Validation: from parsed JSON to events, each item by itself."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from metrics.events import aliases
from metrics.events.content_in_text import may_quote
from metrics.events.corrections import build_event
from metrics.events.privacy import MAX_ENTRIES, MAX_KEY, Cleaner, InvalidMetadata
from metrics.events.rejections import InvalidItem, before_floor, echo, iso
from metrics.events.requests import NO_ERROR_TYPE, ErrorEvent, InferenceEvent
from metrics.events.samples import GPU_INDEX, GPUSample, QueueEvent, QueueKind, SystemEvent
from metrics.events.types import DEMO_KEY, MAX_DURATION_MS, MAX_LABEL_BYTES, MAX_LEVEL, Event, Kind

MAX_PATHS = 50  # paths of dropped or corrected fields in one response; further ones are counted together
OTHER_PATHS = "…"
ERROR_TEXTS = ("error_message", "stack_trace")  # long ones are cut
# Content that these quote is cut out: the request in an error, the query of a URL.
QUOTING_TEXTS = (*ERROR_TEXTS, "error_type", "endpoint")
MAX_TAG = 200  # characters of a metadata value that becomes a label; longer values are cut

EVENT_TYPES: dict[Kind, type[Event]] = {
    Kind.INFERENCE: InferenceEvent,
    Kind.ERROR: ErrorEvent,
    Kind.QUEUE: QueueEvent,
    Kind.SYSTEM: SystemEvent,
}
# Set by our own code only. From a client they are unknown fields. Those of the monitor itself are of this instance: the
# samples of another one, sent or imported, would hide its gaps.
OWN_SAMPLE_FIELDS = frozenset(name for name in SystemEvent.model_fields if name.startswith("monitor_"))
INTERNAL_FIELDS = OWN_SAMPLE_FIELDS | {"stamped", "is_demo", "tags", "outcome", "finish_class", "sent_with_request"}
ACCEPTED_FIELDS: dict[Kind, frozenset[str]] = {
    kind: frozenset(event_type.model_fields) - INTERNAL_FIELDS for kind, event_type in EVENT_TYPES.items()
}
GPU_FIELDS = frozenset(GPUSample.model_fields)
QUEUE_LIMITS = {
    "pending": MAX_LEVEL,
    "processing": MAX_LEVEL,
    "wait_time_ms": MAX_DURATION_MS,
    "oldest_seconds": MAX_DURATION_MS / 1_000,
    "ratelimit_remaining_requests": MAX_LEVEL,
    "ratelimit_remaining_tokens": MAX_LEVEL,
}
# Fields of a request that can be labels, too. They were metadata in earlier versions.
TAG_FIELDS = ("host", "user")


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """The settings of validation.

    future_tolerance: how far an event may be ahead of the clock.
    max_age: older events are rejected.
    tags: metadata keys that become labels.
    keep_content_keys: keys to keep although they name content.
    raw_floor: older events are rejected, because the rows that detect duplicates are deleted.
    """

    future_tolerance: timedelta
    max_age: timedelta
    tags: tuple[str, ...] = ()
    keep_content_keys: tuple[str, ...] = ()
    drop_error_text: bool = False
    raw_floor: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A rejected item: its index in the request, the field, and the error, which never holds content."""

    index: int
    field: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Placeholder for a line that is not JSON."""

    error: str


@dataclass(frozen=True, slots=True)
class Validated:
    """The result of validation. `events[i]` is item `indexes[i]` of the request.

    generated_ids: index → generated request id. dropped, corrected: path of such a field → number of times.
    """

    events: list[Event] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    corrected: dict[str, int] = field(default_factory=dict)
    generated_ids: dict[int, str] = field(default_factory=dict)


def new_request_id(at: datetime, sequence: int = 0) -> str:
    """A new request id that sorts by time: 32 hexadecimal digits, laid out as a UUID of version 7 (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    return f"{milliseconds:012x}7{sequence & 0xFFF:03x}{2**63 | secrets.randbits(62):016x}"


def validate_many(kind: Kind, items: list[Any], at: datetime, policy: IngestPolicy) -> Validated:
    """Validate `items` (parsed JSON) into events and rejections. `at`: time of arrival (aware). Never raises."""
    validator = Validator(kind, at, policy)
    result = Validated()
    for index, item in enumerate(items):
        dropped: list[str] = []
        corrected: list[str] = []
        try:
            event, generated_id = validator.validate(item, index, dropped, corrected)
        except InvalidItem as invalid:
            result.rejected.append(Rejection(index, invalid.field, invalid.error))
            continue
        result.events.append(event)
        result.indexes.append(index)
        if generated_id is not None:
            result.generated_ids[index] = generated_id
        if dropped:
            _count(dropped, result.dropped)
        if corrected:
            _count(corrected, result.corrected)
    return result


def _count(paths: list[str], counts: dict[str, int]) -> None:
    for path in paths:
        name = path if path in counts or len(counts) < MAX_PATHS else OTHER_PATHS
        counts[name] = counts.get(name, 0) + 1


class Validator:
    """Validates the items of one request."""

    def __init__(self, kind: Kind, at: datetime, policy: IngestPolicy) -> None:
        self._kind = kind
        self._at = at
        self._policy = policy
        self._cleaner = Cleaner(policy.keep_content_keys)
        self._type = EVENT_TYPES[kind]
        self._fields = ACCEPTED_FIELDS[kind]
        self._has_id = "request_id" in self._fields
        self._tag_fields = [name for name in TAG_FIELDS if kind is Kind.INFERENCE and name in policy.tags]
        hidden = ERROR_TEXTS if policy.drop_error_text else ()
        self._texts = [name for name in QUOTING_TEXTS if name in self._fields and name not in hidden]
        self._newest = at + policy.future_tolerance
        self._oldest = at - policy.max_age
        self._floor = policy.raw_floor
        self._earliest = max(self._oldest, self._floor) if self._floor is not None else self._oldest

    def validate(self, item: Any, index: int, dropped: list[str], corrected: list[str]) -> tuple[Event, str | None]:
        """The event and its generated id, if it was sent without one. Raises InvalidItem."""
        if type(item) is not dict:
            raise InvalidItem(None, item.error) if isinstance(item, Unreadable) else InvalidItem.not_an_object(item)
        generated_id = None
        # Most items have known fields only. They skip this step, which costs more than all others together.
        if not (item.keys() <= self._fields and item.get("metadata") is None) or self._tag_fields:
            item = self._split_metadata(item, dropped, corrected)
        if self._has_id and item.get("request_id") is None:
            generated_id = new_request_id(self._at, index)
            item = {**item, "request_id": generated_id}
        if item.get("timestamp") is None:
            item = {**item, "timestamp": self._at, "stamped": False}
        for name in self._texts:
            text = item.get(name)
            if text and isinstance(text, str) and may_quote(text):
                kept = self._cleaner.without_content(name, text)
                if kept is not text:
                    dropped.append(name)
                    item = {**item, name: kept}
        event = self._build(item, corrected)
        if event.stamped and not self._earliest <= event.timestamp <= self._newest:
            raise self._wrong_time(event.timestamp)
        if self._policy.drop_error_text and self._has_id:
            event = self._without_error_text(event, dropped)
        if self._has_id:
            _note_cut_texts(item, event, corrected)
        if not isinstance(event, SystemEvent):
            _check_labels(event)
        if isinstance(event, QueueEvent):
            _check_queue(item, event)
        elif isinstance(event, SystemEvent):
            event.derive_memory_percent()
            if event.gpu_metrics:
                _check_gpus(item["gpu_metrics"], event, dropped, corrected)
        return event, generated_id

    def _build(self, item: dict[str, Any], corrected: list[str]) -> Event:
        event = build_event(self._type, item, corrected)
        if corrected and self._tag_fields:
            own = event.__dict__
            event = event.model_copy(update={"tags": self._tags(self._tagged(own, own["metadata"]))})
        return event

    def _split_metadata(self, item: dict[str, Any], dropped: list[str], corrected: list[str]) -> dict[str, Any]:
        """A copy with unknown fields moved to the metadata, content dropped, and `is_demo` and `tags` set.

        Unknown fields that are aliases of fields are moved to these.
        """
        metadata = item.get("metadata")
        if not isinstance(metadata, dict):
            if metadata is not None:
                (corrected if "metadata" in self._fields else dropped).append("metadata")
            metadata = {}
        known = dict(item)
        known.pop("metadata", None)
        unknown = {} if item.keys() <= self._fields else self._take_unknown(known)
        if not aliases.NAMES.isdisjoint(unknown):
            aliases.translate(known, unknown, self._fields, corrected)
        if DEMO_KEY in unknown or DEMO_KEY in metadata:
            known["is_demo"] = unknown.pop(DEMO_KEY, None) is True or metadata.get(DEMO_KEY) is True
            metadata = {key: value for key, value in metadata.items() if key != DEMO_KEY}
        if "metadata" not in self._fields:
            # Samples have no metadata, so other fields are dropped.
            dropped.extend(key[:MAX_KEY] for key in (*unknown, *(["metadata"] if metadata else ())))
            return known
        try:
            if unknown:
                metadata = {**metadata, **self._without_content(unknown, metadata, dropped)}
            metadata = self._cleaner.clean(metadata, dropped, corrected)
        except InvalidMetadata:
            corrected.append("metadata")
            metadata = {}
        if metadata:
            known["metadata"] = metadata
        tagged = self._tagged(known, metadata)
        if tagged and self._policy.tags:
            known["tags"] = self._tags(tagged)
        return known

    def _tagged(self, fields: dict[str, Any], metadata: dict[str, Any] | None) -> dict[str, Any]:
        return {name: fields[name] for name in self._tag_fields if name in fields} | (metadata or {})

    def _take_unknown(self, known: dict[str, Any]) -> dict[str, Any]:
        return {key: known.pop(key) for key in list(known) if key not in self._fields}

    def _without_content(self, unknown: dict[str, Any], metadata: dict[str, Any], dropped: list[str]) -> dict[str, Any]:
        """The unknown fields that do not name content, under keys that the metadata does not have."""
        if len(unknown) > MAX_ENTRIES:
            raise InvalidMetadata("metadata", f"must have at most {MAX_ENTRIES} entries")
        kept: dict[str, Any] = {}
        for key, value in unknown.items():
            if self._cleaner.drops(key, value):
                dropped.append(key)
                continue
            while key in metadata or key in kept:
                key = f"event.{key}"
            kept[key] = value
        return kept

    def _tags(self, metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        tags = []
        for key in sorted(set(self._policy.tags)):
            value = metadata.get(key)
            if isinstance(value, bool):
                tags.append((key, "true" if value else "false"))
            elif isinstance(value, (str, int)) and value != "":
                tags.append((key, str(value)[:MAX_TAG]))
        return tuple(tags)

    def _without_error_text(self, event: Event, dropped: list[str]) -> Event:
        """The event without its error message and stack trace. Type, severity and outcome are kept."""
        texts = [name for name in ERROR_TEXTS if getattr(event, name)]
        if not texts:
            return event
        dropped.extend(texts)
        error_type = getattr(event, "error_type", None) or NO_ERROR_TYPE
        return event.model_copy(update={**dict.fromkeys(texts), "error_type": error_type})

    def _wrong_time(self, timestamp: datetime) -> InvalidItem:
        if timestamp > self._newest:
            seconds = int(self._policy.future_tolerance.total_seconds())
            return InvalidItem(
                "timestamp",
                f"must be at most {seconds} s ahead of the server ({iso(self._at)}), got {iso(timestamp)}",
            )
        if timestamp < self._oldest:
            return InvalidItem(
                "timestamp", f"must be at most {self._policy.max_age.days} days old, got {iso(timestamp)}"
            )
        assert self._floor is not None  # noqa: S101 - the only other limit
        return InvalidItem("timestamp", before_floor(timestamp, self._floor))


def _check_queue(item: dict[str, Any], event: QueueEvent) -> None:
    if event.kind is QueueKind.ENGINE:
        raise InvalidItem("kind", "must be track or sdk; engine is for the readings of LLM Monitor itself")
    if all(getattr(event, name) is None for name in QUEUE_LIMITS):
        for name, limit in QUEUE_LIMITS.items():
            if item.get(name) is not None:
                raise InvalidItem(name, f"must be a number from 0 to {limit:.0f}, got {echo(item[name])}")
        others = ", ".join(name for name in QUEUE_LIMITS if name != "pending")
        raise InvalidItem("pending", f"is required if all of these are missing: {others}")


def _check_gpus(sent: list[Any], event: SystemEvent, dropped: list[str], corrected: list[str]) -> None:
    """Keep the last sample of each GPU, and name the unknown fields that were sent."""
    gpus = {gpu.gpu_id: gpu for gpu in event.gpu_metrics}
    if len(gpus) < len(event.gpu_metrics):
        corrected.extend(["gpu_metrics.gpu_id"] * (len(event.gpu_metrics) - len(gpus)))
        event.__dict__["gpu_metrics"] = tuple(gpus.values())
    for gpu in sent:
        if isinstance(gpu, dict) and not gpu.keys() <= GPU_FIELDS:
            known = GPU_FIELDS if gpu.get("gpu_id") is not None else {*GPU_FIELDS, GPU_INDEX}
            dropped.extend(f"gpu_metrics.{key}"[:MAX_KEY] for key in gpu.keys() - known)


def _note_cut_texts(item: dict[str, Any], event: Event, corrected: list[str]) -> None:
    own = event.__dict__
    for name in ERROR_TEXTS:
        text, sent = own[name], item.get(name)
        if text and isinstance(sent, str) and len(text) < len(sent):
            corrected.append(name)


def _check_labels(event: Any) -> None:
    own = event.__dict__  # four times as fast as `event.labels`
    characters = len(own["model_name"]) + len(own["provider"]) + len(own["service"]) + len(own.get("endpoint", ""))
    if characters > MAX_LABEL_BYTES // 5 or own.get("tags"):  # shorter names are within the limit
        *names, tags = event.labels
        size = len(json.dumps([*names, dict(tags)], ensure_ascii=False).encode())
        if size > MAX_LABEL_BYTES:
            others = "provider, service, endpoint and tags"
            raise InvalidItem("model_name", f"must be at most {MAX_LABEL_BYTES} bytes with {others}, got {size}")
