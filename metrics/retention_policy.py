"""The retention of each kind of row, and which rollups an event is counted in.

The retention in force is that of the settings, unless a person has changed it in the admin (`RetentionChange`). A
process reads the changes at most every CACHE_SECONDS, so a commit makes no query of its own. A change is in force at
once in the process that stores it, and after at most CACHE_SECONDS in others; upkeep reads it each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction

from llmmonitor.environment import Environment, variable_name
from metrics.aggregation import RESOLUTIONS
from metrics.models import RetentionChange

# The settings with a retention. Their names end with their unit.
SETTINGS = (
    "raw_inference_days",
    "errors_days",
    "samples_hours",
    "one_second_minutes",
    "one_minute_days",
    "one_hour_days",
    "recent_id_minutes",
)
CACHE_SECONDS = 10.0


class _Changes(NamedTuple):
    """Changed values by setting, in the unit of each, and until when they are used (monotonic clock)."""

    until: float
    values: tuple[tuple[str, float], ...]


_changes = _Changes(0.0, ())


def kept(setting: str) -> timedelta:
    """Return the retention in force of a setting."""
    return _retentions(settings.LLMMONITOR, _changed_values())[setting]


def unit(setting: str) -> str:
    """Return the unit of a setting: days, hours or minutes."""
    return setting.rpartition("_")[2]


def set_by(setting: str) -> str:
    """Return what the retention in force of a setting is set by."""
    return "Retention in the admin" if setting in dict(_changed_values()) else variable_name(setting)


def change_retention(setting: str, value: float | None, at: datetime) -> None:
    """Store the retention of a setting in its unit. None: that of the setting is in force."""
    RetentionChange(setting, value, at).save()
    _forget_changes()
    transaction.on_commit(_forget_changes)  # another thread may have read the row before


def changed_within(start: datetime, end: datetime) -> bool:
    """Return whether a person has changed a retention in this time."""
    return RetentionChange.objects.filter(at__gt=start, at__lte=end).exists()


def _forget_changes() -> None:
    global _changes
    _changes = _Changes(0.0, _changes.values)


def _changed_values(fresh: bool = False) -> tuple[tuple[str, float], ...]:
    """Return the changes. On an event loop, where no query may run, they are those that this process read last.

    An error of the database is raised: with the settings instead, upkeep would delete what a person wants to keep.
    """
    global _changes
    before = _changes
    if not fresh and time.monotonic() < before.until:
        return before.values
    rows = RetentionChange.objects.filter(setting__in=SETTINGS).order_by("setting").values_list("setting", "value")
    try:
        values = tuple((setting, value) for setting, value in rows if value is not None)
    except SynchronousOnlyOperation:
        return before.values
    if _changes is before:  # else they may have been read before a change
        _changes = _Changes(time.monotonic() + CACHE_SECONDS, values)
    return values


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """How long each kind of row is kept. rollups: by resolution in seconds."""

    raw_inferences: timedelta
    errors: timedelta
    samples: timedelta
    rollups: Mapping[int, timedelta]
    recent_ids: timedelta

    @classmethod
    def current(cls, *, fresh: bool = False) -> RetentionPolicy:
        """Return the policy in force. fresh: read the changes from the database."""
        return _policy_of(settings.LLMMONITOR, _changed_values(fresh))

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
def _retentions(values: Environment, changes: tuple[tuple[str, float], ...]) -> Mapping[str, timedelta]:
    """Return the retention by setting."""
    in_force = {setting: getattr(values, setting) for setting in SETTINGS} | dict(changes)
    return {setting: timedelta(**{unit(setting): value}) for setting, value in in_force.items()}


@lru_cache(maxsize=1)
def _policy_of(values: Environment, changes: tuple[tuple[str, float], ...]) -> RetentionPolicy:
    of = _retentions(values, changes)
    return RetentionPolicy(
        raw_inferences=of["raw_inference_days"],
        errors=of["errors_days"],
        samples=of["samples_hours"],
        rollups={1: of["one_second_minutes"], 60: of["one_minute_days"], 3600: of["one_hour_days"]},
        recent_ids=of["recent_id_minutes"],
    )
