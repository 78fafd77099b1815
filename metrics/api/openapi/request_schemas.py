"""The schemas and examples of the bodies of `POST /track/…`.

They are generated from the event models, so that the OpenAPI document describes what the validation accepts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from metrics.events import EVENT_TYPES, Kind
from metrics.events.validation import ACCEPTED_FIELDS

EXAMPLES: dict[Kind, dict[str, Any]] = {
    Kind.INFERENCE: {
        "model_name": "llama-3.1-8b",
        "prompt_tokens": 120,
        "completion_tokens": 48,
        "response_time_ms": 812.5,
        "success": True,
    },
    Kind.ERROR: {
        "model_name": "llama-3.1-8b",
        "error_type": "TimeoutError",
        "error_message": "no response in 60 s",
    },
    Kind.QUEUE: {"source": "gateway-1", "model_name": "llama-3.1-8b", "pending": 3, "processing": 8},
    Kind.SYSTEM: {
        "host": "gpu-1",
        "cpu_percent": 41.5,
        "memory_percent": 63.0,
        "gpu_count": 1,
        "gpu_metrics": [{"gpu_id": 0, "temperature": 71, "utilization_percent": 96}],
    },
}
ANNOTATION_EXAMPLE = {"text": "deploy 1.4", "kind": "deploy", "model_name": "llama-3.1-8b"}
GENERATED_FIELDS = ("timestamp", "request_id")  # the server generates them if they are missing


@lru_cache
def request_schema(kind: Kind) -> dict[str, Any]:
    """Return the schema of a body: an event, an array of events, or an object with the array as `events`."""
    event = event_schema(kind)
    batch = {"type": "array", "items": event}
    return {
        "oneOf": [event, batch, {"type": "object", "required": ["events"], "properties": {"events": batch}}],
    }


@lru_cache
def event_schema(kind: Kind) -> dict[str, Any]:
    """Return the schema of one event."""
    event = schema_of(EVENT_TYPES[kind])
    event["required"] = [name for name in event["required"] if name not in GENERATED_FIELDS]
    # Unknown fields are allowed: they are stored in `metadata`.
    event["additionalProperties"] = True
    event["properties"] = {name: field for name, field in event["properties"].items() if name in ACCEPTED_FIELDS[kind]}
    event["properties"]["timestamp"] = {
        "description": "Time of the event: ISO 8601 (UTC if it has no offset), or Unix time in seconds, or in "
        "milliseconds above 2e10. Default: the time when the server receives the event.",
        "oneOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
    }
    return event


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of a pydantic model."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})
    converted: dict[str, Any] = _to_openapi(schema, definitions)
    return converted


def _to_openapi(schema: Any, definitions: dict[str, Any]) -> Any:
    """Return a JSON Schema in the dialect of OpenAPI 3.0.

    Each `$ref` is replaced by its definition (definitions are not recursive), and the type `null` by `nullable`.
    """
    if isinstance(schema, list):
        return [_to_openapi(entry, definitions) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        siblings = {key: value for key, value in schema.items() if key != "$ref"}
        return _to_openapi({**definitions[schema["$ref"].rsplit("/", 1)[-1]], **siblings}, definitions)
    converted = {key: _to_openapi(value, definitions) for key, value in schema.items()}
    choices = converted.get("anyOf", [])
    if {"type": "null"} in choices:
        types = [choice for choice in choices if choice != {"type": "null"}]
        siblings = {key: value for key, value in converted.items() if key not in ("anyOf", "default")}
        return {**(types[0] if len(types) == 1 else {"anyOf": types}), **siblings, "nullable": True}
    return converted
