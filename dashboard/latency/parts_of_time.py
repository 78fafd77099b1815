"""The parts of a model's mean response time, and which of them is the cause of a rise. Pure functions.

Means are used, because they add up to the response time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from metrics.queries.answers.parts_of_time import parts_of_time

EXPLAINS = 0.5  # a part is the cause of a rise where its own rise is more than this share of it


def parts_of(row: Mapping[str, Any]) -> dict[str, float]:
    """Return the parts in ms of a row of figures; empty where no response time is known."""
    return parts_of_time(*(row.get(f"avg_{name}_ms") for name in ("response_time", "queue_time", "ttft")))


def cause_of_rise(now: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Return the part that explains over half of a rise of the mean; empty where none does, or the parts differ."""
    rise = sum(now.values()) - sum(before.values())
    if rise <= 0 or now.keys() != before.keys():
        return ""
    return next((name for name in now if now[name] - before[name] > EXPLAINS * rise), "")
