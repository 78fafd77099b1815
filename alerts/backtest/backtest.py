"""The backtest of one rule: it reads what is stored, and judges the rule over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.firings import Firing, GroupTotal, firings_of, totals_of
from alerts.backtest.hours import Hours, firings_in_hours, is_total, lookback_of
from alerts.backtest.moments import EXACT, Stretch, reasons_without_hours, stretches
from alerts.backtest.readings import Track, read_tracks
from alerts.backtest.replay import Replay
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.judging import FALLING, Change, Labels
from alerts.evaluation.values import notices_silence
from alerts.rules.spec import HOUR, MINUTE, RuleSpec, filters_of
from alerts.rules.words import seconds_in_words
from metrics import queries
from metrics.catalogue import Kind
from metrics.queries import BadQuery, SeriesSpec, Window, Windows
from metrics.queries.read.budget import query_budget
from metrics.queries.time.window import STEPS, at_second, iso

MAX_DAYS = 90
POINTS = 240  # of the chart, at most
MAX_FIRINGS = 1_000  # in a response


@dataclass(frozen=True)
class Line:
    """The values of one group in the window: (unix seconds, value or None), in steps of `step_seconds`.

    Each is the worst of the moments of its step.
    """

    labels: Labels
    step_seconds: int
    points: list[tuple[int, float | None]]


@dataclass(frozen=True)
class Backtest:
    """When a rule would have fired in a window.

    judged: the stretches in which it is judged, oldest first. data_from: the unix time of the first data, None without.
    """

    rule: RuleSpec
    window: Window
    judged: list[Stretch]
    changes: list[Change]
    firings: list[Firing]
    line: Line | None
    data_from: int | None

    @property
    def groups(self) -> list[GroupTotal]:
        """The totals of the groups that fired."""
        return totals_of(self.firings)

    def is_certain(self, precision: int) -> bool:
        """Return whether what fires at this precision would have fired."""
        return _is_certain(self.rule, precision)

    def sentence(self, now: datetime) -> str:
        """Return the result in words."""
        is_now = self.window.end_s >= queries.Window.last(1, now).end_s
        within = f"in the last {seconds_in_words(self.window.seconds).removeprefix('1 ')}" if is_now else "in this time"
        totals = self.groups
        count, seconds = sum(total.firings for total in totals), sum(total.seconds for total in totals)
        possible, possibly = sum(total.possible for total in totals), sum(total.possible_seconds for total in totals)
        if not count and not possible:
            return f"It would not have fired {within}."
        text = f"It would have fired {times(count)} {within}, for {duration_in_words(seconds)} in all."
        if not count:
            return f"It would possibly have fired {times(possible)} {within}, for up to {duration_in_words(possibly)}."
        return f"{text} Possibly {times(possible)} more, for up to {duration_in_words(possibly)}." if possible else text

    def notes(self) -> list[str]:
        """Return from when on the result has which precision, in words, newest first."""
        found = []
        for stretch in reversed(self.judged):
            since = f"{at_second(max(stretch.start, self.window.start_s)):%-d %B, %H:%M} UTC"
            if stretch.precision == EXACT:
                found.append(f"Exact from {since} on.")
            elif stretch.precision == MINUTE:
                how = "± 1 minute" if self.is_certain(MINUTE) else "possible: the window is shorter than a minute"
                found.append(f"Judged at whole minutes from {since} on ({how}).")
            else:
                found.append(f"Judged by hours from {since} on, each certain or possible.")
        first = self.judged[0].start
        if first - self.window.start_s >= self.judged[0].precision:  # less is the way to the first whole minute
            reason = reasons_without_hours(self.rule) or "older figures are not kept"
            found.append(f"Not judged before {at_second(first):%-d %B, %H:%M} UTC: {reason}.")
        if self.data_from is None:
            found.append("There is no data in this time.")
        elif self.data_from - max(first, self.window.start_s) > HOUR:
            found.append(f"There is no data before {at_second(self.data_from):%-d %B, %H:%M} UTC.")
        return found

    def as_dict(self, now: datetime) -> dict[str, Any]:
        """Return the result ready for JSON."""
        return {
            **self.window.as_dict(),
            "sentence": self.sentence(now),
            "firings": [
                {
                    "labels": dict(firing.labels),
                    "from": iso(at_second(firing.start)),
                    "to": iso(at_second(firing.end)),
                    "seconds": firing.end - firing.start,
                    "is_open": firing.is_open,
                    "peak": firing.peak,
                    "precision_seconds": firing.precision,
                    "certainty": "certain" if firing.is_certain else "possible",
                }
                for firing in self.firings[-MAX_FIRINGS:]
            ],
            "omitted": max(0, len(self.firings) - MAX_FIRINGS),
            "groups": [
                {
                    "labels": dict(total.labels),
                    "firings": total.firings,
                    "seconds": total.seconds,
                    "possible_firings": total.possible,
                    "possible_seconds": total.possible_seconds,
                }
                for total in self.groups
            ],
            "precision": [
                {
                    "from": iso(at_second(max(stretch.start, self.window.start_s))),
                    "to": iso(at_second(min(stretch.end, self.window.end_s))),
                    "precision_seconds": stretch.precision,
                }
                for stretch in self.judged
            ],
            "notes": self.notes(),
            "chart": None if self.line is None else {
                "labels": dict(self.line.labels),
                "step_seconds": self.line.step_seconds,
                "points": [[1000 * second, value] for second, value in self.line.points],
            },
        }  # fmt: skip


def times(count: int) -> str:
    """Return how often: `once`, `3 times`."""
    return {0: "not once", 1: "once"}.get(count, f"{count:,} times")


def duration_in_words(seconds: int) -> str:
    """Return a duration in its two largest units: `1 day 4 hours`, `42 minutes`, `35 seconds`."""
    units = (86_400, HOUR, MINUTE, 1)
    size = next((unit for unit in units[:-1] if seconds >= unit), 1)
    smaller = units[min(units.index(size) + 1, len(units) - 1)]
    first, rest = seconds // size * size, seconds % size // smaller * smaller
    return " ".join(seconds_in_words(part) for part in (first, rest) if part) or "0 seconds"


def backtest(rule: RuleSpec, window: Window, now: datetime) -> Backtest:
    """Return when a rule would have fired in a window. Raises BadQuery, QueryStopped."""
    with query_budget():
        return _backtest(rule, window, now)


def _backtest(rule: RuleSpec, window: Window, now: datetime) -> Backtest:
    if window.seconds > MAX_DAYS * 86_400:
        raise BadQuery("range", f"must be at most {MAX_DAYS} days for a backtest.")
    judged = stretches(rule, queries.kept_from(rule.metric, now), window.start_s, window.end_s)
    if not judged:
        raise BadQuery("range", "has nothing that the rule can be judged by: older figures are not kept.")
    replay = Replay(rule)
    changes: list[tuple[Change, int]] = []
    firings: list[Firing] = []
    drawn: list[tuple[Stretch, Mapping[Labels, Track]]] = []
    try:
        for stretch in judged:
            if stretch.precision == HOUR:
                found, tracks = _by_hours(rule, stretch)
                firings += found
            else:
                tracks = read_tracks(rule, stretch)
                if notices_silence(rule):
                    replay.demo = DemoGroups().among(tracks, rule, now)
                changes += [(change, stretch.precision) for change in replay.judge_all(tracks, stretch.moments)]
            drawn.append((stretch, tracks))
    except queries.TooManyGroups as error:
        raise BadQuery(
            "range", f"is too long for {error.groups:,} groups. Choose a shorter one, or filters in the rule."
        ) from None
    certain = {precision: _is_certain(rule, precision) for precision in (EXACT, MINUTE)}
    firings += firings_of(changes, replay.states, window.start_s, window.end_s, certain)
    return Backtest(
        rule,
        window,
        judged,
        [change for change, _ in changes],
        firings,
        _line(rule, window, drawn, firings),
        _data_from(drawn),
    )


def _is_certain(rule: RuleSpec, precision: int) -> bool:
    return precision == EXACT or rule.window_seconds >= MINUTE


def _by_hours(rule: RuleSpec, stretch: Stretch) -> tuple[list[Firing], dict[Labels, Track]]:
    """Return the firings of all groups in the hours of the stretch, and the values of the hours."""
    lookback = lookback_of(rule)
    starts = np.arange(stretch.start - lookback * HOUR, stretch.end, HOUR)
    windows = Windows(starts, starts + HOUR, HOUR)

    def read(stat: str) -> dict[Labels, queries.Moving]:
        spec = SeriesSpec(rule.metric, stat, rule.group_by or ())
        return queries.moving(spec, windows, filters_of(rule.filters))

    values = read(rule.stat)
    has_extremes = not is_total(rule) and rule.metric.kind is not Kind.RATIO
    least, greatest = (read("min"), read("max")) if has_extremes else (values, values)
    firings, tracks = [], {}
    for labels, own in values.items():
        hours = Hours(own.values, least[labels].values, greatest[labels].values, own.requests)
        firings += firings_in_hours(rule, labels, hours, starts, lookback)
        tracks[labels] = Track(own.values[lookback:], own.requests[lookback:], own.present[lookback:])
    return firings, tracks


def _data_from(drawn: list[tuple[Stretch, Mapping[Labels, Track]]]) -> int | None:
    """Return when the first group has a value."""
    first = [
        int(stretch.moments[np.argmax(known)])
        for stretch, tracks in drawn
        for track in tracks.values()
        if (known := ~np.isnan(track.values)).any()
    ]
    return min(first, default=None)


def _line(
    rule: RuleSpec,
    window: Window,
    drawn: list[tuple[Stretch, Mapping[Labels, Track]]],
    firings: list[Firing],
) -> Line | None:
    """Return the line of the group that fired longest; without one, of the group with the worst value.

    It has no values over fewer requests than the rule judges.
    """
    sign = -1 if rule.comparison in FALLING else 1
    totals = totals_of(firings)
    worst: dict[Labels, float] = {}
    for _, tracks in drawn:
        for labels, track in tracks.items():
            if (known := _judged(rule, track)).any():
                own = float((sign * track.values[known]).max())
                worst[labels] = max(own, worst.get(labels, own))
    if not worst:
        return None
    labels = totals[0].labels if totals else max(worst, key=lambda group: worst[group])
    coarsest = max(stretch.precision for stretch, _ in drawn)
    step = next(step for step in STEPS if step >= max(coarsest, window.seconds / POINTS))
    origin = window.start_s - window.start_s % step
    values = np.full(-(-(window.end_s - origin) // step), -np.inf)
    for stretch, tracks in drawn:
        if labels in tracks:
            place = (stretch.moments - origin) // step
            inside = (place >= 0) & (place < len(values)) & _judged(rule, tracks[labels])
            np.maximum.at(values, place[inside], sign * tracks[labels].values[inside])
    points = [
        (origin + number * step, None if value == -np.inf else sign * value)
        for number, value in enumerate(values.tolist())
    ]
    return Line(labels, step, points)


def _judged(rule: RuleSpec, track: Track) -> NDArray[np.bool_]:
    known: NDArray[np.bool_] = ~np.isnan(track.values) & (track.counts >= rule.min_count)
    return known
