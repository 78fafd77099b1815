"""The OpenAPI schemas of `/track/*`, out of the event models, so that the description cannot differ from the check."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from metrics.events import EVENT_TYPES, Kind

ANSWER: dict[str, Any] = {
    "type": "object",
    "description": "accepted, duplicates and rejected are disjoint and add up to what was sent.",
    "required": ["accepted", "duplicates", "rejected", "request_ids", "dropped"],
    "properties": {
        "accepted": {"type": "integer", "description": "Events that are now stored."},
        "duplicates": {"type": "integer", "description": "Events that were stored before."},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "error"],
                "properties": {
                    "index": {"type": "integer", "description": "Place in what was sent, from 0."},
                    "field": {"type": "string", "nullable": True},
                    "error": {"type": "string"},
                },
            },
        },
        "request_ids": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Ids made here for those events that were sent without one, in their order.",
        },
        "dropped": {
            "type": "object",
            "additionalProperties": {"type": "integer"},
            "description": "What was left out because it names content of a prompt or an answer: path and how often.",
        },
    },
}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "For programs; stays the same when the words change."},
    },
}
# Made by the server where they are missing.
OPTIONAL = ("timestamp", "request_id")


@lru_cache
def request_schema(kind: Kind) -> dict[str, Any]:
    """What may be posted of a kind: an event, an array of events, or an object that holds the array."""
    event = event_schema(kind)
    batch = {"type": "array", "items": event}
    return {
        "oneOf": [event, batch, {"type": "object", "required": ["events"], "properties": {"events": batch}}],
    }


@lru_cache
def event_schema(kind: Kind) -> dict[str, Any]:
    """The schema of one event."""
    schema = EVENT_TYPES[kind].model_json_schema()
    definitions = schema.pop("$defs", {})
    event: dict[str, Any] = _inlined(schema, definitions)
    event["required"] = [name for name in event["required"] if name not in OPTIONAL]
    # Unknown fields are no mistake: they go to the metadata.
    event["additionalProperties"] = True
    event["properties"]["timestamp"] = {
        "description": "When it happened: ISO 8601 (without a zone: UTC), or a unix time in seconds or, from 1e11 on, "
        "in milliseconds. The time of arrival where it is missing.",
        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
    }
    return event


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """`schema` in the dialect of OpenAPI 3.0: each reference to one of the (not recursive) definitions replaced by it,
    and null as a mark of what may be null, where JSON Schema has it as a type."""
    if isinstance(schema, list):
        return [_inlined(entry, definitions) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        own = {key: value for key, value in schema.items() if key != "$ref"}
        return _inlined({**definitions[schema["$ref"].rsplit("/", 1)[-1]], **own}, definitions)
    inlined = {key: _inlined(value, definitions) for key, value in schema.items()}
    choices = inlined.get("anyOf", [])
    if {"type": "null"} in choices:
        others = [choice for choice in choices if choice != {"type": "null"}]
        own = {key: value for key, value in inlined.items() if key not in ("anyOf", "default")}
        return {**(others[0] if len(others) == 1 else {"anyOf": others}), **own, "nullable": True}
    return inlined
