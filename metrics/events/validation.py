"""The door: from what a client sent to events, each item by itself, so that one bad item never costs the others."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from pydantic import ValidationError

from metrics.events.privacy import MAX_ENTRIES, MAX_KEY, Cleaner, MetadataRefused
from metrics.events.rejections import Refused, coerce, describe
from metrics.events.requests import NO_ERROR_TYPE, ErrorEvent, InferenceEvent
from metrics.events.samples import GPUSample, QueueEvent, QueueKind, SystemEvent
from metrics.events.types import DEMO_KEY, Event, Kind

MAX_PATHS = 50  # of content left out that one answer names; the rest are counted together
OTHER_PATHS = "…"
MAX_TAG = 200  # characters of a metadata value that is promoted to a label; longer ones are cut

EVENT_TYPES: dict[Kind, type[Event]] = {
    Kind.INFERENCE: InferenceEvent,
    Kind.ERROR: ErrorEvent,
    Kind.QUEUE: QueueEvent,
    Kind.SYSTEM: SystemEvent,
}
# Filled by our own code; sent from outside they are unknown fields like any other.
INTERNAL_FIELDS = frozenset({"stamped", "is_demo", "tags", "outcome", "finish_class"})
ACCEPTED_FIELDS: dict[Kind, frozenset[str]] = {
    kind: frozenset(event_type.model_fields) - INTERNAL_FIELDS for kind, event_type in EVENT_TYPES.items()
}
GPU_FIELDS = frozenset(GPUSample.model_fields)


@dataclass(frozen=True, slots=True)
class IngestPolicy:
    """What this installation accepts.

    tags: metadata keys that become labels. keep_content_keys: keys that stay although they name content. raw_floor:
    nothing older is accepted of this kind, because the rows that would recognise a repeat are gone.
    """

    tags: tuple[str, ...] = ()
    keep_content_keys: tuple[str, ...] = ()
    drop_error_text: bool = False
    future_tolerance: timedelta = timedelta(minutes=5)
    max_age: timedelta = timedelta(days=400)
    raw_floor: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One item that was refused: its place in what was sent, the field, and why. Never holds content."""

    index: int
    field: str | None
    error: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in for a line that is not JSON."""

    error: str


@dataclass(frozen=True, slots=True)
class Validated:
    """`events[i]` came from item `indexes[i]`.

    generated_ids: index → the id generated here. dropped: path of a dropped field → how often it was dropped.
    """

    events: list[Event] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    generated_ids: dict[int, str] = field(default_factory=dict)


def new_request_id(at: datetime, sequence: int = 0) -> str:
    """A new id that sorts by time: 32 hexadecimal digits in the layout of UUID version 7 (RFC 9562)."""
    milliseconds = int(at.timestamp() * 1000) & (2**48 - 1)
    return f"{milliseconds:012x}7{sequence & 0xFFF:03x}{2**63 | secrets.randbits(62):016x}"


def validate_many(kind: Kind, items: list[Any], at: datetime, policy: IngestPolicy) -> Validated:
    """The events among `items` (parsed JSON), why the others are none. `at`: time of arrival (aware). Never raises."""
    door = Validator(kind, at, policy)
    result = Validated()
    for index, item in enumerate(items):
        left_out: list[str] = []
        try:
            event, generated_id = door.admit(item, index, left_out)
        except Refused as refused:
            result.rejected.append(Rejection(index, refused.field, refused.error))
            continue
        result.events.append(event)
        result.indexes.append(index)
        if generated_id is not None:
            result.generated_ids[index] = generated_id
        for path in left_out:
            known = path in result.dropped or len(result.dropped) < MAX_PATHS
            name = path if known else OTHER_PATHS
            result.dropped[name] = result.dropped.get(name, 0) + 1
    return result


class Validator:
    """Admits the items of one request."""

    def __init__(self, kind: Kind, at: datetime, policy: IngestPolicy) -> None:
        self._kind = kind
        self._at = at
        self._policy = policy
        self._cleaner = Cleaner(policy.keep_content_keys)
        self._type = EVENT_TYPES[kind]
        self._fields = ACCEPTED_FIELDS[kind]
        self._has_id = "request_id" in self._fields
        self._newest = at + policy.future_tolerance
        self._oldest = at - policy.max_age
        self._floor = policy.raw_floor
        self._least = max(self._oldest, self._floor) if self._floor is not None else self._oldest
        self._validate = self._type.__pydantic_validator__.validate_python

    def admit(self, item: Any, index: int, left_out: list[str]) -> tuple[Event, str | None]:
        """The event, and its id where it was made here. Raises Refused."""
        if type(item) is not dict:
            raise Refused.no_object(item) if not isinstance(item, Unreadable) else Refused(None, item.error)
        generated_id = None
        # Sorting out costs more than all the rest: plain items, which are most, are spared it.
        if not (item.keys() <= self._fields and item.get("metadata") is None):
            item = self._sort_out(item, left_out)
        if self._has_id and item.get("request_id") is None:
            generated_id = new_request_id(self._at, index)
            item = {**item, "request_id": generated_id}
        if item.get("timestamp") is None:
            item = {**item, "timestamp": self._at, "stamped": False}
        event = self._build(item)
        if event.stamped and not self._least <= event.timestamp <= self._newest:
            raise self._wrong_time(event.timestamp)
        if self._policy.drop_error_text and self._has_id:
            event = self._without_error_text(event, left_out)
        if isinstance(event, QueueEvent):
            self._check_queue(event)
        elif isinstance(event, SystemEvent) and event.gpu_metrics:
            self._check_gpus(item["gpu_metrics"], event, left_out)
        return event, generated_id

    def _build(self, item: dict[str, Any]) -> Event:
        try:
            return cast("Event", self._validate(item))
        except ValidationError as error:
            coerced = coerce(item, error)
            if coerced is None:
                raise describe(error) from None
        try:
            return cast("Event", self._validate(coerced))
        except ValidationError as error:
            raise describe(error) from None

    def _sort_out(self, item: dict[str, Any], left_out: list[str]) -> dict[str, Any]:
        """A copy with its unknown fields in the metadata, content left out, its mark of the demo and its tags read."""
        metadata = item.get("metadata")
        if metadata is None:
            metadata = {}
        elif not isinstance(metadata, dict):
            raise Refused("metadata", "must be an object")
        known = dict(item)
        known.pop("metadata", None)
        unknown = {} if item.keys() <= self._fields else self._take_unknown(known)
        if DEMO_KEY in unknown or DEMO_KEY in metadata:
            known["is_demo"] = unknown.pop(DEMO_KEY, None) is True or metadata.get(DEMO_KEY) is True
            metadata = {key: value for key, value in metadata.items() if key != DEMO_KEY}
        if "metadata" not in self._fields:
            # Samples have no metadata: what they bring beside their fields is left out, and said.
            left_out.extend(key[:MAX_KEY] for key in (*unknown, *(["metadata"] if metadata else ())))
            return known
        if unknown:
            metadata = {**metadata, **self._kept(unknown, metadata, left_out)}
        try:
            metadata = self._cleaner.clean(metadata, left_out)
        except MetadataRefused as refused:
            raise Refused(refused.path, refused.error) from None
        if metadata:
            known["metadata"] = metadata
            if self._policy.tags:
                known["tags"] = self._tags(metadata)
        return known

    def _take_unknown(self, known: dict[str, Any]) -> dict[str, Any]:
        return {key: known.pop(key) for key in list(known) if key not in self._fields}

    def _kept(self, unknown: dict[str, Any], metadata: dict[str, Any], left_out: list[str]) -> dict[str, Any]:
        """Those unknown fields that name no content, by a key that the metadata does not have already."""
        if len(unknown) > MAX_ENTRIES:
            raise Refused("metadata", f"must have at most {MAX_ENTRIES} entries")
        kept = {}
        for key, value in unknown.items():
            if self._cleaner.drops(key):
                left_out.append(key)
            else:
                kept[key if key not in metadata else f"event.{key}"] = value
        return kept

    def _tags(self, metadata: dict[str, Any]) -> tuple[tuple[str, str], ...]:
        found = []
        for key in sorted(set(self._policy.tags)):
            value = metadata.get(key)
            if isinstance(value, bool):
                found.append((key, "true" if value else "false"))
            elif isinstance(value, (str, int)) and value != "":
                found.append((key, str(value)[:MAX_TAG]))
        return tuple(found)

    def _without_error_text(self, event: Event, left_out: list[str]) -> Event:
        """The event without its error's words; that it failed, and how, stays."""
        texts = [name for name in ("error_message", "stack_trace") if getattr(event, name)]
        if not texts:
            return event
        left_out.extend(texts)
        error_type = getattr(event, "error_type", None) or NO_ERROR_TYPE
        return event.model_copy(update={**dict.fromkeys(texts), "error_type": error_type})

    def _check_queue(self, event: QueueEvent) -> None:
        if event.kind is QueueKind.ENGINE:
            raise Refused("kind", "must be track or sdk; engine is what the monitor reads off an engine itself")
        if event.pending is None and event.processing is None and event.wait_time_ms is None:
            raise Refused("pending", "is required where processing and wait_time_ms are missing")

    def _check_gpus(self, sent: list[Any], event: SystemEvent, left_out: list[str]) -> None:
        if len({gpu.gpu_id for gpu in event.gpu_metrics}) < len(event.gpu_metrics):
            raise Refused("gpu_metrics", "must name each gpu_id once")
        for gpu in sent:
            left_out.extend(f"gpu_metrics.{key}"[:MAX_KEY] for key in gpu.keys() - GPU_FIELDS)

    def _wrong_time(self, timestamp: datetime) -> Refused:
        if timestamp > self._newest:
            seconds = int(self._policy.future_tolerance.total_seconds())
            return Refused(
                "timestamp",
                f"must be at most {seconds} s ahead of the server ({_iso(self._at)}), got {_iso(timestamp)}",
            )
        if timestamp < self._oldest:
            return Refused("timestamp", f"must be at most {self._policy.max_age.days} days old, got {_iso(timestamp)}")
        assert self._floor is not None  # noqa: S101 - the only limit that is left
        return Refused(
            "timestamp",
            f"must not be before the raw floor {_iso(self._floor)} (older rows are gone), got {_iso(timestamp)}",
        )


def _iso(time: datetime) -> str:
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")
