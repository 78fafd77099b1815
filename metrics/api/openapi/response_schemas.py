"""The schemas of responses, generated from the tables and names that the queries use."""

from __future__ import annotations

from typing import Any

from django.db import models

from metrics.queries.answers.summary import ALL_FIGURES, MACHINES
from metrics.queries.read.raw_rows import ERRORS, REQUESTS, RawTable

STRING: dict[str, Any] = {"type": "string"}
NULLABLE_STRING: dict[str, Any] = {"type": "string", "nullable": True}
INTEGER: dict[str, Any] = {"type": "integer"}
TOKEN_SUM: dict[str, Any] = {
    "type": "integer",
    "nullable": True,
    "description": "Null if there are requests, but none was sent with a number of tokens.",
}
NUMBER: dict[str, Any] = {"type": "number"}
FIGURE: dict[str, Any] = {"type": "number", "nullable": True, "description": "Null if there is no data."}
BOOLEAN: dict[str, Any] = {"type": "boolean"}
TIME: dict[str, Any] = {"type": "string", "format": "date-time"}
OMITTED: dict[str, Any] = {
    "type": "integer",
    "minimum": 0,
    "description": "Number of further rows that are not in `results`. Use filters or a shorter window to get them.",
}
LABELS: dict[str, Any] = {"type": "object", "additionalProperties": STRING}
POINTS: dict[str, Any] = {
    "type": "array",
    "description": "[epoch milliseconds, value]. The value is null if the step has no data.",
    "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number", "nullable": True}},
}
# Optional properties of every response about a window.
NOTES: dict[str, Any] = {
    "age_seconds": {"type": "number", "description": "Age of the response, if it is from the cache."},
    "retention_from": {**TIME, "description": "Start of the stored data, if the window begins before it."},
    "partial": {"type": "string", "description": "`retention_from` as a sentence for people."},
}


def object_schema(
    properties: dict[str, Any], optional: dict[str, Any] | None = None, more: bool = False
) -> dict[str, Any]:
    """Return the schema of an object with these properties. `more`: other properties are allowed."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties | (optional or {}),
        "additionalProperties": more,
    }


def list_of(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an array of such items."""
    return {"type": "array", "items": schema}


