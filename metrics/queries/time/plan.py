"""Which buckets a query reads: arithmetic on whole unix seconds. Only `Retention.current` reads the database.

`split_window` is for figures over a whole window. It covers the window with as few buckets as possible. `plan_steps` is
for series. It selects the step and the resolution. Both move the edges of the window outward to whole buckets of a
resolution that is still kept at that time. The response names the window that was used.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from django.db.models import Max

from metrics.aggregation import RESOLUTIONS
from metrics.models import RawFloor, RollupFloor
from metrics.queries.exceptions import BadQuery
from metrics.queries.time.window import STEPS, Window, at_second, end_of_now
from metrics.retention_policy import RetentionPolicy

COARSEST = RESOLUTIONS[-1]
KINDS_OF_SAMPLES = ("system", "queue", "engine")
MAX_POINTS = 400  # if the client sets no step: about one point for two pixels of a chart
MAX_POINTS_OF_STEP = 2_000  # if the client sets the step


@dataclass(frozen=True, slots=True)
class Retention:
    """Which buckets are kept, by resolution: those of the last `seconds`, from the rollup floor on.

    A floor is later than the retention says after the retention was lengthened: what was deleted does not come back.
    """

    seconds: Mapping[int, int]
    floors: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def without_floors(cls, raw_samples: bool = False) -> Retention:
        """Return the retention in force. `raw_samples`: of gauges, which are read from raw samples below a minute."""
        policy = RetentionPolicy.current()
        kept = {**policy.rollups, **({1: policy.samples} if raw_samples else {})}
        return cls({resolution: int(age.total_seconds()) for resolution, age in kept.items()})

    @classmethod
    def current(cls, raw_samples: bool = False) -> Retention:
        """Return the retention in force with the stored floors. That of raw samples is their raw floor."""
        floors = dict(RollupFloor.objects.values_list("resolution", "bucket"))
        if raw_samples:
            of_samples = RawFloor.objects.filter(kind__in=KINDS_OF_SAMPLES).aggregate(latest=Max("at"))["latest"]
            floors[1] = math.ceil(of_samples.timestamp()) if of_samples else 0
        return replace(cls.without_floors(raw_samples), floors=floors)

    def oldest_complete(self, resolution: int, now_s: int) -> int:
        """Return the start of the oldest bucket that is complete, in unix seconds."""
        return max(_round_up(now_s - self.seconds[resolution], resolution), self.floors.get(resolution, 0))

    def oldest(self, now_s: int) -> int:
        """Return the start of the oldest complete bucket of all resolutions, in unix seconds."""
        return min(self.oldest_complete(resolution, now_s) for resolution in RESOLUTIONS)

    def keeps(self, resolution: int, at_s: int, now_s: int) -> bool:
        """Return whether the bucket that contains this second is kept."""
        return _round_down(at_s, resolution) >= self.oldest_complete(resolution, now_s)

    def finest(self, at_s: int, now_s: int) -> int:
        """Return the finest resolution whose bucket of this second is kept; the coarsest if none is."""
        return next((resolution for resolution in RESOLUTIONS if self.keeps(resolution, at_s, now_s)), COARSEST)


class Segment(NamedTuple):
    """Consecutive buckets of one resolution, from `start` to `end` in unix seconds."""

    resolution: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class SplitWindow:
    """A window of whole buckets, as segments that touch and do not overlap.

    `retention_from` is the start of the oldest complete bucket if the window starts before it, else None.
    """

    window: Window
    segments: tuple[Segment, ...]
    retention_from: datetime | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of a series: `step_seconds` long, from `start` to `end` in unix seconds, read at `resolution`."""

    step_seconds: int
    resolution: int
    start: int
    end: int
    retention_from: datetime | None = None

    @property
    def points(self) -> int:
        """The number of steps."""
        return (self.end - self.start) // self.step_seconds

    @property
    def starts(self) -> range:
        """The start of each step, in unix seconds."""
        return range(self.start, self.end, self.step_seconds)

    @property
    def window(self) -> Window:
        """The window of whole steps."""
        return Window.of_seconds(self.start, self.end)

    @property
    def segment(self) -> Segment:
        """The buckets that are read."""
        return Segment(self.resolution, self.start, self.end)

    def step_of(self, seconds: float) -> int:
        """Return the number of the step that contains a unix time."""
        return int((seconds - self.start) // self.step_seconds)


def split_window(window: Window, now: datetime, retention: Retention | None = None) -> SplitWindow:
    """Return the window as few buckets: hours where whole hours fit, minutes and seconds at the edges.

    A coarse bucket extends beyond the window only where the finer ones have expired.
    """
    retention = retention or Retention.current()
    now_s = end_of_now(now) - 1
    start = _round_down(window.start_s, retention.finest(window.start_s, now_s))
    end = _round_up(window.end_s, retention.finest(window.end_s - 1, now_s))
    oldest = retention.oldest(now_s)
    position = max(start, oldest)
    segments: list[Segment] = []  # none if the window ends before the retention
    while position < end:
        segment = _segment_at(position, end, retention, now_s)
        position = segment.end
        if segments and segments[-1].resolution == segment.resolution and segments[-1].end == segment.start:
            segment = segments.pop()._replace(end=segment.end)
        segments.append(segment)
    return SplitWindow(
        Window.of_seconds(start, segments[-1].end if segments else end),
        tuple(segments),
        at_second(oldest) if start < oldest else None,
    )


def _segment_at(position: int, end: int, retention: Retention, now_s: int) -> Segment:
    """Return the segment of the coarsest resolution whose bucket starts at `position` and ends by `end`."""
    coarser: list[int] = []
    for resolution in reversed(RESOLUTIONS):
        starts_here = position % resolution == 0 and retention.keeps(resolution, position, now_s)
        if starts_here and position + resolution <= end:
            stop = _round_down(end, resolution)
            for other in coarser:
                # The segment ends where a coarser bucket fits.
                begin = max(_round_up(position, other), retention.oldest_complete(other, now_s))
                if position < begin and begin + other <= end:
                    stop = min(stop, begin)
            return Segment(resolution, position, max(stop, position + resolution))
        coarser.append(resolution)
    # The finer buckets have expired. The finest kept bucket extends beyond the window.
    resolution = retention.finest(position, now_s)
    return Segment(resolution, position, _round_down(position, resolution) + resolution)


def plan_steps(
    window: Window,
    now: datetime,
    step: int | None = None,
    retention: Retention | None = None,
    max_points: int = MAX_POINTS,
) -> Plan:
    """Return the steps of a series over the window: of `step` seconds, or short ones that make at most `max_points`.

    Raises BadQuery if the series cannot be read in steps of this length.
    """
    retention = retention or Retention.current()
    now_s = end_of_now(now) - 1
    oldest = retention.oldest(now_s)
    # The first second of the window that is kept; the last one if none is.
    first_s = max(window.start_s, min(oldest, window.end_s - 1))
    if step is None:
        step, resolution = _choose_step(window, first_s, retention, now_s, max_points)
    else:
        resolution = _check_step(window, step, first_s, retention, now_s)
    return Plan(
        step,
        resolution,
        _round_down(window.start_s, step),
        _round_up(window.end_s, step),
        at_second(oldest) if window.start_s < oldest else None,
    )


def within(plan: Plan, window: Window, now: datetime, retention: Retention) -> SplitWindow:
    """Return the window as buckets that each belong to one step of the plan, with the finer ones at its edges.

    What they hold is that of `split_window` of the window, while the steps at the edges of a plan extend beyond it.
    """
    whole = _round_up(window.start_s, plan.step_seconds), _round_down(window.end_s, plan.step_seconds)
    edges = [window.start_s, *(whole if whole[0] <= whole[1] else ()), window.end_s]
    segments: list[Segment] = []
    for start, end in pairwise(edges):
        if (start, end) == whole:
            segments += [plan.segment._replace(start=start, end=end)] if start < end else []
        elif start < end:
            segments += split_window(Window.of_seconds(start, end), now, retention).segments
    return replace(split_window(window, now, retention), segments=tuple(segments))


def check_kept(step: int, now: datetime, retention: Retention) -> None:
    """Raise BadQuery if the newest closed step and the open one cannot be read in steps of this length."""
    now_s = end_of_now(now) - 1
    if _resolution_for(step, _round_down(now_s, step) - step, retention, now_s) is None:
        raise BadQuery("step", f"must be a multiple of a resolution that is kept, not {step} s.", map(str, STEPS))


def _choose_step(window: Window, first_s: int, retention: Retention, now_s: int, max_points: int) -> tuple[int, int]:
    """Return the shortest step with at most `max_points` points, and its resolution."""
    for step in STEPS:
        resolution = _resolution_for(step, first_s, retention, now_s)
        if resolution and -(-window.seconds // step) <= max_points:
            return step, resolution
    return _round_up(-(-window.seconds // max_points), COARSEST), COARSEST


def _check_step(window: Window, step: int, first_s: int, retention: Retention, now_s: int) -> int:
    """Return the resolution that a step is read at. Raises BadQuery if there is none or the points are too many."""
    least = -(-window.seconds // MAX_POINTS_OF_STEP)
    allowed = [str(other) for other in STEPS if other >= least and _resolution_for(other, first_s, retention, now_s)]
    if step < least:
        raise BadQuery(
            "step", f"must be at least {least} s: {step} s would make more than {MAX_POINTS_OF_STEP:,} points.", allowed
        )
    resolution = _resolution_for(step, first_s, retention, now_s)
    if resolution is None:
        finest = retention.finest(first_s, now_s)
        raise BadQuery("step", f"must be a multiple of {finest} s, the resolution of figures of this age.", allowed)
    return resolution


def _resolution_for(step: int, first_s: int, retention: Retention, now_s: int) -> int | None:
    """Return the coarsest resolution that divides the step and is kept at the start of the window."""
    for resolution in reversed(RESOLUTIONS):
        if step % resolution == 0 and retention.keeps(resolution, first_s, now_s):
            return resolution
    return COARSEST if step % COARSEST == 0 else None


def _round_down(value: int, unit: int) -> int:
    return value // unit * unit


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
