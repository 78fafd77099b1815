"""Rules that make no sense: what is changed in a valid rule, the field of the error, and how its text begins."""

from __future__ import annotations

from typing import Any

VALID: dict[str, Any] = {
    "id": "r", "name": "R", "metric_type": "inference", "metric_name": "response_time_ms", "threshold": 5,
}  # fmt: skip
BAD_RULES: list[tuple[dict[str, Any], str, str]] = [
    ({"id": "A b"}, "id", "must be lower-case letters"),
    ({"name": ""}, "name", "must not be empty."),
    ({"name": " "}, "name", "must not be empty."),
    ({"name": "a\nb"}, "name", "must not contain line breaks, control characters or characters that reverse text."),
    ({"name": "a\u202eb"}, "name", "must not contain line breaks"),
    ({"threshold": "ten", "metric_name": "temperatur"}, "metric_name", "must be a metric of the type inference."),
    ({"id": "A b", "stat": "last", "window_seconds": 1_001}, "stat", "must be a statistic of"),
    ({"metric_name": "temperatur", "window_seconds": 1_001}, "window_seconds", "must be a multiple of 60"),
    ({"comparison": ">", "threshold": None}, "threshold", "is required."),
    ({"metric_type": "cpu"}, "metric_type", "must be one of 'inference'"),
    ({"metric_name": "cpu_percent"}, "metric_name", "must be a metric of the type inference."),
    ({"stat": "last"}, "stat", "must be a statistic of inference.response_time_ms."),
    ({"threshold": None}, "threshold", "is required."),
    ({"threshold": True}, "threshold", "must be a number."),
    ({"threshold": "high"}, "threshold", "must be a number."),
    ({"threshold": "NaN"}, "threshold", "must be a finite number."),
    ({"comparison": ">"}, "comparison", "must be one of 'gt'"),
    ({"clear_threshold": 6}, "clear_threshold", "must be at most the threshold, 5."),
    (
        {"comparison": "ne", "clear_threshold": 5},
        "clear_threshold",
        "must not be given with the comparison ne.",
    ),
    ({"window_seconds": 1}, "window_seconds", "must be at least 5."),
    ({"window_seconds": 1_001}, "window_seconds", "must be a multiple of 60"),
    ({"window_seconds": 90_060}, "window_seconds", "must be a multiple of 3600"),
    ({"for_seconds": True}, "for_seconds", "must be a whole number."),
    ({"for_seconds": -1}, "for_seconds", "must be at least 0."),
    ({"kind": "change"}, "compare_to_seconds", "must be 3600 (an hour before), 86400 (a day) or"),
    ({"compare_to_seconds": 3600}, "compare_to_seconds", "is a field of the kind change only."),
    ({"kind": "no_data"}, "threshold", "must not be given"),
    ({"filters": {"model": []}}, "filters", "model must have a value."),
    ({"filters": {"host": ["h"]}}, "filters", "host is not a label of inference.response_time_ms."),
    ({"filters": {"modell": ["m"]}}, "filters", "modell is not a parameter"),
    ({"group_by": ["gpu"]}, "group_by", "must be labels of inference.response_time_ms."),
    ({"min_count": 0}, "min_count", "must be at least 1."),
    ({"runbook_url": "wiki"}, "runbook_url", "must be an address that begins with http:// or https://."),
    ({"channels": "ops"}, "channels", "must be a list."),
    ({"colour": "red"}, "colour", "is not a field of a rule."),
]
