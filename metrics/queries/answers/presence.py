"""Whether there are events, and whether there is example data."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max

from metrics.models import ErrorMetrics, GaugeLabels, InferenceRollup, Series


def has_events() -> bool:
    """Return whether there is a request or an error. Host samples do not count: the monitor takes them by itself."""
    return InferenceRollup.objects.exists() or ErrorMetrics.objects.exists()


def has_demo() -> bool:
    """Return whether there is example data, of requests or of samples."""
    return Series.objects.filter(is_demo=True).exists() or GaugeLabels.objects.filter(is_demo=True).exists()


def newest_demo() -> datetime | None:
    """Return the time of the newest example request; None if there is none."""
    newest: datetime | None = Series.objects.filter(is_demo=True).aggregate(newest=Max("last_seen"))["newest"]
    return newest
