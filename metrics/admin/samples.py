"""Samples of machines, GPUs, queues and engines; and what the write path remembers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from metrics.admin.pages import MOST_CHOICES, DemoFilter, ModelFilter, ReadOnlyPage
from metrics.models import EngineMetrics, GaugeLabels, GPUMetrics, QueueMetrics, RawFloor, RecentId, SystemMetrics
from metrics.store.retention_policy import Policy


class HostFilter(admin.SimpleListFilter):
    """Samples of one host. The names are those of the label sets."""

    title = "host"
    parameter_name = "host"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The names of hosts."""
        names = GaugeLabels.objects.exclude(host="").order_by("host").values_list("host", flat=True).distinct()
        return [(name, name) for name in names[:MOST_CHOICES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The samples of the chosen one."""
        return queryset.filter(host=self.value()) if self.value() else queryset


@admin.register(SystemMetrics)
class SystemMetricsAdmin(ReadOnlyPage):
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
class GPUMetricsAdmin(ReadOnlyPage):
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
class QueueMetricsAdmin(ReadOnlyPage):
    """Readings of queues."""

    list_display = ("timestamp", "series", "kind", "source", "pending", "processing", "wait_time_ms")
    list_filter = ("timestamp", ModelFilter, "kind", DemoFilter)
    list_select_related = ("series", "labels")
    ordering = ("-timestamp",)
    search_fields = ("source", "series__model_name")


@admin.register(EngineMetrics)
class EngineMetricsAdmin(ReadOnlyPage):
    """Scrapes of serving engines."""

    list_display = ("timestamp", "series", "source", "running", "waiting", "kv_cache_usage_percent")
    list_filter = ("timestamp", ModelFilter, DemoFilter)
    list_select_related = ("series", "labels")
    ordering = ("-timestamp",)
    search_fields = ("source", "series__model_name")


@admin.register(RecentId)
class RecentIdAdmin(ReadOnlyPage):
    """Ids of events that came without a time, kept for some minutes."""

    list_display = ("at", "request_id")
    list_filter = ("at",)
    ordering = ("-at",)
    search_fields = ("request_id__exact",)


@admin.register(RawFloor)
class RawFloorAdmin(ReadOnlyPage):
    """How far back each kind of event is accepted, because older raw rows are gone."""

    list_display = ("kind", "at", "policy")
    ordering = ("kind",)
    search_fields = ("kind",)
    fields = ("kind", "at", "policy")

    @admin.display(description="kept for")
    def policy(self, row: RawFloor) -> str:
        """What the settings ask for; the disk bound may have taken more."""
        own = Policy.from_settings()
        kept = {"inference": own.raw_inferences, "error": own.errors}.get(row.kind, own.samples)
        hours = kept.total_seconds() / 3600
        return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
