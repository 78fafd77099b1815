"""Records when the monitor was down: the gaps between the samples that it takes of itself each second."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from metrics.models import GaugeRollup, MonitorOutage, SystemMetrics
from metrics.readings import MINUTE

GAP = timedelta(seconds=10)  # a shorter one is a busy machine
METRIC = "monitor.cpu_percent"
MAX_WAITING = 600

# When this process last knew of a sample, and the samples for which the database could not be asked.
_known: datetime | None = None
_waiting: set[datetime] = set()


def note_sample(at: datetime) -> None:
    """Record an outage if the sample before the one of `at`, which is stored, is long ago.

    If the database fails, the next call also notes this sample.
    """
    global _known
    if len(_waiting) < MAX_WAITING:
        _waiting.add(at)
    for sample in sorted(_waiting):
        if _known is None or not timedelta(0) <= sample - _known <= GAP:
            before = newest_sample(sample)  # another process may have sampled since
            if before is not None and sample - before > GAP:
                MonitorOutage.objects.get_or_create(start=before, defaults={"end": sample})
        _known = sample
        _waiting.discard(sample)


def newest_sample(before: datetime) -> datetime | None:
    """Return the time of the newest sample of the monitor before a time; to the minute or hour if it is old.

    It reads the raw rows of a single bucket, however many samples of other hosts were stored since.
    """
    minute = before.replace(second=0, microsecond=0)
    newest = _newest_between(minute, before)
    if newest is not None:
        return newest
    rollups = GaugeRollup.objects.filter(metric=METRIC, bucket__lt=int(minute.timestamp()))
    buckets = [
        (bucket, resolution)
        for resolution in (3600, MINUTE)
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
