"""The GPUs of a host at a moment, from their samples."""

from __future__ import annotations

from datetime import datetime, timedelta

from metrics.queries.read.budget import query_budget
from metrics.queries.read.filters import Filters
from metrics.queries.read.raw_rows import GPUS, Row
from metrics.queries.time.window import Window

NEAR = timedelta(seconds=5)  # an older sample does not tell the state of this moment
MAX_SAMPLES = 500


def gpus_at(host: str, at: datetime) -> list[Row]:
    """Return the sample of each GPU nearest to a moment; none where there is no sample near it. Raises QueryStopped."""
    window = Window.of_seconds(int((at - NEAR).timestamp()), int((at + NEAR).timestamp()) + 1)
    with query_budget():
        samples = GPUS.read(GPUS.querysets(Filters(host=(host,))), MAX_SAMPLES, window)
    nearest: dict[str, tuple[timedelta, Row]] = {}
    for key, row in samples:
        gpu, distance = str(row["gpu_id"]), abs(key.timestamp - at)
        if gpu not in nearest or distance < nearest[gpu][0]:
            nearest[gpu] = distance, row
    return [nearest[gpu][1] for gpu in sorted(nearest)]
