"""A rule on the alerting itself."""

from __future__ import annotations

from typing import Any

from django.db import migrations

RULE: dict[str, Any] = {
    "id": "alerting-unhealthy",
    "name": "Alerting Unhealthy",
    "metric_type": "monitor",
    "metric_name": "alerting_problems",
    "stat": "max",
    "threshold": 0,
    "group_by": ["host"],
    "description": "Rules are judged late or cannot be judged, or messages are not accepted. The Alerts page says which.",
}


def create(apps: Any, schema_editor: Any) -> None:
    """Create the rule, unless a person has a rule with its id."""
    apps.get_model("alerts", "AlertRule").objects.get_or_create(id=RULE["id"], defaults=RULE)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0009_alerting_health")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
