"""Records when the monitor was down: the gaps between the samples that it takes of itself each second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metrics.models import GaugeRollup, MonitorOutage, SystemMetrics

GAP = timedelta(seconds=10)  # a shorter one is a busy machine
METRIC = "monitor.cpu_percent"

# When this process last knew of a sample.
_known: datetime | None = None


def note_sample(at: datetime) -> MonitorOutage | None:
    """Record an outage if the sample before the one of `at`, which is stored, is long ago. Return it."""
    global _known
    known, _known = _known, at
    if known is not None and timedelta(0) <= at - known <= GAP:
        return None
    before = _newest_before(at)  # another process may have sampled since
    if before is None or at - before <= GAP:
        return None
    return MonitorOutage.objects.get_or_create(start=before, defaults={"end": at})[0]


def _newest_before(at: datetime) -> datetime | None:
    """Return the time of the newest sample of the monitor before a time; to the minute or hour if it is old."""
    samples = SystemMetrics.objects.filter(timestamp__lt=at, monitor_cpu_percent__isnull=False)
    newest = samples.order_by("-timestamp").values_list("timestamp", flat=True).first()
    if newest is not None:
        return newest
    rollups = GaugeRollup.objects.filter(metric=METRIC, bucket__lt=int(at.timestamp()))
    ends = [
        bucket + resolution
        for resolution in (60, 3600)
        for bucket in rollups.filter(resolution=resolution).order_by("-bucket").values_list("bucket", flat=True)[:1]
    ]
    return datetime.fromtimestamp(max(ends), UTC) if ends else None
