"""Requests and errors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from metrics.admin.pages import DemoFilter, ModelFilter, ReadOnlyPage
from metrics.admin.rollups import start_of
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, InferenceMetrics


class OutcomeFilter(admin.SimpleListFilter):
    """Requests that ended in one way."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The ways, as they are: distinct values of the column would read the whole table."""
        return [(name, name.replace("_", " ")) for name in OUTCOME_COLUMNS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Those of the chosen one."""
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(InferenceMetrics)
class InferenceMetricsAdmin(ReadOnlyPage):
    """Single requests, the latest first."""

    list_display = (
        "timestamp",
        "request_id",
        "model_name",
        "provider",
        "outcome",
        "response_time_ms",
        "ttft_ms",
        "prompt_tokens",
        "completion_tokens",
        "cost_usd",
    )
    list_filter = ("timestamp", ModelFilter, OutcomeFilter, DemoFilter)
    list_select_related = ("series",)
    ordering = ("-timestamp",)
    search_fields = ("request_id__exact", "trace_id__exact")
    search_help_text = "A whole request or trace id."
    fieldsets = (
        ("What", {"fields": ("timestamp", "request_id", "series", "labels", "operation", "stream", "metadata")}),
        ("How it went", {"fields": ("success", "outcome", "status_code", "error_type", "error_message")}),
        (
            "How long it took",
            {
                "fields": (
                    "response_time_ms",
                    "queue_time_ms",
                    "processing_time_ms",
                    "ttft_ms",
                    "time_per_output_token_ms",
                    "tokens_per_second",
                )
            },
        ),
        (
            "Tokens and cost",
            {
                "fields": (
                    "prompt_tokens",
                    "completion_tokens",
                    "total_tokens",
                    "cached_tokens",
                    "reasoning_tokens",
                    "max_tokens",
                    "temperature",
                    "finish_reason",
                    "cost_usd",
                )
            },
        ),
        ("Trace", {"fields": ("trace_id", "span_id")}),
    )

    @admin.display(description="model", ordering="series")
    def model_name(self, row: InferenceMetrics) -> str:
        """Its model; beyond the cap on series, the one it names itself."""
        return str((row.labels or {}).get("model_name") or row.series.model_name)

    @admin.display(empty_value="–")
    def provider(self, row: InferenceMetrics) -> str:
        """Its provider."""
        return str((row.labels or {}).get("provider") or row.series.provider)


@admin.register(ErrorMetrics)
class ErrorMetricsAdmin(ReadOnlyPage):
    """Single errors, the latest first."""

    list_display = ("timestamp", "error_type", "short_message", "model_name", "severity", "request_id", "counts")
    list_filter = ("timestamp", ModelFilter, "severity", DemoFilter)
    list_select_related = ("series",)
    ordering = ("-timestamp",)
    search_fields = ("request_id__exact", "error_type", "error_message")
    search_help_text = "A whole request id, or part of the type or the message."
    fieldsets = (
        ("What", {"fields": ("timestamp", "error_type", "error_message", "severity", "group")}),
        ("Whose", {"fields": ("request_id", "series", "labels", "counted_outcome", "metadata")}),
        ("Where in the code", {"fields": ("stack_trace",)}),
    )

    @admin.display(description="model", ordering="series")
    def model_name(self, row: ErrorMetrics) -> str:
        """Its model; beyond the cap on series, the one it names itself."""
        return str((row.labels or {}).get("model_name") or row.series.model_name)

    @admin.display(description="message", empty_value="–")
    def short_message(self, row: ErrorMetrics) -> str:
        """The beginning of the message."""
        text = row.error_message or ""
        return text if len(text) <= 80 else f"{text[:79]}…"

    @admin.display(boolean=True, description="a failed request by itself")
    def counts(self, row: ErrorMetrics) -> bool:
        """Whether it is counted as a failed request of its own."""
        return row.counted_outcome is not None


@admin.register(ErrorGroup)
class ErrorGroupAdmin(ReadOnlyPage):
    """Errors that are the same."""

    list_display = ("last_seen", "error_type", "message", "first_seen")
    list_filter = ("last_seen", "error_type")
    ordering = ("-last_seen",)
    search_fields = ("error_type", "message", "fingerprint__exact")


@admin.register(ErrorGroupRollup)
class ErrorGroupRollupAdmin(ReadOnlyPage):
    """How many errors of a group a series had in an hour."""

    list_display = ("hour", "group", "series", "count")
    list_filter = (ModelFilter, DemoFilter)
    list_select_related = ("group", "series")
    ordering = ("-bucket",)
    search_fields = ("group__error_type", "series__model_name")
    fields = ("hour", "group", "series", "count")

    @admin.display(ordering="bucket")
    def hour(self, row: ErrorGroupRollup) -> str:
        """Its start."""
        return start_of(row.bucket)
