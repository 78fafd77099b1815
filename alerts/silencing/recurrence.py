"""Windows that recur on days of the week at a time of day, in a time zone. Pure functions.

A window begins at its time of day on the clocks of the zone, and lasts as many seconds as it has. A time of day that
the clocks skip begins as much later; of one that they show twice, the first counts.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from alerts.rules.words import seconds_in_words

DAY_SECONDS = 86_400
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class Recurrence:
    """weekdays: those on which a window begins, 0 is Monday; empty: every day. start_time: without a zone."""

    weekdays: Collection[int]
    start_time: time
    duration_seconds: int
    time_zone: str


def window_at(recurrence: Recurrence, at: datetime) -> tuple[datetime, datetime] | None:
    """Return the start and the end, in UTC, of the window that contains `at`: of several, the last. None if none does.

    A window contains its start, and not its end.
    """
    zone = ZoneInfo(recurrence.time_zone)
    today = at.astimezone(zone).date()
    duration = timedelta(seconds=recurrence.duration_seconds)
    for days in range(recurrence.duration_seconds // DAY_SECONDS + 2):
        day = today - timedelta(days=days)
        if recurrence.weekdays and day.weekday() not in recurrence.weekdays:
            continue
        start = datetime.combine(day, recurrence.start_time, zone).astimezone(UTC)
        if start <= at < start + duration:
            return start, start + duration
    return None


def next_start(recurrence: Recurrence, at: datetime) -> datetime:
    """Return when the first window after `at` begins, in UTC."""
    zone = ZoneInfo(recurrence.time_zone)
    today = at.astimezone(zone).date()
    starts = (
        datetime.combine(day, recurrence.start_time, zone).astimezone(UTC)
        for day in (today + timedelta(days=days) for days in range(9))
        if not recurrence.weekdays or day.weekday() in recurrence.weekdays
    )
    return next(start for start in starts if start > at)


def in_words(recurrence: Recurrence) -> str:
    """Return the recurrence as text: "every Monday and Sunday at 02:00 for 2 hours (Europe/Berlin)"."""
    days = [WEEKDAYS[day] for day in sorted(set(recurrence.weekdays))]
    listed = " and ".join([", ".join(days[:-1]), days[-1]] if len(days) > 1 else days) or "day"
    length = seconds_in_words(recurrence.duration_seconds)
    return f"every {listed} at {recurrence.start_time:%H:%M} for {length} ({recurrence.time_zone})"
