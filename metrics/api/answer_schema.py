"""The OpenAPI schemas of what is read, out of the tables and names that the answers are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import models

from metrics.api.description import Method, Parameter, describe
from metrics.api.track_schema import PROBLEM
from metrics.queries.answers.summary import DISTRIBUTIONS, MACHINES
from metrics.queries.read.raw_rows import ERRORS, REQUESTS, RawTable

TEXT: dict[str, Any] = {"type": "string"}
MAYBE_TEXT: dict[str, Any] = {"type": "string", "nullable": True}
WHOLE: dict[str, Any] = {"type": "integer"}
OMITTED: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "description": "How many more there are than `results` lists; filters or a shorter window show them.",
}
FLAG: dict[str, Any] = {"type": "boolean"}
FIGURE: dict[str, Any] = {"type": "number", "nullable": True, "description": "Null where nothing is known."}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
LABELS: dict[str, Any] = {"type": "object", "additionalProperties": TEXT}
POINTS: dict[str, Any] = {
    "type": "array",
    "description": "[epoch milliseconds, value], the value null where nothing happened.",
    "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "nullable": True}},
}
# What an answer about a time says beside its figures, where it applies.
NOTES: dict[str, Any] = {
    "age_seconds": {"type": "number", "description": "How old a kept answer is."},
    "retention_from": {**TIME, "description": "Where the window reaches past what is kept: from when on it is."},
    "partial": {"type": "string", "description": "The same in words."},
}


def object_schema(
    properties: dict[str, Any], optional: dict[str, Any] | None = None, more: bool = False
) -> dict[str, Any]:
    """An object with these properties; `more`: and others."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties | (optional or {}),
        "additionalProperties": more,
    }


def list_of(schema: dict[str, Any]) -> dict[str, Any]:
    """An array of such."""
    return {"type": "array", "items": schema}


def page_of(schema: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    """A page of such, with the addresses of the pages beside it; `more`: further properties."""
    return object_schema({"next": MAYBE_TEXT, "previous": MAYBE_TEXT, "results": list_of(schema), **more})


def row_of(table: RawTable) -> dict[str, Any]:
    """One row of this table."""
    fields = {field.attname: field for field in table.model._meta.concrete_fields}
    labels = {"model_name": TEXT, "provider": TEXT, "service": TEXT, "endpoint": TEXT, "is_demo": FLAG}
    return object_schema({name: labels.get(name) or _of_field(fields[name]) for name in table.names})


def _of_field(field: Any) -> dict[str, Any]:
    match field:
        case models.DateTimeField():
            schema = TIME
        case models.BooleanField():
            schema = FLAG
        case models.IntegerField() | models.ForeignKey():
            schema = WHOLE
        case models.FloatField():
            schema = {"type": "number"}
        case models.JSONField():
            return {"description": "JSON, as it was sent."}
        case _:
            schema = TEXT
    return {**schema, "nullable": True} if field.null else schema


REQUEST_FIGURES = {
    **dict.fromkeys(("total_requests", "failed_requests", "unpriced_requests"), WHOLE),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), WHOLE),
    **dict.fromkeys(
        ("success_rate_percent", "error_rate_percent", "requests_per_second", "tokens_per_second", "cost_usd"), FIGURE
    ),
    **{f"{stat}_{name}": FIGURE for name, stats in DISTRIBUTIONS for stat in stats},
}
FIGURES = REQUEST_FIGURES | {name: FIGURE for name, _, _ in MACHINES}
WINDOW = {"from": TIME, "to": TIME}
SUMMARY = object_schema(
    {
        **WINDOW,
        **FIGURES,
        "previous": object_schema({**WINDOW, **FIGURES}),
        "change_percent": object_schema(dict.fromkeys(FIGURES, FIGURE)),
        "comparable": FLAG,
    },
    NOTES,
)
SERIES = object_schema({"metric": TEXT, "stat": TEXT, "unit": TEXT, "labels": LABELS, "points": POINTS})
HISTORY = object_schema(
    {**WINDOW, "step_seconds": WHOLE, "resolution": WHOLE, "series": list_of(SERIES)},
    {**NOTES, "groups_omitted": WHOLE},
)
DISTRIBUTION = object_schema(
    {
        **WINDOW,
        "metric": TEXT,
        "unit": TEXT,
        "count": WHOLE,
        "avg": FIGURE,
        "min": FIGURE,
        "max": FIGURE,
        "percentiles": {"type": "object", "additionalProperties": FIGURE},
        "buckets": list_of(object_schema({"lower": {"type": "number"}, "upper": {"type": "number"}, "count": WHOLE})),
    },
    NOTES,
)
HEATMAP = object_schema(
    {
        **WINDOW,
        "step_seconds": WHOLE,
        "metric": TEXT,
        "unit": TEXT,
        "edges": list_of({"type": "number"}),
        "times": list_of({"type": "integer", "description": "Epoch milliseconds."}),
        "counts": list_of(list_of(WHOLE)),
    },
    NOTES,
)
MODEL = object_schema(
    {
        "model_name": TEXT,
        "providers": list_of(TEXT),
        "first_seen": TIME,
        "last_seen": TIME,
        "is_demo": FLAG,
        "modelled": {"type": "boolean", "description": "Its times were filled in by a model of latency."},
        **REQUEST_FIGURES,
        "previous": object_schema(REQUEST_FIGURES),
    }
)
ERROR_GROUP = object_schema(
    {
        "id": WHOLE,
        "error_type": TEXT,
        "message": TEXT,
        "count": WHOLE,
        "first_seen": TIME,
        "last_seen": TIME,
        "models": list_of(TEXT),
        "trend": POINTS,
    }
)
REQUEST_ROW = row_of(REQUESTS)
REQUEST = {
    **REQUEST_ROW,
    "required": [*REQUEST_ROW["required"], "error"],
    "properties": {
        **REQUEST_ROW["properties"],
        "error": {
            "type": "object",
            "nullable": True,
            "description": "Its row among the errors.",
            "additionalProperties": True,
        },
    },
}
ERROR_ROW = row_of(ERRORS)
TICK = object_schema(
    {"type": TEXT, "seq": WHOLE, "at": TIME, "overall": {"type": "object"}, "models": {"type": "object"}}, more=True
)
DEMO = object_schema(
    {
        "present": FLAG,
        "running": FLAG,
        "removing": FLAG,
        "progress_percent": {"type": "integer", "nullable": True},
        "incident": MAYBE_TEXT,
    },
    {"removed": {"type": "object", "additionalProperties": WHOLE, "description": "Rows by table."}},
)
HEALTH = object_schema({"status": {"type": "string", "enum": ["ok"]}, "version": TEXT})
PART = object_schema(
    {"status": {"type": "string", "enum": ["ok", "failing"]}, "ms": {"type": "number"}}, {"detail": TEXT}
)
READY = object_schema(
    {"status": {"type": "string", "enum": ["ok", "failing"]}},
    {"parts": {"type": "object", "additionalProperties": PART, "description": "For those who may read."}},
)


_STATUSES = (400, 401, 403, 429, 503)
PROBLEMS = {(status, "application/problem+json"): PROBLEM for status in _STATUSES}


def described(
    summary: str,
    schema: Any,
    parameters: Sequence[Parameter] = (),
    *,
    may_be_absent: bool = False,
    **more: Any,
) -> Callable[[Method], Method]:
    """Describe a GET: its response, and the problems that it may return instead."""
    absent = {(404, "application/problem+json"): PROBLEM} if may_be_absent else {}
    return describe(summary=summary, parameters=parameters, responses={200: schema, **absent, **PROBLEMS}, **more)
