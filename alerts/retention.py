"""How long ended alerts and silences are kept."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from alerts.models import Alert, Silence
from metrics.store.write_lock import write_lock

KEPT = timedelta(days=400)
BATCH = 500


def delete_expired(now: datetime, deadline: float) -> int:
    """Delete alerts that ended before the retention, with their changes, until a time of the monotonic clock.

    Return the number of alerts and silences.
    """
    with write_lock():
        deleted = Silence.objects.filter(ends_at__lt=now - KEPT, alerts=None).delete()[0]
    while time.monotonic() < deadline:
        expired = Alert.objects.filter(ended_at__lt=now - KEPT).order_by("ended_at").values_list("pk", flat=True)
        ids = list(expired[:BATCH])
        if not ids:
            break
        with write_lock():
            Alert.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted
