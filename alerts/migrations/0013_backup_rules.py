"""Rules on backups and on the archive."""

from __future__ import annotations

from typing import Any

from django.db import migrations

RULES: list[dict[str, Any]] = [
    {
        "id": "backup-overdue",
        "name": "Backup Overdue",
        "metric_type": "monitor",
        "metric_name": "backup_age_seconds",
        "stat": "max",
        "threshold": 2 * 86_400,
        "for_seconds": 60,
        "group_by": ["host"],
        "description": "The newest backup is older than two days. The System page and the log have the error of the "
        "last attempt.",
    },
    {
        "id": "archive-failing",
        "name": "Archive Failing",
        "metric_type": "monitor",
        "metric_name": "archive_problems",
        "stat": "max",
        "threshold": 0,
        "for_seconds": 300,
        "group_by": ["host"],
        "description": "Rows cannot be written to the archive, so none are deleted by age, and the disk fills up.",
    },
]


def create(apps: Any, schema_editor: Any) -> None:
    """Create the rules, unless a person has rules with their ids."""
    for rule in RULES:
        apps.get_model("alerts", "AlertRule").objects.get_or_create(id=rule["id"], defaults=rule)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0012_monitor_rules")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
