"""Records when the monitor was down: the gaps between the samples that it takes of itself each second."""

from __future__ import annotations

from datetime import datetime, timedelta

from metrics.models import MonitorOutage
from metrics.models.own_samples import LONGEST_GAP, newest_own_sample

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
        if _known is None or not timedelta(0) <= sample - _known <= LONGEST_GAP:
            before = newest_own_sample(sample)  # another process may have sampled since
            if before is not None and sample - before > LONGEST_GAP:
                MonitorOutage.objects.get_or_create(start=before, defaults={"end": sample})
        _known = sample
        _waiting.discard(sample)
