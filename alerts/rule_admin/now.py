"""What a rule of the form would judge now: the value of each group, and the last values of the nearest one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from alerts.evaluation.alert_rows import foreign, state_of
from alerts.evaluation.judging import Judgement, Labels, Reading, judge
from alerts.evaluation.newest_values import distance
from alerts.evaluation.values import read_values
from alerts.models import Alert
from alerts.rules.spec import RuleKind, RuleSpec, filters_of_group
from alerts.rules.words import (
    GLYPHS,
    group_in_words,
    measured_in_words,
    seconds_in_words,
    sentence,
    unit_of,
    value_in_words,
    value_of,
)
from metrics import queries
from metrics.queries.time.window import STEPS

MAX_GROUPS = 8  # shown; those nearest to the threshold
WIDTH, HEIGHT = 400, 120  # of the chart
POINTS, SPAN_SECONDS = 12, 3_600


def now_of(rule: RuleSpec, at: datetime) -> dict[str, Any]:
    """Return what the panel shows."""
    context: dict[str, Any] = {"sentence": sentence(rule), "at": at}
    try:
        readings = read_values([rule], at)[rule.id]
        ordered = sorted(readings, key=lambda labels: distance(rule, readings[labels].value))
        context["groups"] = _groups(rule, ordered[:MAX_GROUPS], readings, at)
        context["more"] = max(0, len(ordered) - MAX_GROUPS)
        if ordered and readings[ordered[0]].value is not None and rule.kind is not RuleKind.CHANGE:
            context["chart"] = _chart(rule, ordered[0], at)
    except (queries.QueryStopped, queries.BadQuery) as error:
        context["problem"] = str(error)
    return context


def _groups(
    rule: RuleSpec, listed: Sequence[Labels], readings: Mapping[Labels, Reading], at: datetime
) -> list[dict[str, Any]]:
    """Return a row for each of these groups. `bar` and `tick` are in percent of the widest bar."""
    can_judge = rule.threshold is not None or rule.kind is RuleKind.NO_DATA
    open_alerts = list(Alert.objects.filter(rule_id=rule.id, ended_at=None))
    others = foreign(rule, open_alerts)  # of the stored rule, whose value is another one than that of the form
    states = {alert.key: state_of(alert) for alert in open_alerts if alert not in others}
    judgement = judge(rule, readings, states, at, None) if can_judge else Judgement({}, [], {})
    alerts = {alert.key: alert for alert in open_alerts if alert.key in judgement.states}
    values = [readings[labels].value or 0 for labels in listed]
    widest = 1.1 * max([*values, rule.threshold or 0, 1e-9])
    rows = []
    for labels in listed:
        reading, alert = readings[labels], alerts.get(labels)
        state = judgement.not_judged.get(labels, "")
        if alert:
            begun = alert.fired_at or alert.since
            state = f"{'fires' if alert.fired_at else 'pending'} since {begun:%H:%M} UTC"
        elif labels in judgement.states:
            state = "the condition holds"
        elif not state and rule.metric.type in ("inference", "error"):
            state = f"{reading.count:,} requests"
        rows.append({
            "name": _name(labels),
            "value": "no data" if reading.value is None else measured_in_words(reading.value, unit_of(rule)),
            "bar": 100 * max(reading.value or 0, 0) / widest,
            "tick": None if rule.threshold is None else 100 * max(rule.threshold, 0) / widest,
            "holds": labels in judgement.states,
            "glyph": GLYPHS[rule.severity] if labels in judgement.states or alert else "",
            "state": state,
        })  # fmt: skip
    return rows


def _name(labels: Labels) -> str:
    return group_in_words(dict(labels)) or "all together"


def _chart(rule: RuleSpec, labels: Labels, at: datetime) -> dict[str, Any] | None:
    """Return the line of one group, in steps as long as the rule's window where there are such steps."""
    step = next((step for step in STEPS if step >= max(60, rule.window_seconds)), STEPS[-1])
    span = max(SPAN_SECONDS, POINTS * step)
    filters = filters_of_group(rule.filters, dict(labels))
    spec = queries.SeriesSpec(rule.metric, rule.stat, rule.group_by or ())
    result = queries.series([spec], queries.Window.last(span, at), filters, step=step, now=at)
    line = next((line for line in result.lines if tuple(line.labels.items()) == labels), None)
    known = [value for value in line.values if value is not None] if line else []
    if line is None or not known:
        return None
    highest = 1.1 * max(*known, rule.threshold or 0, 1e-9)

    def y(value: float) -> float:
        return round(HEIGHT * (1 - max(value, 0) / highest), 1)

    points = [(WIDTH * (index + 0.5) / len(line.values), value) for index, value in enumerate(line.values)]
    unit = unit_of(rule)
    return {
        "group": _name(labels),
        "title": value_of(rule),
        "span": seconds_in_words(span),
        "step": seconds_in_words(step),
        "lines": [
            [(round(x, 1), y(value)) for x, value in part if value is not None]
            for is_known, part in groupby(points, key=lambda point: point[1] is not None)
            if is_known
        ],
        "threshold": None if rule.threshold is None else y(rule.threshold),
        "threshold_text": None if rule.threshold is None else value_in_words(rule.threshold, unit),
        "lowest": measured_in_words(min(known), unit),
        "highest": measured_in_words(max(known), unit),
        "width": WIDTH,
        "height": HEIGHT,
    }
