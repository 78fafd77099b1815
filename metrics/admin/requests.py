"""The admin pages of requests and errors."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from metrics.admin.base import DemoFilter, LargeTableAdmin, ModelFilter
from metrics.aggregation import OUTCOME_COLUMNS
from metrics.models import ErrorGroup, ErrorGroupRollup, ErrorMetrics, InferenceMetrics
from metrics.models.rollups import start_of


class OutcomeFilter(admin.SimpleListFilter):
    """Filters by outcome."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return all outcomes. A SELECT DISTINCT would read the whole table."""
        return [(name, name.replace("_", " ")) for name in OUTCOME_COLUMNS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the requests with the selected outcome."""
        return queryset.filter(outcome=self.value()) if self.value() else queryset


@admin.register(InferenceMetrics)
class InferenceMetricsAdmin(LargeTableAdmin):
    """Requests, latest first."""

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
    search_help_text = "Enter a complete request id or trace id."
    fieldsets = (
        (
            "Request",
            {
                "fields": (
                    "timestamp",
                    "request_id",
                    "series",
                    "labels",
                    "operation",
                    "stream",
                    "host",
                    "user",
                    "metadata",
                )
            },
        ),
        ("Outcome", {"fields": ("success", "outcome", "status_code", "error_type", "error_message")}),
        (
            "Times",
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

    def get_named_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the groups of fields, and the other fields of the model in one more group."""
        grouped = [name for _, options in self.fieldsets for name in options["fields"]]
        others = [name for name in super().get_fields(request, obj) if name not in grouped]
        return (*self.fieldsets, ("Other", {"fields": others})) if others else self.fieldsets

    @admin.display(description="model", ordering="series")
    def model_name(self, row: InferenceMetrics) -> str:
        """Return its model. If its series is `__other__`, the model is in the row."""
        return str((row.labels or {}).get("model_name") or row.series.model_name)

    @admin.display(empty_value="–")
    def provider(self, row: InferenceMetrics) -> str:
        """Return its provider."""
        return str((row.labels or {}).get("provider") or row.series.provider)


@admin.register(ErrorMetrics)
class ErrorMetricsAdmin(LargeTableAdmin):
    """Errors, latest first."""

    list_display = ("timestamp", "error_type", "short_message", "model_name", "severity", "request_id", "counts")
    list_filter = ("timestamp", ModelFilter, "severity", DemoFilter)
    list_select_related = ("series",)
    ordering = ("-timestamp",)
    search_fields = ("request_id__exact", "error_type", "error_message")
    search_help_text = "Enter a complete request id, or a part of the type or the message."
    fieldsets = (
        ("Error", {"fields": ("timestamp", "error_type", "error_message", "severity", "group")}),
        ("Request", {"fields": ("request_id", "series", "labels", "sent_with_request", "counted_outcome", "metadata")}),
        ("Stack trace", {"fields": ("stack_trace",)}),
    )

    @admin.display(description="model", ordering="series")
    def model_name(self, row: ErrorMetrics) -> str:
        """Return its model. If its series is `__other__`, the model is in the row."""
        return str((row.labels or {}).get("model_name") or row.series.model_name)

    @admin.display(description="message", empty_value="–")
    def short_message(self, row: ErrorMetrics) -> str:
        """Return the beginning of the message."""
        text = row.error_message or ""
        return text if len(text) <= 80 else f"{text[:79]}…"

    @admin.display(boolean=True, description="counts as a failed request")
    def counts(self, row: ErrorMetrics) -> bool:
        """Return whether the error counts as a failed request."""
        return row.counted_outcome is not None


@admin.register(ErrorGroup)
class ErrorGroupAdmin(LargeTableAdmin):
    """Groups of errors with the same type, message and frames."""

    list_display = ("last_seen", "error_type", "message", "first_seen")
    list_filter = ("last_seen", "error_type")
    ordering = ("-last_seen",)
    search_fields = ("error_type", "message", "fingerprint__exact")


@admin.register(ErrorGroupRollup)
class ErrorGroupRollupAdmin(LargeTableAdmin):
    """Errors by group, series and hour."""

    list_display = ("hour", "group", "series", "count")
    list_filter = (ModelFilter, DemoFilter)
    list_select_related = ("group", "series")
    ordering = ("-bucket",)
    search_fields = ("group__error_type", "series__model_name")
    fields = ("hour", "group", "series", "count")

    @admin.display(ordering="bucket")
    def hour(self, row: ErrorGroupRollup) -> str:
        """Return the start of the hour."""
        return start_of(row.bucket)
