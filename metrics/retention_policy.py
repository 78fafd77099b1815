"""The retention of each kind of row, and which rollups an event is counted in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from django.conf import settings

from llmmonitor.environment import Environment
from metrics.aggregation import RESOLUTIONS


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long each kind of row is kept. rollups: by resolution in seconds."""

    raw_inferences: timedelta
    errors: timedelta
    samples: timedelta
    rollups: Mapping[int, timedelta]
    recent_ids: timedelta

    @classmethod
    def from_settings(cls) -> RetentionPolicy:
        """Return the policy that the settings describe."""
        return _policy_of(settings.LLMMONITOR)

    def raw(self, kind: str) -> timedelta:
        """Return the retention of raw rows of a kind of event (inference, error, queue, system, engine)."""
        return {"inference": self.raw_inferences, "error": self.errors}.get(kind, self.samples)

    def oldest_bucket(self, resolution: int, now: datetime) -> int:
        """Return the start, in unix seconds, of the oldest bucket of a resolution that events are still added to.

        It contains the end of the retention, so it may be incomplete. Queries read the buckets after it
        (`metrics.queries.time.plan.Retention`).
        """
        oldest = int((now - self.rollups[resolution]).timestamp() // 1)
        return oldest - oldest % resolution

    def resolver(self, now: datetime) -> Callable[[datetime], tuple[int, ...]]:
        """Return a function that maps the time of an event to the resolutions, in seconds, that still store it."""
        starts = {
            resolution: datetime.fromtimestamp(self.oldest_bucket(resolution, now), UTC) for resolution in RESOLUTIONS
        }
        latest_start = max(starts.values())

        def resolutions_for(at: datetime) -> tuple[int, ...]:
            if at >= latest_start:
                return RESOLUTIONS
            return tuple(resolution for resolution, start in starts.items() if at >= start)

        return resolutions_for


@lru_cache(maxsize=1)
def _policy_of(values: Environment) -> RetentionPolicy:
    return RetentionPolicy(
        raw_inferences=timedelta(days=values.raw_inference_days),
        errors=timedelta(days=values.errors_days),
        samples=timedelta(hours=values.samples_hours),
        rollups={
            1: timedelta(minutes=values.one_second_minutes),
            60: timedelta(days=values.one_minute_days),
            3600: timedelta(days=values.one_hour_days),
        },
        recent_ids=timedelta(minutes=values.recent_id_minutes),
    )
