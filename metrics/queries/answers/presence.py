"""Whether there is anything to show, and whether any of it is demo data."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max

from metrics.models import ErrorMetrics, GaugeLabels, InferenceRollup, Series


def has_events() -> bool:
    """Whether any request or error is held. Samples of machines do not count: the monitor takes those by itself."""
    return InferenceRollup.objects.exists() or ErrorMetrics.objects.exists()


def has_demo() -> bool:
    """Whether any demo data is held, of requests or of machines."""
    return Series.objects.filter(is_demo=True).exists() or GaugeLabels.objects.filter(is_demo=True).exists()


def newest_demo() -> datetime | None:
    """When the latest demo request ended; None when there is none."""
    latest: datetime | None = Series.objects.filter(is_demo=True).aggregate(latest=Max("last_seen"))["latest"]
    return latest
