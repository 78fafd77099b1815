"""The six rules that every installation begins with. A person may change or delete them; no upgrade changes them."""

from __future__ import annotations

from typing import Any

from django.db import migrations

RULES: list[dict[str, Any]] = [
    {
        "id": "high-cpu-usage",
        "name": "High CPU Usage",
        "metric_type": "system",
        "metric_name": "cpu_percent",
        "threshold": 80,
        "clear_threshold": 75,
        "for_seconds": 60,
        "group_by": ["host"],
    },
    {
        "id": "high-memory-usage",
        "name": "High Memory Usage",
        "metric_type": "system",
        "metric_name": "memory_percent",
        "threshold": 85,
        "clear_threshold": 80,
        "for_seconds": 60,
        "group_by": ["host"],
    },
    {
        "id": "slow-response-time",
        "name": "Slow Response Time",
        "metric_type": "inference",
        "metric_name": "response_time_ms",
        "stat": "p95",
        "window_seconds": 300,
        "threshold": 5_000,
        "for_seconds": 60,
        "min_count": 3,
        "group_by": ["model"],
        "filters": {"outcome": ["success_or_timeout"]},
        "description": "Requests that timed out are included: a model on which every request hangs is slow.",
    },
    {
        "id": "high-error-rate",
        "name": "High Error Rate",
        "metric_type": "inference",
        "metric_name": "error_rate_percent",
        "window_seconds": 300,
        "threshold": 10,
        "for_seconds": 60,
        "min_count": 5,
        "group_by": ["model"],
        "severity": "critical",
    },
    {
        "id": "gpu-overheating",
        "name": "GPU Overheating",
        "metric_type": "gpu",
        "metric_name": "temperature",
        "stat": "max",
        "threshold": 85,
        "clear_threshold": 80,
        "for_seconds": 30,
        "group_by": ["host", "gpu"],
        "severity": "critical",
    },
    {
        "id": "queue-backlog",
        "name": "Queue Backlog",
        "metric_type": "queue",
        "metric_name": "pending",
        "window_seconds": 30,
        "threshold": 100,
        "clear_threshold": 80,
        "for_seconds": 30,
        "group_by": ["model"],
    },
]


def create(apps: Any, schema_editor: Any) -> None:
    """Create the rules that do not exist."""
    rule = apps.get_model("alerts", "AlertRule")
    for fields in RULES:
        rule.objects.get_or_create(id=fields["id"], defaults=fields)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0001_initial")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
