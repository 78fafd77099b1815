"""The admin pages of rollups."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from metrics import catalogue
from metrics.admin.base import DemoFilter, InternalAdmin, LargeTableAdmin, ModelFilter
from metrics.admin.columns import shown
from metrics.aggregation import FINISH_COLUMNS, HISTOGRAM_COLUMNS, OUTCOME_COLUMNS, SUM_COLUMNS
from metrics.histogram import Histogram
from metrics.models import GaugeRollup, InferenceRollup, RequestTotal, TotalsBoundary
from metrics.models.rollups import LENGTHS, start_of


class BucketFilter(admin.SimpleListFilter):
    """Filters buckets of the last hour, day, week or month."""

    title = "time"
    parameter_name = "within"
    SECONDS = {"hour": 3_600, "day": 86_400, "week": 604_800, "month": 30 * 86_400}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the ranges."""
        return [(name, f"last {name}") for name in self.SECONDS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the buckets that start within the selected range."""
        seconds = self.SECONDS.get(self.value() or "")
        return queryset.filter(bucket__gte=int(timezone.now().timestamp()) - seconds) if seconds else queryset


class ResolutionFilter(admin.SimpleListFilter):
    """Filters by resolution."""

    title = "resolution"
    parameter_name = "resolution"
    names = {1: "seconds", 60: "minutes", 3600: "hours"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the resolutions."""
        return [(str(seconds), name) for seconds, name in self.names.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the buckets of the selected resolution."""
        value = self.value()
        known = value is not None and value.isdecimal() and int(value) in self.names
        return queryset.filter(resolution=int(value or 0)) if known else queryset


class MetricFilter(admin.SimpleListFilter):
    """Filters by gauge."""

    title = "metric"
    parameter_name = "metric"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the gauges of the catalogue. A SELECT DISTINCT would read the whole table."""
        types = ("system", "gpu", "queue", "engine", "monitor")
        return [
            (metric.name, f"{metric.type}: {metric.title} ({metric.unit})")
            for metric in catalogue.ALL
            if metric.type in types
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows of the selected gauge."""
        return queryset.filter(metric=self.value()) if self.value() else queryset


class RollupAdmin(LargeTableAdmin):
    """Buckets, with their times in words."""

    @admin.display(ordering="bucket", description="Start (UTC)")
    def start(self, row: Any) -> str:
        """Return the start of the bucket."""
        return start_of(row.bucket)

    @admin.display(ordering="resolution", description="Length")
    def length(self, row: Any) -> str:
        """Return the length of the bucket."""
        return LENGTHS[row.resolution]


class RequestSumsAdmin(LargeTableAdmin):
    """Sums of requests."""

    SUMS: Any = (
        ("Requests by outcome", {"fields": OUTCOME_COLUMNS}),
        ("Requests by finish reason", {"fields": FINISH_COLUMNS}),
        ("Sums", {"fields": SUM_COLUMNS}),
        ("Histograms", {"fields": ("histograms",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Read one of the histograms, that of the list."""
        queryset: QuerySet[Any] = super().get_queryset(request)
        return queryset.defer(*(name for name in HISTOGRAM_COLUMNS if name != "response_time_ms"))

    @admin.display
    def requests(self, row: Any) -> int:
        """Return the number of requests."""
        return sum(getattr(row, name) for name in OUTCOME_COLUMNS)

    @admin.display
    def failed(self, row: Any) -> int:
        """Return the number of failed requests."""
        return self.requests(row) - int(row.ok)

    @admin.display(description="response time p50, p95 (ms)", empty_value="–")
    def response_time(self, row: Any) -> str:
        """Return the percentiles p50 and p95."""
        p50, p95 = Histogram.unpack(row.response_time_ms).quantiles((0.5, 0.95))
        return "" if p50 is None else f"{p50:.4g}, {p95:.4g}"

    @admin.display(empty_value="–")
    def histograms(self, row: Any) -> SafeString:
        """Return a line for each histogram with values."""
        return format_html_join("", "<div>{}: {}</div>", ((name, _line(getattr(row, name))) for name in _filled(row)))


@admin.register(InferenceRollup)
class InferenceRollupAdmin(RequestSumsAdmin, RollupAdmin):
    """Rollups of requests."""

    list_display = ("start", "length", "series", "requests", "failed", "completion_tokens", "response_time")
    list_filter = (BucketFilter, ResolutionFilter, ModelFilter, DemoFilter)
    list_select_related = ("series",)
    ordering = ("-resolution", "-bucket", "-series_id")  # the reverse order of an index
    search_fields = ("series__model_name", "series__provider", "series__service")
    fieldsets = (
        ("Bucket", {"fields": ("start", "length", "series")}),
        *RequestSumsAdmin.SUMS,
    )


@admin.register(RequestTotal)
class RequestTotalAdmin(RequestSumsAdmin):
    """The totals of requests before the boundary."""

    list_display = ("model_name", "provider", "service", "requests", "failed", "completion_tokens", "response_time")
    ordering = ("pk",)
    search_fields = ("model_name", "provider", "service")
    fieldsets = (
        ("Labels", {"fields": ("model_name", "provider", "service", "is_demo")}),
        *RequestSumsAdmin.SUMS,
    )


@admin.register(TotalsBoundary)
class TotalsBoundaryAdmin(InternalAdmin):
    """The oldest hour that is not in the totals of requests."""

    list_display = ("__str__",)
    ordering = ("pk",)
    search_fields = ("bucket__exact",)


def _filled(row: Any) -> list[str]:
    return [name for name in HISTOGRAM_COLUMNS if len(getattr(row, name))]


def _line(packed: bytes) -> str:
    histogram = Histogram.unpack(packed)
    p50, p95, p99 = histogram.quantiles((0.5, 0.95, 0.99))
    return f"{histogram.count:,} values, mean {histogram.mean:.5g}, p50 {p50:.5g}, p95 {p95:.5g}, p99 {p99:.5g}"


OF_LEVELS = ("minutes", "growth", "covered_seconds")


@admin.register(GaugeRollup)
class GaugeRollupAdmin(RollupAdmin):
    """Rollups of gauges."""

    list_display = ("start", "length", "metric_title", "labels", "count", "average", "min", "max", "last")
    list_filter = (BucketFilter, ResolutionFilter, MetricFilter, DemoFilter)
    list_select_related = ("labels",)
    ordering = ("-resolution", "-metric", "-bucket", "-labels_id")  # the reverse order of an index
    search_fields = ("metric", "labels__host", "labels__model_name", "labels__source")
    fields = (
        "start",
        "length",
        "metric_title",
        "labels",
        "count",
        "average",
        "sum",
        "min",
        "max",
        "last",
        "last_at",
        *OF_LEVELS,
    )

    @admin.display(ordering="metric", description="Metric")
    def metric_title(self, row: GaugeRollup) -> str:
        """Return the title and the unit of the metric; a metric of an older version has its name only."""
        metric = catalogue.BY_NAME.get(row.metric)
        return f"{metric.type}: {metric.title} ({metric.unit})" if metric else row.metric

    @admin.display
    def average(self, row: GaugeRollup) -> str:
        """Return the mean of the samples."""
        return str(shown(row.sum / row.count)) if row.count else ""