def page_of(schema: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a page of such rows, with links to the pages beside it. `more`: further properties."""
    return object_schema({"next": NULLABLE_STRING, "previous": NULLABLE_STRING, "results": list_of(schema), **more})


def row_of(table: RawTable) -> dict[str, Any]:
    """Return the schema of a row of this table."""
    fields = {field.attname: field for field in table.model._meta.concrete_fields}
    labels = {"model_name": STRING, "provider": STRING, "service": STRING, "endpoint": STRING, "is_demo": BOOLEAN}
    return object_schema({name: labels.get(name) or _of_field(fields[name]) for name in table.names})


def _of_field(field: Any) -> dict[str, Any]:
    match field:
        case models.DateTimeField():
            schema = TIME
        case models.BooleanField():
            schema = BOOLEAN
        case models.IntegerField() | models.ForeignKey():
            schema = INTEGER
        case models.FloatField():
            schema = NUMBER
        case models.JSONField():
            return {"description": "JSON, as it was sent."}
        case _:
            schema = STRING
    return {**schema, "nullable": True} if field.null else schema


PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": STRING,
        "title": STRING,
        "status": INTEGER,
        "detail": STRING,
        "code": {"type": "string", "description": "Code of the error for programs. Codes do not change."},
        "request_id": {"type": "string", "description": "As in the log of the server and in `X-Request-ID`."},
    },
}


def problems(*statuses: int) -> dict[tuple[int, str], Any]:
    """Return error responses with these statuses, by status and media type."""
    return {(status, "application/problem+json"): PROBLEM for status in statuses}


PROBLEMS = problems(400, 401, 403, 429, 503)  # the errors of every view that reads

TRACK_RESULT: dict[str, Any] = {
    "type": "object",
    "description": "Each event sent is either accepted, a duplicate or rejected.",
    "required": ["accepted", "duplicates", "rejected", "request_ids", "dropped", "corrected"],
    "properties": {
        "accepted": {"type": "integer", "description": "Number of events that are now stored."},
        "duplicates": {"type": "integer", "description": "Number of events that were already stored."},
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["index", "field", "error"],
                "properties": {
                    "index": {"type": "integer", "description": "Position of the event in the body, from 0."},
                    "field": NULLABLE_STRING,
                    "error": STRING,
                },
            },
        },
        "request_ids": {
            "type": "array",
            "items": STRING,
            "description": "Ids that the server generated for events without one, in the order of the events.",
        },
        "dropped": {
            "type": "object",
            "additionalProperties": INTEGER,
            "description": "Fields that were dropped, or cut, because they hold the content of prompts or completions, "
            "or credentials: path of the field, and how often it was dropped.",
        },
        "corrected": {
            "type": "object",
            "additionalProperties": INTEGER,
            "description": "Fields whose invalid value was set to null, to the limit of the field, or to its type: "
            "path of the field, and how often it was corrected.",
        },
    },
}
REQUEST_FIGURES = {
    **dict.fromkeys(("total_requests", "failed_requests", "unpriced_requests"), INTEGER),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens"), TOKEN_SUM),
    **dict.fromkeys(
        ("success_rate_percent", "error_rate_percent", "requests_per_second", "tokens_per_second", "cost_usd"), FIGURE
    ),
    **{f"{stat}_{name}": FIGURE for name, stats in ALL_FIGURES.distributions.items() for stat in stats},
}
FIGURES = REQUEST_FIGURES | dict.fromkeys(MACHINES, FIGURE)
WINDOW = {"from": TIME, "to": TIME}
SUMMARY = object_schema(
    {
        **WINDOW,
        **FIGURES,
        "previous": object_schema({**WINDOW, **FIGURES}),
        "change_percent": object_schema(dict.fromkeys(FIGURES, FIGURE)),
        "comparable": BOOLEAN,
    },
    NOTES,
)
SERIES = object_schema({"metric": STRING, "stat": STRING, "unit": STRING, "labels": LABELS, "points": POINTS})
HISTORY = object_schema(
    {**WINDOW, "step_seconds": INTEGER, "resolution": INTEGER, "series": list_of(SERIES)},
    {**NOTES, "groups_omitted": INTEGER},
)
DISTRIBUTION = object_schema(
    {
        **WINDOW,
        "metric": STRING,
        "unit": STRING,
        "count": INTEGER,
        "avg": FIGURE,
        "min": FIGURE,
        "max": FIGURE,
        "percentiles": {"type": "object", "additionalProperties": FIGURE},
        "buckets": list_of(object_schema({"lower": NUMBER, "upper": NUMBER, "count": INTEGER})),
    },
    NOTES,
)
HEATMAP = object_schema(
    {
        **WINDOW,
        "step_seconds": INTEGER,
        "metric": STRING,
        "unit": STRING,
        "edges": list_of(NUMBER),
        "times": list_of({"type": "integer", "description": "Epoch milliseconds."}),
        "counts": list_of(list_of(INTEGER)),
    },
    NOTES,
)
RESOURCES = {**WINDOW, "metric": STRING, "stat": STRING, "unit": STRING, "by": STRING, "rows": list_of(STRING)}
VALUES = {**list_of(list_of(FIGURE)), "description": "A list for each row, with a value for each column."}
DEVICE_HEATMAP = object_schema(
    {
        **RESOURCES,
        "step_seconds": INTEGER,
        "labels": {**list_of(LABELS), "description": "The labels of each row."},
        "columns": list_of({"type": "integer", "description": "Epoch milliseconds."}),
        "values": VALUES,
    },
    {**NOTES, "rows_omitted": INTEGER},
)
WEEK_HEATMAP = object_schema(
    {
        **RESOURCES,
        "time_zone": STRING,
        "columns": list_of({"type": "integer", "description": "Hour of the day, 0 to 23."}),
        "values": VALUES,
        "hours": {
            **list_of(list_of(INTEGER)),
            "description": "The number of hours with data that a value is the mean of.",
        },
    },
    NOTES,
)
HEATMAPS: dict[str, Any] = {"oneOf": [HEATMAP, DEVICE_HEATMAP, WEEK_HEATMAP]}
MODEL = object_schema(
    {
        "model_name": STRING,
        "providers": list_of(STRING),
        "first_seen": TIME,
        "last_seen": TIME,
        "is_demo": BOOLEAN,
        "modelled": {"type": "boolean", "description": "The times of its newest request are simulated, not measured."},
        **REQUEST_FIGURES,
        "previous": object_schema(REQUEST_FIGURES),
    },
    {"aliases": {**list_of(STRING), "description": "The names as sent, of a model that has aliases."}},
)
ERROR_GROUP = object_schema(
    {
        "id": INTEGER,
        "error_type": STRING,
        "message": STRING,
        "count": INTEGER,
        "first_seen": TIME,
        "last_seen": TIME,
        "models": list_of(STRING),
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
            "description": "The error of this request; null if it has none.",
            "additionalProperties": True,
        },
    },
}
ERROR_ROW = row_of(ERRORS)
ANNOTATION = object_schema(
    {
        "id": INTEGER,
        "at": TIME,
        "kind": {"type": "string", "enum": ["deploy", "config", "note"]},
        "text": STRING,
        "model_name": {"type": "string", "description": "Empty: of all models."},
        "host": {"type": "string", "description": "Empty: of all hosts."},
    }
)
TICK = object_schema(
    {"type": STRING, "seq": INTEGER, "at": TIME, "overall": {"type": "object"}, "models": {"type": "object"}}, more=True
)
DEMO = object_schema(
    {
        "present": BOOLEAN,
        "running": BOOLEAN,
        "removing": BOOLEAN,
        "stopped": BOOLEAN,
        "progress_percent": {"type": "integer", "nullable": True},
        "incident": NULLABLE_STRING,
    },
    {"removed": {"type": "object", "additionalProperties": INTEGER, "description": "Number of deleted rows by table."}},
)
NULLABLE_INTEGER: dict[str, Any] = {"type": "integer", "nullable": True}
NULLABLE_TIME: dict[str, Any] = {**TIME, "nullable": True}
TABLE_STORAGE = object_schema(
    {
        "name": STRING,
        "title": STRING,
        "rows": NULLABLE_INTEGER,
        "bytes": {**NULLABLE_INTEGER, "description": "With indexes."},
        "bytes_per_row": FIGURE,
        "oldest": {**NULLABLE_TIME, "description": "The time of the oldest row."},
        "kept_seconds": {**NULLABLE_INTEGER, "description": "Null if rows are not deleted by age."},
        "growth_bytes_per_day": NULLABLE_INTEGER,
        "measured_at": NULLABLE_TIME,
    }
)
STORAGE = object_schema(
    {
        "at": TIME,
        "inference_metrics_count": INTEGER,
        "system_metrics_count": INTEGER,
        "error_metrics_count": INTEGER,
        "alert_history_count": INTEGER,
        "database_size_mb": {"type": "number", "description": "On the disk, in 2^20 bytes."},
        "redis_memory_usage": {
            "type": "number",
            "nullable": True,
            "description": "`used_memory` of Redis, in 2^20 bytes. Null without Redis.",
        },
        "measured_at": {
            **NULLABLE_TIME,
            "description": "When the tables were measured. Upkeep does it about once an hour.",
        },
        "tables": list_of(TABLE_STORAGE),
        "used_bytes": {"type": "integer", "description": "Without free pages."},
        "free_page_bytes": {**NULLABLE_INTEGER, "description": "Pages of SQLite's file that new rows use."},
        "free_pages": NULLABLE_INTEGER,
        "write_ahead_log_bytes": NULLABLE_INTEGER,
        "disk_free_bytes": {**NULLABLE_INTEGER, "description": "Of the disk with SQLite's file."},
        "max_bytes": {"type": "integer", "description": "`LLMMONITOR_MAX_DISK`."},
        "room_bytes": {"type": "integer", "description": "How much `used_bytes` can grow."},
        "growth_bytes_per_day": {**NULLABLE_INTEGER, "description": "Over the last week."},
        "days_until_full": {
            "type": "number",
            "nullable": True,
            "description": "Null if the store does not grow, or if retention keeps it below the limit.",
        },
        "history": {
            "type": "array",
            "description": "[epoch milliseconds, used bytes].",
            "items": {"type": "array", "minItems": 2, "maxItems": 2, "items": INTEGER},
        },
    }
)
HEALTH = object_schema({"status": {"type": "string", "enum": ["ok"]}, "version": STRING})
PART = object_schema(
    {"status": {"type": "string", "enum": ["ok", "warning", "failing"]}, "ms": NUMBER}, {"detail": STRING}
)
READY = object_schema(
    {"status": {"type": "string", "enum": ["ok", "failing"]}},
    {
        "checked_at": TIME,
        "parts": {
            "type": "object",
            "additionalProperties": PART,
            "description": "Only for clients that may read.",
        },
    },
)
