"""The admin pages of host, GPU, queue and engine samples, and of the tables that reject duplicates and late events."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from metrics.admin.base import MAX_CHOICES, DemoFilter, InternalAdmin, LargeTableAdmin, ModelFilter
from metrics.models import (
    DemoClaim,
    EngineMetrics,
    GaugeLabels,
    GPUMetrics,
    MonitorOutage,
    QueueMetrics,
    RawFloor,
    RecentId,
    RollupFloor,
    SystemMetrics,
    TableSize,
)
from metrics.retention_policy import RetentionPolicy


class HostFilter(admin.SimpleListFilter):
    """Filters by host. The names come from the label sets."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Return the names of hosts."""
        names = GaugeLabels.objects.exclude(host="").order_by("host").values_list("host", flat=True).distinct()
        return [(name, name) for name in names[:MAX_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the samples of the selected host."""
        return queryset.filter(host=self.value()) if self.value() else queryset


@admin.register(SystemMetrics)
class SystemMetricsAdmin(LargeTableAdmin):
    """Samples of hosts."""

    list_display = (
        "timestamp",
        "host",
        "cpu_percent",
        "memory_percent",
        "memory_used_gb",
        "disk_percent",
        "gpu_count",
        "platform",
    )
    list_filter = ("timestamp", HostFilter, DemoFilter)
    list_select_related = ("labels",)
    ordering = ("-timestamp",)
    search_fields = ("host",)


@admin.register(GPUMetrics)
class GPUMetricsAdmin(LargeTableAdmin):
    """Samples of GPUs."""

    list_display = (
        "timestamp",
        "host",
        "gpu_id",
        "name",
        "utilization_percent",
        "memory_percent",
        "temperature",
        "power_draw_watts",
    )
    list_filter = ("timestamp", HostFilter, DemoFilter)
    list_select_related = ("labels",)
    ordering = ("-timestamp",)
    search_fields = ("host", "gpu_id__exact", "name", "uuid__exact")


@admin.register(QueueMetrics)
class QueueMetricsAdmin(LargeTableAdmin):
    """Samples of queues."""

    list_display = (
        "timestamp",
        "series",
        "kind",
        "source",
        "pending",
        "processing",
        "wait_time_ms",
        "oldest_seconds",
        "ratelimit_remaining_requests",
        "ratelimit_remaining_tokens",
    )
    list_filter = ("timestamp", ModelFilter, "kind", DemoFilter)
    list_select_related = ("series", "labels")
    ordering = ("-timestamp",)
    search_fields = ("source", "series__model_name")


@admin.register(EngineMetrics)
class EngineMetricsAdmin(LargeTableAdmin):
    """Samples of serving engines."""

    list_display = ("timestamp", "series", "source", "running", "waiting", "kv_cache_usage_percent")
    list_filter = ("timestamp", ModelFilter, DemoFilter)
    list_select_related = ("series", "labels")
    ordering = ("-timestamp",)
    search_fields = ("source", "series__model_name")


@admin.register(RecentId)
class RecentIdAdmin(InternalAdmin):
    """Ids of events that were sent without a timestamp, kept for some minutes."""

    list_display = ("at", "kind", "request_id")
    list_filter = ("at",)
    ordering = ("-at",)
    search_fields = ("request_id__exact",)


@admin.register(RawFloor)
class RawFloorAdmin(InternalAdmin):
    """The time before which events of each kind are rejected."""

    list_display = ("kind", "at", "policy")
    ordering = ("kind",)
    search_fields = ("kind",)
    fields = ("kind", "at", "policy")

    @admin.display(description="retention")
    def policy(self, row: RawFloor) -> str:
        """Return the retention in force. The disk limit may have removed more."""
        hours = RetentionPolicy.current().raw(row.kind).total_seconds() / 3600
        return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"


@admin.register(RollupFloor)
class RollupFloorAdmin(InternalAdmin):
    """The oldest bucket of each resolution that requests are added to."""

    list_display = ("__str__",)
    ordering = ("resolution",)
    search_fields = ("resolution__exact",)


@admin.register(TableSize)
class TableSizeAdmin(InternalAdmin):
    """The measured sizes of the tables."""

    list_display = ("table", "at", "rows", "bytes", "oldest")
    ordering = ("-at", "table")
    search_fields = ("table",)


@admin.register(MonitorOutage)
class MonitorOutageAdmin(InternalAdmin):
    """When the monitor was down."""

    list_display = ("start", "end")
    ordering = ("-start",)


@admin.register(DemoClaim)
class DemoClaimAdmin(InternalAdmin):
    """The process that fills, sends or removes demo data."""

    list_display = ("owner", "heartbeat_at", "removing", "stopping", "percent", "incident")
    ordering = ("pk",)
    search_fields = ("owner__exact",)
