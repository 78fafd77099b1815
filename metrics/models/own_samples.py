"""When the monitor sampled itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metrics.aggregation import MAX_OWN_GAP
from metrics.levels import HOUR
from metrics.models.rollups import GaugeRollup
from metrics.models.samples import SystemMetrics
from metrics.readings import MINUTE

OWN_METRIC = "monitor.cpu_percent"
LONGEST_GAP = timedelta(seconds=MAX_OWN_GAP)


def newest_own_sample(before: datetime) -> datetime | None:
    """Return the time of the newest sample of the monitor before a time; to the minute or hour if it is old.

    It reads the raw rows of a single bucket, however many samples of other hosts were stored since.
    """
    minute = before.replace(second=0, microsecond=0)
    newest = _newest_between(minute, before)
    if newest is not None:
        return newest
    rollups = GaugeRollup.objects.filter(metric=OWN_METRIC, bucket__lt=int(minute.timestamp()))
    buckets = [
        (bucket, resolution)
        for resolution in (MINUTE, HOUR)
        for bucket in rollups.filter(resolution=resolution).order_by("-bucket").values_list("bucket", flat=True)[:1]
    ]
    if not buckets:
        return None
    bucket, resolution = max(buckets, key=lambda row: (row[0], -row[1]))
    start = datetime.fromtimestamp(bucket, UTC)
    end = min(start + timedelta(seconds=resolution), minute)
    return _newest_between(start, end) or end


def _newest_between(start: datetime, end: datetime) -> datetime | None:
    samples = SystemMetrics.objects.filter(timestamp__gte=start, timestamp__lt=end, monitor_cpu_percent__isnull=False)
    return samples.order_by("-timestamp").values_list("timestamp", flat=True).first()
