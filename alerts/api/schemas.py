"""The schemas of responses and bodies."""

from __future__ import annotations

from typing import Any

from alerts.rules.spec import AlertRule
from metrics.api.openapi.response_schemas import BOOLEAN, LABELS, NULLABLE_STRING, STRING, TIME, object_schema

NUMBER: dict[str, Any] = {"type": "number", "nullable": True}
NULLABLE_TIME: dict[str, Any] = {**TIME, "nullable": True}
INTEGER: dict[str, Any] = {"type": "integer"}
ALERT: dict[str, Any] = object_schema(
    {
        "id": INTEGER,
        "rule": STRING,
        "name": STRING,
        "state": STRING,
        "severity": STRING,
        "metric_name": STRING,
        "stat": STRING,
        "value": NUMBER,
        "peak": NUMBER,
        "threshold": NUMBER,
        "unit": STRING,
        "labels": LABELS,
        "since": TIME,
        "started_at": NULLABLE_TIME,
        "ended_at": NULLABLE_TIME,
        "updated_at": TIME,
        "acknowledged_at": NULLABLE_TIME,
        "acknowledged_by": NULLABLE_STRING,
        "note": NULLABLE_STRING,
        "silence": {**INTEGER, "nullable": True, "description": "Id of the silence that is in force for the alert."},
        "silenced_until": NULLABLE_TIME,
        "is_demo": BOOLEAN,
    }
)
CHANGE: dict[str, Any] = object_schema(
    {
        "id": INTEGER,
        "at": TIME,
        "to": STRING,
        "value": NUMBER,
        "by": NULLABLE_STRING,
        "note": NULLABLE_STRING,
        "alert": INTEGER,
        "rule": STRING,
        "name": STRING,
        "severity": STRING,
        "metric_name": STRING,
        "threshold": NUMBER,
        "labels": LABELS,
    }
)
RULE: dict[str, Any] = object_schema({name: {} for name in AlertRule.model_fields} | {"not_judged": NULLABLE_STRING})
NOTE: dict[str, Any] = object_schema(
    {}, {"note": {"type": "string", "maxLength": 500}, "by": {"type": "string", "maxLength": 150}}
)
