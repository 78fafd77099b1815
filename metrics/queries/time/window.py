"""The window of a query, and times as unix seconds.

A window ends at the next whole second after now, so that an event that was recorded a moment ago is in the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Range:
    """A window of fixed length that ends now, by the name that addresses and the API use."""

    name: str
    seconds: int
    title: str
    chart_step_seconds: int  # at least; that of percentiles is longer where there are few requests


RANGES: dict[str, Range] = {
    choice.name: choice
    for choice in (
        Range("5m", 300, "5 minutes", 5),
        Range("15m", 900, "15 minutes", 10),
        Range("1h", 3_600, "1 hour", 30),
        Range("6h", 21_600, "6 hours", 120),
        Range("24h", 86_400, "24 hours", 600),
        Range("7d", 604_800, "7 days", 3_600),
        Range("30d", 2_592_000, "30 days", 10_800),
    )
}
DEFAULT_RANGE = "1h"
# Steps that are easy to read on an axis, in seconds.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, but not including, `end`: aware UTC times in whole seconds."""

    start: datetime
    end: datetime

    @classmethod
    def of_seconds(cls, start_s: float, end_s: float) -> Window:
        """Return the window between two unix times."""
        return cls(at_second(start_s), at_second(end_s))

    @classmethod
    def last(cls, seconds: int, now: datetime) -> Window:
        """Return the last `seconds` seconds, including the current one."""
        end = end_of_now(now)
        return cls.of_seconds(end - seconds, end)

    @property
    def start_s(self) -> int:
        """The start in unix seconds, rounded down."""
        return math.floor(self.start.timestamp())

    @property
    def end_s(self) -> int:
        """The end in unix seconds, rounded up."""
        return math.ceil(self.end.timestamp())

    @property
    def seconds(self) -> int:
        """The length in seconds."""
        return self.end_s - self.start_s

    def as_dict(self) -> dict[str, str]:
        """Return `from` and `to` as results have them."""
        return {"from": iso(self.start), "to": iso(self.end)}

    def before(self) -> Window:
        """Return the window of the same length that ends where this one starts."""
        return Window.of_seconds(self.start_s - self.seconds, self.start_s)


def at_second(value: float) -> datetime:
    """Return the UTC time of a unix time in seconds."""
    return EPOCH + timedelta(seconds=value)


def end_of_now(now: datetime) -> int:
    """Return the next whole second after now, in unix seconds. It ends the bucket of the current second."""
    return math.floor(now.timestamp()) + 1


def iso(value: datetime) -> str:
    """Return the time as ISO 8601 in UTC with a Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
