"""The backtest of one rule: it reads what is stored, and judges the rule over it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from alerts.backtest.firings import Firing, firings_of, totals_of
from alerts.backtest.hours import Hours, firings_in_hours, is_total, lookback_of
from alerts.backtest.moments import EXACT, Stretch, stretches
from alerts.backtest.readings import Track, is_judged, read_tracks
from alerts.backtest.replay import Replay
from alerts.backtest.result import Backtest, Line, is_certain
from alerts.evaluation.demo_groups import DemoGroups
from alerts.evaluation.judging import FALLING, Change, Labels
from alerts.evaluation.values import notices_silence
from alerts.rules.spec import HOUR, MINUTE, RuleSpec, filters_of, labels_of
from metrics import queries
from metrics.catalogue import Kind
from metrics.queries import BadQuery, SeriesSpec, Window, Windows
from metrics.queries.read.budget import query_budget
from metrics.queries.time.window import STEPS

MAX_DAYS = 90
POINTS = 240  # of the chart, at most


def backtest(rule: RuleSpec, window: Window, now: datetime) -> Backtest:
    """Return when a rule would have fired in a window. Raises BadQuery, QueryStopped."""
    with query_budget():
        return _backtest(rule, window, now)


def _backtest(rule: RuleSpec, window: Window, now: datetime) -> Backtest:
    if window.seconds > MAX_DAYS * 86_400:
        raise BadQuery("range", f"must be at most {MAX_DAYS} days for a backtest.")
    complete = math.floor(now.timestamp())  # the evaluations, too, read no second before its end
    judged = stretches(rule, queries.kept_from(rule.metric, now), window.start_s, min(window.end_s, complete))
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
    certain = {precision: is_certain(rule, precision) for precision in (EXACT, MINUTE)}
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


def _by_hours(rule: RuleSpec, stretch: Stretch) -> tuple[list[Firing], dict[Labels, Track]]:
    """Return the firings of all groups in the hours of the stretch, and the values of the hours."""
    lookback = lookback_of(rule)
    starts = np.arange(stretch.start - lookback * HOUR, stretch.end, HOUR)
    windows = Windows(starts, starts + HOUR, HOUR)

    def read(stat: str, labels: Sequence[str]) -> dict[Labels, queries.Moving]:
        return queries.moving(SeriesSpec(rule.metric, stat, tuple(labels)), windows, filters_of(rule.filters))

    group_by = rule.group_by or ()
    values = read(rule.stat, group_by)
    least = greatest = {labels: [own.values] for labels, own in values.items()}
    if not is_total(rule) and rule.metric.kind is not Kind.RATIO:
        names = labels_of(rule.metric) if rule.metric.kind is Kind.GAUGE else group_by
        least, greatest = _by_group(values, read("min", names)), _by_group(values, read("max", names))
    firings, tracks = [], {}
    for labels, own in values.items():
        if least[labels]:  # without labels, there is a group also without data
            hours = Hours(own.values, least[labels], greatest[labels], own.requests)
            firings += firings_in_hours(rule, labels, hours, starts, lookback)
        tracks[labels] = Track(own.values[lookback:], own.requests[lookback:], own.present[lookback:])
    return firings, tracks


def _by_group(
    groups: Iterable[Labels], instances: Mapping[Labels, queries.Moving]
) -> dict[Labels, list[NDArray[np.float64]]]:
    """Return the values of the instances of each group, which have its labels and others."""
    found: dict[Labels, list[NDArray[np.float64]]] = {labels: [] for labels in groups}
    names = {name for labels in found for name, _ in labels}
    for labels, own in instances.items():
        found[tuple(pair for pair in labels if pair[0] in names)].append(own.values)
    return found


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
            if (known := is_judged(rule, track)).any():
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
            inside = (place >= 0) & (place < len(values)) & is_judged(rule, tracks[labels])
            np.maximum.at(values, place[inside], sign * tracks[labels].values[inside])
    points = [
        (origin + number * step, None if value == -np.inf else sign * value)
        for number, value in enumerate(values.tolist())
    ]
    return Line(labels, step, points)
