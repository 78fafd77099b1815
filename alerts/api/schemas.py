"""The schemas of responses and bodies."""

from __future__ import annotations

from typing import Any

from alerts.acknowledging import Acknowledgement
from alerts.channels.spec import ChannelSpec
from alerts.models import Delivery
from alerts.rules.spec import RuleSpec
from alerts.silencing.spec import NewSilence
from metrics.api.openapi.request_schemas import schema_of
from metrics.api.openapi.response_schemas import (
    BOOLEAN,
    LABELS,
    NULLABLE_STRING,
    PROBLEM,
    STRING,
    TIME,
    list_of,
    object_schema,
)
from metrics.queries import RANGES

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
OMITTED: dict[str, Any] = {**INTEGER, "description": "Number of further alerts. Filters choose among all alerts."}
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
RULE: dict[str, Any] = object_schema(
    {name: {} for name in RuleSpec.model_fields}
    | {
        "unit": {**STRING, "description": "Of the value and the threshold."},
        "not_judged": NULLABLE_STRING,
        "value": NUMBER,
        "group": LABELS,
        "count": INTEGER,
        "share_of_threshold": NUMBER,
        "groups": INTEGER,
    }
)
READ_ONLY = RULE["properties"].keys() - RuleSpec.model_fields.keys()  # ignored in a body
RULE_FIELDS: dict[str, Any] = {
    **{name: part for name, part in schema_of(RuleSpec).items() if name != "required"},
    "description": "Fields of a rule. Fields that are not given keep their values; of a new rule, they get defaults.",
    "additionalProperties": True,
}
NEW_RULE: dict[str, Any] = {**RULE_FIELDS, "required": ["id"]}
RULE_EXAMPLE = {
    "id": "token_throughput_low",
    "name": "Low Token Throughput",
    "metric_type": "inference",
    "metric_name": "tokens_per_second",
    "threshold": 10,
    "comparison": "lt",
    "severity": "warning",
}
BAD_RULE: dict[str, Any] = {
    **PROBLEM,
    "properties": {
        **PROBLEM["properties"],
        "errors": {
            "type": "array",
            "description": "With the code `bad_rule` or `bad_channel`: every invalid field. `detail` continues a "
            "sentence that starts with the field.",
            "items": object_schema({"field": STRING, "detail": STRING}),
        },
    },
}
_FIRING = object_schema(
    {
        "labels": LABELS,
        "from": TIME,
        "to": TIME,
        "seconds": INTEGER,
        "is_open": {**BOOLEAN, "description": "Whether it had not ended by the end of the window."},
        "peak": NUMBER,
        "precision_seconds": {**INTEGER, "description": "5: exact. 60: ± 1 minute. 3600: known by the hour."},
        "certainty": {"type": "string", "enum": ["certain", "possible"]},
    }
)
BACKTEST_RULE: dict[str, Any] = {
    **{name: part for name, part in RULE_FIELDS.items() if name != "description"},
    "description": "Fields of a rule, and a window. The `id` of a stored rule stands for fields that are not given.",
    "properties": {
        **RULE_FIELDS["properties"],
        "range": {"type": "string", "enum": list(RANGES), "default": "7d"},
        "from": {**STRING, "description": "Start of the window, instead of `range`: ISO 8601 or Unix time."},
        "to": {**STRING, "description": "End of the window. Default: now."},
    },
}
BACKTEST: dict[str, Any] = object_schema(
    {
        "from": TIME,
        "to": TIME,
        "sentence": STRING,
        "firings": list_of(_FIRING),
        "omitted": {**INTEGER, "description": "Number of further firings, which are older."},
        "groups": list_of(
            object_schema(
                {
                    "labels": LABELS,
                    "firings": INTEGER,
                    "seconds": INTEGER,
                    "possible_firings": INTEGER,
                    "possible_seconds": INTEGER,
                }
            )
        ),
        "precision": list_of(object_schema({"from": TIME, "to": TIME, "precision_seconds": INTEGER})),
        "notes": list_of(STRING),
        "chart": {
            **object_schema({"labels": LABELS, "step_seconds": INTEGER, "points": list_of({})}),
            "nullable": True,
            "description": "The worst value of each step, of the group that fired longest: `[milliseconds, value]`.",
        },
    }
)
NOTE: dict[str, Any] = schema_of(Acknowledgement)
NEW_SILENCE: dict[str, Any] = schema_of(NewSilence)
SILENCE: dict[str, Any] = object_schema(
    {
        "id": INTEGER,
        **NEW_SILENCE["properties"],
        "by": STRING,
        "created_at": TIME,
        "recurrence": {**NULLABLE_STRING, "description": "When it recurs, in words."},
        "state": {"type": "string", "enum": ["in_force", "waiting", "ended"]},
        "in_force_until": NULLABLE_TIME,
        "next_at": {**NULLABLE_TIME, "description": "When a waiting one is in force next."},
        "alerts": {**INTEGER, "description": "Number of active alerts that are silenced by it."},
    }
)
SPLIT: dict[str, Any] = {
    **object_schema(
        {
            "response_time_ms": NUMBER,
            "queue_ms": NUMBER,
            "prompt_ms": NUMBER,
            "decode_ms": NUMBER,
            "processing_ms": {**NUMBER, "description": "Instead of prompt and decode, if no request was streamed."},
        }
    ),
    "nullable": True,
    "description": "Means of the requests of a window, which add up to the response time.",
}
CONTEXT: dict[str, Any] = object_schema(
    {
        "count": {**INTEGER, "nullable": True, "description": "Requests in the rule's window."},
        "min_count": {**INTEGER, "nullable": True, "description": "Requests that the rule needs."},
        "window_seconds": INTEGER,
        "for_seconds": {**INTEGER, "nullable": True},
        "clear_threshold": NUMBER,
        "description": STRING,
        "runbook_url": STRING,
        "split": {
            **object_schema({"now": SPLIT, "before": SPLIT}),
            "nullable": True,
            "description": "Of times of requests: over the rule's window up to now (of an alert that has ended, up to "
            "when it fired), and up to an hour before the condition began to hold.",
        },
        "pending": {**INTEGER, "nullable": True, "description": "Current queue length of the alert's model."},
        "chart_url": {
            **STRING,
            "description": "Path of the page with the chart of the alert's time; empty for a metric of the monitor.",
        },
        "firing": list_of(object_schema({"id": INTEGER, "name": STRING, "severity": STRING, "labels": LABELS})),
    }
)
ALERT_WITH_CONTEXT: dict[str, Any] = object_schema({**ALERT["properties"], "context": CONTEXT})
CHANNEL_FIELDS: dict[str, Any] = {
    **{name: part for name, part in schema_of(ChannelSpec).items() if name != "required"},
    "description": "Fields of a channel. Fields and settings that are not given keep their values; of a new channel, "
    "they get defaults.",
    "additionalProperties": True,
}
NEW_CHANNEL: dict[str, Any] = {**CHANNEL_FIELDS, "required": ["id", "name", "kind"]}
CHANNEL: dict[str, Any] = object_schema(
    {
        **CHANNEL_FIELDS["properties"],
        "settings": {
            "type": "object",
            "additionalProperties": True,
            "description": 'A secret setting is `{"is_set": true}`, or false. Sent like this, it stays as it is.',
        },
        "title": {**STRING, "description": "Of the kind."},
        "shown": {**STRING, "description": "What a person recognizes the channel by, such as a host."},
        "problem": {**NULLABLE_STRING, "description": "Why nothing can be sent by it; null if it can."},
        "waiting": {**INTEGER, "description": "Number of messages that are still to be sent."},
        "dead": {**INTEGER, "description": "Number of messages that were given up."},
        "last_sent_at": NULLABLE_TIME,
        "created_at": TIME,
    }
)
CHANNEL_READ_ONLY = CHANNEL["properties"].keys() - ChannelSpec.model_fields.keys()  # ignored in a body
CHANNEL_EXAMPLE = {"id": "server-log", "name": "Log of the server", "kind": "log", "is_default": True}
TEST_RESULT: dict[str, Any] = object_schema(
    {"accepted": BOOLEAN, "reason": {**NULLABLE_STRING, "description": "Why it was not accepted."}}
)
DELIVERY: dict[str, Any] = object_schema(
    {
        "id": {**STRING, "format": "uuid", "description": "Of the message. It stays the same at each attempt."},
        "kind": STRING,
        "channel": STRING,
        "rule": NULLABLE_STRING,
        "state": {"type": "string", "enum": Delivery.State.values},
        "attempts": INTEGER,
        "next_attempt_at": {**NULLABLE_TIME, "description": "Of a waiting message."},
        "last_error": NULLABLE_STRING,
        "created_at": TIME,
        "ended_at": {**NULLABLE_TIME, "description": "When it was sent, given up, or merged with others."},
        "changes": list_of({**INTEGER, "description": "Id of a change of `/alerts/history`."}),
    }
)
HEALTH: dict[str, Any] = object_schema(
    {
        "problems": {**INTEGER, "description": "The number of problems; 0 while all is well."},
        "evaluated_at": NULLABLE_TIME,
        "duration_ms": {**NUMBER, "description": "Of the newest evaluation."},
        "lag_seconds": {**NUMBER, "description": "Since the newest evaluation."},
        "is_late": BOOLEAN,
        "rules": {**INTEGER, "description": "The number of enabled rules."},
        "rules_in_error": list_of(object_schema({"rule": STRING, "reason": STRING})),
        "messages_waiting": INTEGER,
        "messages_dead": {**INTEGER, "description": "Messages that were given up in the last day."},
        "failing_channels": list_of(
            object_schema(
                {"channel": STRING, "name": STRING, "waiting": INTEGER, "waiting_seconds": INTEGER, "reason": STRING}
            )
        ),
    }
)
