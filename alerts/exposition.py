"""The numbers of alerts in `GET /metrics`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count

from alerts.models import Alert
from alerts.rules.spec import AlertLevel


def alert_families(at: datetime) -> list[Any]:
    """Return how many alerts fire and are pending, by severity."""
    from prometheus_client.core import GaugeMetricFamily

    open_alerts = Alert.objects.filter(ended_at=None).order_by().values_list("state", "severity")
    counts = {(state, severity): number for state, severity, number in open_alerts.annotate(Count("id"))}
    families = []
    for state, text in ((Alert.State.FIRING, "fire"), (Alert.State.PENDING, "are pending")):
        family = GaugeMetricFamily(f"llmmonitor_alerts_{state}", f"Alerts that {text}.", labels=["severity"])
        for level in AlertLevel:
            family.add_metric([str(level)], counts.get((state, level), 0))
        families.append(family)
    return families
