"""Traces that Arize Phoenix exported: the spans of requests to a model, with OpenInference's attributes.

Phoenix writes spans in two forms. A dataframe (`get_spans_dataframe`), as CSV or JSON, has a column for each attribute
(`attributes.llm.model_name`); in CSV, its objects are written as Python writes them. The REST API
(`/v1/projects/{name}/spans`) has an object with all attributes. Times are cut to milliseconds, as pandas writes them in
JSON, so that a span is the same event whatever form it is imported from.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from metrics.events import Kind
from metrics.importing.cells import as_number
from metrics.importing.source import Mapped, RowValues, Skip, Source

# Column → field. Attributes are without `attributes.`.
FIELDS = {
    "context.span_id": "span_id",
    "context.trace_id": "trace_id",
    "llm.model_name": "model_name",
    "embedding.model_name": "model_name",
    "llm.system": "provider",
    "llm.provider": "provider",  # the host of the model; the later of two columns counts
    "llm.token_count.prompt": "prompt_tokens",
    "llm.token_count.completion": "completion_tokens",
    "llm.token_count.total": "total_tokens",
    "llm.token_count.prompt_details.cache_read": "cached_tokens",
    "llm.token_count.completion_details.reasoning": "reasoning_tokens",
    "llm.cost.total": "cost_usd",
    "llm.finish_reason": "finish_reason",
    "user.id": "user",
}
# Column → key in the metadata.
METADATA = {"name": "span_name", "session.id": "session_id", "agent.name": "agent_name", "tag.tags": "tags"}
# Keys of `llm.invocation_parameters` → field. The first that is there counts.
PARAMETERS = {
    "temperature": "temperature",
    "max_completion_tokens": "max_tokens",
    "max_tokens": "max_tokens",
    "stream": "stream",
    "model": "model_name",
}
# Columns that are read in another way.
READ = frozenset(
    ["span_kind", "start_time", "end_time", "status_code", "status_message", "events", "llm.invocation_parameters"]
)
OMITTED = {
    "id": "is a number of Phoenix",
    "parent_id": "only single requests are imported, not their place in a trace",
    "openinference.span.kind": "is also in `span_kind`",
    "embedding.invocation_parameters": "no field has them",
}
# Columns whose names begin with one of these hold content.
CONTENT = (
    "input.",
    "output.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.choices",
    "llm.prompt_template",
    "llm.tools",
    "llm.function_call",
    "embedding.text",
    "embedding.vector",
    "embedding.embeddings",
    "document",
    "retrieval.",
    "reranker.",
    "message",
    "tool.",
    "image",
    "audio",
)
OPERATIONS = {"LLM": None, "EMBEDDING": "embeddings"}  # the kinds of spans that are requests to a model
COUNTS = frozenset(["prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens"])
FIRST_TOKEN = "First Token Stream Event"  # noqa: S105 - the name that OpenInference's instrumentations give it
EXCEPTION = "exception"
MILLISECOND = timedelta(milliseconds=1)
MAX_LITERAL = 262_144  # characters of a Python literal that is read
MAX_EVENTS = 1_000
MAX_PARTS = 2_000  # attributes of one span

SIGNATURES = ({"span_kind", "start_time", "end_time", "context.span_id"}, {"span_kind", "start_time", "context"})


def recognize(columns: frozenset[str]) -> bool:
    """Return whether these are the columns of spans."""
    return any(signature <= columns for signature in SIGNATURES)


def source() -> Source:
    """Return the source of spans."""
    return Source("spans of Phoenix", Kind.INFERENCE, map_span, OMITTED)


def map_span(row: RowValues, is_text: bool) -> Mapped:
    """Return the request of a span. Raises Skip."""
    span = dict(_flattened(row))
    kind = str(span.get("span_kind") or span.get("openinference.span.kind") or "UNKNOWN")
    if kind not in OPERATIONS:
        raise Skip(f"spans of the kind {kind[:40]}, which are no requests to a model")
    start, end = _time(span.get("start_time")), _time(span.get("end_time"))
    if span.get("end_time") in (None, ""):
        raise Skip("spans that have not ended")
    item: dict[str, Any] = {"operation": OPERATIONS[kind], "timestamp": span["end_time"]}
    parameters = _object(span.get("llm.invocation_parameters"))
    for key, name in PARAMETERS.items():
        if isinstance(parameters.get(key), int | float | str):
            item.setdefault(name, parameters[key])
    for column, name in FIELDS.items():
        value = span.get(column)
        if value not in (None, ""):
            item[name] = _count(value) if name in COUNTS else value
    if isinstance(item.get("cost_usd"), str):
        item["cost_usd"] = as_number(item["cost_usd"])
    item["request_id"] = item.get("span_id")
    metadata = {key: span[column] for column, key in METADATA.items() if span.get(column) not in (None, "")}
    if isinstance(tags := metadata.get("tags"), str):
        metadata["tags"] = _literal(tags)
    metadata |= {key: value for key, value in _object(span.get("metadata")).items() if isinstance(key, str)}
    metadata |= {key[9:]: value for key, value in span.items() if key.startswith("metadata.")}
    if metadata:
        item["metadata"] = metadata
    if start and end:
        item["timestamp"] = end.replace(microsecond=end.microsecond // 1000 * 1000).isoformat()
        item["response_time_ms"] = (end - start) / MILLISECOND
    item |= _outcome(span, start)
    unread = [name for name, value in span.items() if value not in (None, "", []) and not _is_read(name)]
    content = tuple(name for name in unread if name.startswith(CONTENT))
    return Mapped(item, content=content, unknown=tuple(name for name in unread if not name.startswith(CONTENT)))


def _is_read(name: str) -> bool:
    known = name in FIELDS or name in METADATA or name in READ or name in OMITTED
    return known or name == "metadata" or name.startswith("metadata.")


def _flattened(row: RowValues) -> Iterator[tuple[str, Any]]:
    """Yield the values of a span by the names of columns, those of attributes without `attributes.`."""
    number = 0
    stack: list[tuple[str, Any]] = [(str(name).removeprefix("attributes."), value) for name, value in row.items()]
    stack.reverse()
    while stack:
        name, value = stack.pop()
        number += 1
        if number > MAX_PARTS:
            return
        if isinstance(value, Mapping) and name != "metadata":
            inner = [(str(key) if name == "attributes" else f"{name}.{key}", entry) for key, entry in value.items()]
            stack += reversed(inner)
        else:
            yield name, value


def _outcome(span: Mapping[str, Any], start: datetime | None) -> dict[str, Any]:
    """Return the fields of success and error, and the time to the first token."""
    fields: dict[str, Any] = {"success": span.get("status_code") != "ERROR"}
    events = span.get("events")
    events = _literal(events) if isinstance(events, str) else events
    for event in events[:MAX_EVENTS] if isinstance(events, list) else ():
        if not isinstance(event, Mapping):
            continue
        if event.get("name") == FIRST_TOKEN and start and (first := _time(event.get("timestamp"))):
            fields.setdefault("ttft_ms", max(0.0, (first - start) / MILLISECOND))
        attributes = event.get("attributes")
        if event.get("name") == EXCEPTION and not fields["success"] and isinstance(attributes, Mapping):
            fields["error_type"] = attributes.get("exception.type")
            fields["error_message"] = attributes.get("exception.message")
            fields["stack_trace"] = attributes.get("exception.stacktrace")
    if not fields["success"] and not fields.get("error_message"):
        fields["error_message"] = span.get("status_message") or None
    return {name: value for name, value in fields.items() if value is not None}


def _time(value: Any) -> datetime | None:
    """Return a time in ISO 8601 or in epoch milliseconds; None if it is none, which validation reports."""
    with suppress(ValueError, OverflowError, TypeError, OSError):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
        at = datetime.fromisoformat(value)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    return None


def _count(value: Any) -> Any:
    """Return a count. Columns with empty cells are floats in pandas."""
    number = as_number(value) if isinstance(value, str) else value
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return value if number is None else number


def _object(value: Any) -> Mapping[str, Any]:
    """Return an object, which may be written as JSON or as a Python literal; empty if it is none."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            value = _literal(value)
    return value if isinstance(value, Mapping) else {}


def _literal(text: str) -> Any:
    """Return the value of a Python literal; an empty list if it is none."""
    if len(text) <= MAX_LITERAL:
        with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return ast.literal_eval(text)
    return []
