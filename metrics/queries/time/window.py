"""Which time a question is about, in which buckets it is answered, and from which tables.

Pure arithmetic on whole unix seconds. A window ends at the next whole second after now, so that what was acknowledged
a moment ago is in the answer. Its edges snap outward to the finest resolution that still holds at that time: a day
that began three hours before the oldest one-second figures begins at a whole minute, and the answer says which window
it was.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.conf import settings

from metrics.aggregation import RESOLUTIONS
from metrics.queries.exceptions import BadQuery


@dataclass(frozen=True, slots=True)
class Range:
    """A window of fixed length that ends now, by the name that addresses and the API use."""

    name: str
    seconds: int
    title: str
    chart_step_seconds: int  # coarser than MAX_POINTS allows, because a percentile of three requests is noise


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
COARSEST = RESOLUTIONS[-1]
MAX_POINTS = 400  # where no step was asked for: about one per pixel pair of a chart
MAX_ASKED_POINTS = 2_000
# Steps that are easy to read on an axis, in seconds.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Retention:
    """How many seconds each resolution is kept."""

    seconds: Mapping[int, int]

    @classmethod
    def from_settings(cls, raw_samples: bool = False) -> Retention:
        """The retention in force. `raw_samples`: for gauges, whose raw samples are the resolution below a minute."""
        env = settings.LLMMONITOR
        finest = env.samples_hours * 3600 if raw_samples else env.one_second_minutes * 60
        return cls({1: int(finest), 60: int(env.one_minute_days * 86400), 3600: int(env.one_hour_days * 86400)})

    def floor(self, resolution: int, now_s: int) -> int:
        """Start of the oldest bucket that is sure to be there, unix seconds."""
        return _up(now_s - self.seconds[resolution], resolution)

    def holds(self, resolution: int, at_s: int, now_s: int) -> bool:
        """Whether the bucket that holds this second is there."""
        return _down(at_s, resolution) >= self.floor(resolution, now_s)

    def finest(self, at_s: int, now_s: int) -> int:
        """The finest resolution that holds this second; the coarsest when none does."""
        return next((one for one in RESOLUTIONS if self.holds(one, at_s, now_s)), COARSEST)


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` up to, not including, `end`: aware UTC times, whole seconds."""

    start: datetime
    end: datetime

    @classmethod
    def of_seconds(cls, start_s: float, end_s: float) -> Window:
        """The window between two unix times."""
        return cls(at_second(start_s), at_second(end_s))

    @classmethod
    def last(cls, seconds: int, now: datetime) -> Window:
        """The last `seconds` up to now, the running second included."""
        end = end_of_now(now)
        return cls.of_seconds(end - seconds, end)

    @property
    def start_s(self) -> int:
        """Unix seconds of the start, rounded down."""
        return math.floor(self.start.timestamp())

    @property
    def end_s(self) -> int:
        """Unix seconds of the end, rounded up."""
        return math.ceil(self.end.timestamp())

    @property
    def seconds(self) -> int:
        """Length."""
        return self.end_s - self.start_s

    def before(self) -> Window:
        """The window of the same length that ends where this one starts."""
        return Window.of_seconds(self.start_s - self.seconds, self.start_s)


@dataclass(frozen=True, slots=True)
class Tiles:
    """A window cut into runs of buckets that touch and do not overlap: [(resolution, start, end)], unix seconds.

    `retention_from` is the start of what is still kept where the window reaches further back, else None.
    """

    window: Window
    segments: tuple[tuple[int, int, int], ...]
    retention_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The buckets of a series: steps of `step_seconds` from `start` to `end` (unix seconds), read at `resolution`."""

    step_seconds: int
    resolution: int
    start: int
    end: int
    retention_from: datetime | None = None

    @property
    def points(self) -> int:
        """Number of buckets."""
        return (self.end - self.start) // self.step_seconds


def at_second(value: float) -> datetime:
    """The UTC time of a unix time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value)


def end_of_now(now: datetime) -> int:
    """The next whole second after now: the end of the running second's bucket."""
    return math.floor(now.timestamp()) + 1


