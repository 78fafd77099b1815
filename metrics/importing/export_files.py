"""Files that `GET /export/*` wrote: their kinds, and the events of their rows.

The event of a row is stored as the same row again. Columns that are derived or refer to other rows are not read: they
are computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from metrics.events import DEMO_KEY, EVENT_TYPES, GPUSample, Kind, Outcome
from metrics.events.validation import OWN_SAMPLE_FIELDS
from metrics.importing.cells import types_of, value_of
from metrics.importing.source import Mapped, RowValues, Skip, Source

OF_REQUEST = "errors that were sent with a request; import the export of `inference`, which has them"

# Columns by which the rows of a kind are recognized, the most specific kinds first.
SIGNATURES = {
    "errors": {"error_type", "severity", "counted_outcome"},
    "inference": {"request_id", "model_name", "response_time_ms", "success"},
    "gpu": {"timestamp", "host", "gpu_id", "utilization_percent"},
    "engines": {"source", "kv_cache_usage_percent"},
    "queue": {"timestamp", "source", "model_name", "pending"},
    "system": {"timestamp", "host", "cpu_percent", "memory_percent"},
    "history": {"metric", "stat", "unit", "labels", "value"},
    "alert_history": {"alert", "rule", "to"},
    "alerts": {"rule", "state", "metric_name", "threshold"},
}
NOT_IMPORTED = {
    "history": "its points are computed from rows. Import the rows: inference, errors, system, gpu, queue.",
    "alerts": "alerts belong to the rules of an instance, which evaluates them itself.",
    "alert_history": "alerts belong to the rules of an instance, which evaluates them itself.",
    "engines": "samples of serving engines are read by the monitor itself.",
}
# A status code that gives an error its outcome, because the status code of an error is not stored.
STATUS_CODES = {
    Outcome.CLIENT_ERROR: 400,
    Outcome.RATE_LIMITED: 429,
    Outcome.SERVER_ERROR: 500,
    Outcome.TIMEOUT: 504,
    Outcome.CANCELLED: 499,
}
BOOLEANS = {"is_demo": bool, "stamped": bool, "sent_with_request": bool}
DERIVED = "is computed again"
INTERNAL = "is a number of the other database"
OMITTED: dict[str, dict[str, str]] = {
    "inference": {"id": INTERNAL, "outcome": DERIVED},
    "errors": {"id": INTERNAL, "group_id": INTERNAL},
    "system": dict.fromkeys(sorted(OWN_SAMPLE_FIELDS), "is about the other monitor"),
    "gpu": {},
    "queue": {"endpoint": "is always empty"},
}
KINDS = tuple(OMITTED)


def recognize(columns: frozenset[str]) -> str | None:
    """Return the kind of export that has these columns; None if none has. It may be one of NOT_IMPORTED."""
    return next((kind for kind, signature in SIGNATURES.items() if signature <= columns), None)


def source(kind: str) -> Source:
    """Return the source of a kind of export, one of KINDS."""
    event_kind = {"errors": Kind.ERROR, "gpu": Kind.SYSTEM}.get(kind) or Kind(kind)
    types = types_of(EVENT_TYPES[event_kind])
    if kind == "gpu":
        types = types_of(GPUSample) | {"timestamp": str, "host": str}
    mapping = {"errors": _error, "gpu": _gpu}.get(kind, _event)
    convert = partial(_map, mapping, types | BOOLEANS, frozenset(OMITTED[kind]))
    return Source(f"export of {kind}", event_kind, convert, omitted=OMITTED[kind])


def _map(mapping: Any, types: Mapping[str, type], omitted: frozenset[str], row: RowValues, is_text: bool) -> Mapped:
    values = {name: value for name, value in row.items() if name not in omitted and value is not None}
    if is_text:
        cells = ((name, value_of(cell, types.get(name, str))) for name, cell in values.items())
        values = {name: value for name, value in cells if value is not None}
    if values.pop("is_demo", False) is True:
        values[DEMO_KEY] = True
    mapped: Mapped = mapping(values, row.keys())
    return mapped


def _event(values: dict[str, Any], columns: Collection[str]) -> Mapped:
    return Mapped(values)


def _error(values: dict[str, Any], columns: Collection[str]) -> Mapped:
    if values.pop("sent_with_request", False) is True:
        raise Skip(OF_REQUEST)
    outcome = values.pop("counted_outcome", None)
    if outcome in STATUS_CODES:
        values["status_code"] = STATUS_CODES[outcome]
    # The export has the labels of the request that the error belongs to. Those that the error named identify it.
    model, provider = values.pop("named_model_name", None), values.pop("named_provider", None)
    if "named_model_name" in columns:
        values |= {"model_name": model, "provider": provider or ""}
    return Mapped(values, values.pop("stamped", True) is not False)


def _gpu(values: dict[str, Any], columns: Collection[str]) -> Mapped:
    """Return a sample of the host with this GPU alone. The store merges it with the host's sample of the same time."""
    host = {name: values.pop(name) for name in ("timestamp", "host", DEMO_KEY) if name in values}
    return Mapped({**host, "gpu_metrics": [values]})
