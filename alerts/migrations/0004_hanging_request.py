"""A rule on requests that hang. It is off until a person enables it: not every source sends `oldest_seconds`."""

from __future__ import annotations

from typing import Any

from django.db import migrations

RULE: dict[str, Any] = {
    "id": "hanging-request",
    "name": "Hanging Request",
    "metric_type": "queue",
    "metric_name": "oldest_seconds",
    "stat": "max",
    "threshold": 300,
    "group_by": ["model"],
    "enabled": False,
    "description": "A request in flight is older than five minutes. It appears among the requests only when it ends.",
}


def create(apps: Any, schema_editor: Any) -> None:
    """Create the rule, unless a person has a rule with its id."""
    apps.get_model("alerts", "AlertRule").objects.get_or_create(id=RULE["id"], defaults=RULE)


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_silences")]
    operations = [migrations.RunPython(create, migrations.RunPython.noop)]
