"""Rules on the monitor itself and on its disk."""

from __future__ import annotations

from typing import Any

from django.db import migrations

RULES: list[dict[str, Any]] = [
    {
        "id": "slow-commits",
        "name": "Slow Commits",
        "metric_type": "monitor",
        "metric_name": "commit_p99_ms",
        "stat": "avg",
        "threshold": 2_000,
        "for_seconds": 60,
        "group_by": ["host"],
        "description": "The monitor's database takes long to store events. The disk may be slow, or another program holds "
        "a lock.",
    },
    {
        "id": "events-waiting",
        "name": "Events Waiting",
        "metric_type": "monitor",
        "metric_name": "queued_events",
        "stat": "avg",
        "threshold": 10_000,
        "for_seconds": 30,
        "severity": "critical",
        "group_by": ["host"],
        "description": "Events arrive faster than the monitor stores them. When its queue is full, posts are refused with "
        "429, and clients send them again.",
    },
    {
        "id": "late-ticks",
        "name": "Late Ticks",
        "metric_type": "monitor",
        "metric_name": "tick_lag_ms",
        "stat": "avg",
        "threshold": 3_000,
        "for_seconds": 60,
        "group_by": ["host"],
        "description": "The live stream lags behind. The monitor's machine or its database is too busy.",
    },
    {
        "id": "disk-almost-full",
        "name": "Disk Almost Full",
        "metric_type": "system",
        "metric_name": "disk_percent",
        "stat": "max",
        "threshold": 90,
        "clear_threshold": 88,
        "for_seconds": 60,
        "group_by": ["host"],
        "description": "The disk that holds the data directory of the host is almost full.",
    },
]


def create(apps: Any, schema_editor: Any) -> None:
    """Create the rules, unless a person has rules with their ids."""
    for rule in RULES:
        apps.get_model("alerts", "AlertRule").objects.get_or_create(id=rule["id"], defaults=rule)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0011_last_sent")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