def iso(value: datetime) -> str:
    """ISO 8601 in UTC with a Z."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def partial_note(retention_from: datetime | None) -> dict[str, str]:
    """What an answer says when its window reaches further back than figures are kept; nothing otherwise."""
    if retention_from is None:
        return {}
    return {
        "retention_from": iso(retention_from),
        "partial": f"Figures are kept from {iso(retention_from)} on; older times are not in this answer.",
    }


def segments(window: Window, now: datetime, held: Retention | None = None) -> Tiles:
    """The window, snapped outward, as the fewest buckets that still hold: hours inside, finer ones at the edges.

    A coarse bucket sticks out of the window only where the finer ones are gone.
    """
    held = held or Retention.from_settings()
    now_s = end_of_now(now) - 1
    start = _down(window.start_s, held.finest(window.start_s, now_s))
    end = _up(window.end_s, held.finest(window.end_s - 1, now_s))
    oldest = min(held.floor(one, now_s) for one in RESOLUTIONS)
    position = max(start, oldest)
    found: list[tuple[int, int, int]] = []
    while position < end:
        resolution, stop = _run(position, end, held, now_s)
        if found and found[-1][0] == resolution and found[-1][2] == position:
            found[-1] = (resolution, found[-1][1], stop)
        else:
            found.append((resolution, position, stop))
        position = stop
    return Tiles(
        Window.of_seconds(start, max(end, position)), tuple(found), at_second(oldest) if start < oldest else None
    )


def _run(position: int, end: int, held: Retention, now_s: int) -> tuple[int, int]:
    """The coarsest resolution whose bucket fits at `position`, and where its run ends."""
    coarser: list[int] = []
    for resolution in reversed(RESOLUTIONS):
        aligned = position % resolution == 0 and held.holds(resolution, position, now_s)
        if aligned and position + resolution <= end:
            stop = _down(end, resolution)
            for other in coarser:
                # The run gives way as soon as a coarser bucket fits.
                begin = max(_up(position, other), held.floor(other, now_s))
                if position < begin and begin + other <= end:
                    stop = min(stop, begin)
            return resolution, max(stop, position + resolution)
        coarser.append(resolution)
    # The finer buckets are gone: the finest that is there sticks out.
    resolution = held.finest(position, now_s)
    return resolution, _down(position, resolution) + resolution


def plan(
    window: Window,
    now: datetime,
    step: int | None = None,
    held: Retention | None = None,
    max_points: int = MAX_POINTS,
) -> Plan:
    """The step and the resolution that answer a series over this window. Raises BadQuery when `step` cannot be had."""
    held = held or Retention.from_settings()
    now_s = end_of_now(now) - 1
    oldest = min(held.floor(one, now_s) for one in RESOLUTIONS)
    partial = at_second(oldest) if window.start_s < oldest else None
    begin = max(window.start_s, min(oldest, window.end_s - 1))
    if step is not None:
        return replace(_asked(window, step, begin, held, now_s), retention_from=partial)
    for one in STEPS:
        resolution = _readable(one, begin, held, now_s)
        if resolution and -(-window.seconds // one) <= max_points:
            return Plan(one, resolution, _down(window.start_s, one), _up(window.end_s, one), partial)
    step = _up(-(-window.seconds // max_points), COARSEST)
    return Plan(step, COARSEST, _down(window.start_s, step), _up(window.end_s, step), partial)


def check_kept(step: int, now: datetime, held: Retention) -> None:
    """Raises BadQuery when the newest closed bucket and the open one are not kept in such steps."""
    now_s = end_of_now(now) - 1
    if _readable(step, _down(now_s, step) - step, held, now_s) is None:
        raise BadQuery("step", f"{step} s is not a whole number of buckets that are kept.", [str(one) for one in STEPS])


def _asked(window: Window, step: int, begin: int, held: Retention, now_s: int) -> Plan:
    if step < 1:
        raise BadQuery("step", "must be a whole number of seconds, 1 or more.")
    least = -(-window.seconds // MAX_ASKED_POINTS)
    allowed = [str(one) for one in STEPS if one >= least and _readable(one, begin, held, now_s)]
    if step < least:
        raise BadQuery(
            "step", f"{step} s would make more than {MAX_ASKED_POINTS:,} points; take {least} s or more.", allowed
        )
    resolution = _readable(step, begin, held, now_s)
    if resolution is None:
        finest = held.finest(begin, now_s)
        raise BadQuery("step", f"figures this old are kept in buckets of {finest} s; take a multiple of that.", allowed)
    return Plan(step, resolution, _down(window.start_s, step), _up(window.end_s, step))


def _readable(step: int, begin: int, held: Retention, now_s: int) -> int | None:
    """The coarsest resolution that divides the step and still holds at the beginning of the window."""
    usable = [one for one in RESOLUTIONS if step % one == 0 and held.holds(one, begin, now_s)]
    if not usable and step % COARSEST == 0:
        return COARSEST
    return max(usable, default=None)


def _down(value: int, unit: int) -> int:
    return value // unit * unit


def _up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
