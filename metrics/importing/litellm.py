"""Logs of requests that LiteLLM and its proxy write as JSON (`StandardLoggingPayload`): to S3, GCS or Azure, or with
the callback `generic_api` to an HTTP endpoint.

A request has the id, time, model and provider that the integration of the SDK gives it
(`llmmonitor.integrations.litellm`), so a request that both have is stored once. Of the prompts and responses in these
logs, the finish reason alone is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from llmmonitor.client.events import at
from llmmonitor.integrations.litellm import OPERATIONS, SECOND_NS, provider_of
from metrics.events import Kind
from metrics.importing.files import FileProblem
from metrics.importing.source import Mapped, RowValues, Source

# Column → field. LiteLLM writes 0 for a number of tokens that it does not know.
FIELDS = {
    "trace_id": "trace_id",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "total_tokens": "total_tokens",
    "end_user": "user",
}
# Column, or key of the column `metadata` → key in the metadata.
METADATA = {"session_id": "session_id", "request_tags": "request_tags", "cache_hit": "cache_hit"}
METADATA_OF_KEY = {
    "user_api_key_alias": "key_alias",
    "user_api_key_team_alias": "team_alias",
    "user_api_key_org_alias": "organization_alias",
    "user_api_key_project_alias": "project_alias",
}
# Columns that are read in another way.
READ = frozenset(
    [
        "id", "litellm_call_id", "call_type", "startTime", "endTime", "completionStartTime", "stream", "status",
        "model", "model_group", "custom_llm_provider", "api_base", "response_cost", "model_parameters", "metadata",
        "error_str", "error_information",
    ]
)  # fmt: skip
OMITTED = dict.fromkeys(
    [
        "status_fields", "response_time", "saved_cache_cost", "cost_breakdown", "autorouter_savings",
        "autorouter_savings_estimate", "autorouter_baseline_observation", "response_cost_failure_debug_info",
        "zero_cost_diagnostic", "model_map_information", "model_id", "cache_key", "request_model_access_groups",
        "requester_ip_address", "user_agent", "hidden_params", "guardrail_information",
        "standard_built_in_tools_params",
    ],
    "no field has them",
)  # fmt: skip
CONTENT = frozenset(["messages", "response"])
MAX_SECONDS = 1e11  # unix seconds; the year 5138

SIGNATURE = {"call_type", "startTime", "endTime", "custom_llm_provider", "response_cost"}
SPEND_LOGS = {"call_type", "startTime", "endTime", "spend"}


def recognize(columns: frozenset[str]) -> bool:
    """Return whether these are the columns of logs. Raises FileProblem if they are those of the table of spend logs."""
    if columns >= SPEND_LOGS and "response_cost" not in columns:
        raise FileProblem(
            "has rows of LiteLLM's table of spend logs, which are not read. Import the logs that LiteLLM writes to "
            "S3, GCS, Azure or an HTTP endpoint (generic_api)."
        )
    return columns >= SIGNATURE


def source() -> Source:
    """Return the source of logs."""
    return Source("logs of LiteLLM", Kind.INFERENCE, map_log, OMITTED)


def map_log(row: RowValues, is_text: bool) -> Mapped:
    """Return the request of a log. Raises FileProblem for CSV."""
    if is_text:
        raise FileProblem("is CSV, but the logs of LiteLLM are JSON.")
    name = _text(row, "custom_llm_provider")
    call_type = _text(row, "call_type")
    parameters, key = _object(row, "model_parameters"), _object(row, "metadata")
    start, end, first = (_number(row, column) for column in ("startTime", "endTime", "completionStartTime"))
    has_failed = row.get("status") == "failure"
    item: dict[str, Any] = {field: row.get(column) or None for column, field in FIELDS.items()}
    item |= {
        "request_id": row.get("litellm_call_id") or row.get("id"),
        "timestamp": at(int(end * SECOND_NS)) if end and 0 < end < MAX_SECONDS else row.get("endTime"),
        "model_name": _text(row, "model").removeprefix(f"{name}/") or "unknown",
        "provider": _provider(name, row.get("api_base")),
        "operation": OPERATIONS.get(call_type) or OPERATIONS.get(call_type.removeprefix("a")) or call_type[:64] or None,
        "stream": row.get("stream") or None,
        "success": not has_failed,
        "temperature": parameters.get("temperature"),
        "max_tokens": parameters.get("max_completion_tokens") or parameters.get("max_tokens"),
    }
    if start and end:
        item["response_time_ms"] = (end - start) * 1e3
        if item["stream"] and first and start < first < end:
            item["ttft_ms"] = (first - start) * 1e3
    item |= _error(row) if has_failed else _result(row, key)
    item["metadata"] = _metadata(row, key, item["model_name"])
    names = [column for column, value in row.items() if value not in (None, "", [], {})]
    unknown = (
        column
        for column in names
        if not (column in READ or column in FIELDS or column in METADATA or column in OMITTED or column in CONTENT)
    )
    content = tuple(column for column in names if column in CONTENT)
    item = {field: value for field, value in item.items() if value not in (None, "", {})}
    return Mapped(item, content=content, unknown=tuple(unknown))


def _provider(name: str, address: Any) -> str:
    with suppress(ValueError):  # the address is none
        return provider_of(name, address)
    return name


def _result(row: RowValues, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of a request that succeeded. A cost of 0 is unknown, unless the answer is from the cache."""
    usage = _object(metadata, "usage_object")
    choices = _object(row, "response").get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return {
        "finish_reason": choice.get("finish_reason") if isinstance(choice, Mapping) else None,
        "cached_tokens": _object(usage, "prompt_tokens_details").get("cached_tokens"),
        "reasoning_tokens": _object(usage, "completion_tokens_details").get("reasoning_tokens"),
        "cost_usd": 0.0 if row.get("cache_hit") else row.get("response_cost") or None,
    }


def _error(row: RowValues) -> dict[str, Any]:
    """Return the error."""
    information = _object(row, "error_information")
    status = str(information.get("error_code"))
    return {
        "error_type": information.get("error_class"),
        "error_message": row.get("error_str") or information.get("error_message"),
        "stack_trace": information.get("traceback"),
        "status_code": int(status) if status.isdecimal() and len(status) == 3 else None,
    }


def _metadata(row: RowValues, key: Mapping[str, Any], model: str) -> dict[str, Any]:
    metadata = {name: row.get(column) for column, name in METADATA.items()}
    metadata |= {name: key.get(column) for column, name in METADATA_OF_KEY.items()}
    if row.get("model_group") != model:
        metadata["model_group"] = row.get("model_group")
    return {name: value for name, value in metadata.items() if value not in (None, "", [], False)}


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _number(values: Mapping[str, Any], name: str) -> float | None:
    value = values.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _object(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}
