"""How long each kind of row is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.conf import settings

from metrics.aggregation import RESOLUTIONS


@dataclass(frozen=True, slots=True)
class Policy:
    """How long each kind of row is kept. `rollups` by resolution in seconds."""

    raw_inferences: timedelta = timedelta(days=30)
    errors: timedelta = timedelta(days=90)
    samples: timedelta = timedelta(hours=24)
    rollups: Mapping[int, timedelta] = field(
        default_factory=lambda: {1: timedelta(minutes=135), 60: timedelta(days=3), 3600: timedelta(days=400)}
    )
    recent_ids: timedelta = timedelta(minutes=15)

    @classmethod
    def from_settings(cls) -> Policy:
        """The policy of this installation."""
        own = settings.LLMMONITOR
        return cls(
            raw_inferences=timedelta(days=own.raw_inference_days),
            errors=timedelta(days=own.errors_days),
            samples=timedelta(hours=own.samples_hours),
            rollups={
                1: timedelta(minutes=own.one_second_minutes),
                60: timedelta(days=own.one_minute_days),
                3600: timedelta(days=own.one_hour_days),
            },
            recent_ids=timedelta(minutes=own.recent_id_minutes),
        )

    def raw(self, kind: str) -> timedelta:
        """How long raw rows of a kind of event (inference, error, queue, system, engine) are kept."""
        return {"inference": self.raw_inferences, "error": self.errors}.get(kind, self.samples)

    def oldest_bucket(self, resolution: int, now: datetime) -> int:
        """Start, in unix seconds, of the oldest bucket of this resolution that still takes events.

        It is the one that the retention's edge lies in. Readers count on those after it
        (`metrics.queries.time.window.Retention`).
        """
        edge = int((now - self.rollups[resolution]).timestamp() // 1)
        return edge - edge % resolution

    def resolver(self, now: datetime) -> Callable[[datetime], tuple[int, ...]]:
        """A function from the time of an event to the resolutions (seconds) that still hold its bucket."""
        since = [(one, datetime.fromtimestamp(self.oldest_bucket(one, now), UTC)) for one in RESOLUTIONS]
        all_since = max(start for _, start in since)

        def resolutions_for(at: datetime) -> tuple[int, ...]:
            if at >= all_since:
                return RESOLUTIONS
            return tuple(one for one, start in since if at >= start)

        return resolutions_for
