"""When a rule of the form would have fired: the sentence, the groups, and the line of one of them."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby
from typing import Any

from alerts.backtest.backtest import backtest
from alerts.backtest.firings import Firing
from alerts.backtest.result import Backtest, duration_in_words, times
from alerts.rules.spec import RuleKind, RuleSpec
from alerts.rules.words import group_in_words, measured_in_words, seconds_in_words, unit_of, value_in_words, value_of
from metrics import queries
from metrics.queries.time.window import RANGES, Window, at_second

FIELD = "backtest_range"
CHOICES = ("24h", "7d", "30d")
DEFAULT_RANGE = "7d"
MAX_GROUPS, MAX_FIRINGS = 8, 5  # shown
WIDTH, HEIGHT = 400, 120  # of the chart
LEAST_WIDTH = 2.0  # of a firing


def backtest_of(rule: RuleSpec, chosen: str | None, now: datetime) -> dict[str, Any]:
    """Return what the panel shows of a checked rule, which may lack a threshold."""
    name = chosen if chosen in CHOICES else DEFAULT_RANGE
    context = choices_of(name)
    if rule.threshold is None and rule.kind is not RuleKind.NO_DATA:
        return context | {"backtest_problem": "A threshold is needed to say when the rule would have fired."}
    try:
        result = backtest(rule, Window.last(RANGES[name].seconds, now), now)
    except (queries.QueryStopped, queries.BadQuery) as error:
        return context | {"backtest_problem": str(error)}
    totals = result.groups
    newest = sorted(result.firings, key=lambda firing: -firing.end)
    return context | {
        "backtest": {
            "sentence": result.sentence(now),
            "groups": [
                {
                    "name": group_in_words(dict(total.labels)) or "all together",
                    "times": times(total.firings) if total.firings else f"possibly {times(total.possible)}",
                    "duration": duration_in_words(total.seconds or total.possible_seconds),
                }
                for total in totals[:MAX_GROUPS]
            ],
            "more": max(0, len(totals) - MAX_GROUPS),
            "newest": [_shown(rule, firing) for firing in newest[:MAX_FIRINGS]],
            "chart": _chart(result),
            "notes": result.notes(),
        }
    }


def choices_of(name: str | None) -> dict[str, Any]:
    """Return the ranges to choose from."""
    chosen = name if name in CHOICES else DEFAULT_RANGE
    return {"backtest_ranges": [(choice, RANGES[choice].title, choice == chosen) for choice in CHOICES]}


def _shown(rule: RuleSpec, firing: Firing) -> dict[str, str]:
    start, end = at_second(firing.start), at_second(firing.end)
    by_seconds = firing.precision < 60
    until = "now" if firing.is_open else f"{end:{'%H:%M:%S' if by_seconds else '%H:%M'}}"
    return {
        "group": group_in_words(dict(firing.labels)) or "all together",
        "time": f"{start:{'%-d %b %H:%M:%S' if by_seconds else '%-d %b %H:%M'}} – {until}",
        "peak": "" if firing.peak is None else measured_in_words(firing.peak, unit_of(rule)),
        "certainty": "" if firing.is_certain else "possible",
    }


def _chart(result: Backtest) -> dict[str, Any] | None:
    """Return the line of one group, with its firings as rectangles."""
    line, rule, window = result.line, result.rule, result.window
    if line is None:
        return None
    known = [value for _, value in line.points if value is not None]
    bounds = [*known, 0.0, *([] if rule.threshold is None else [rule.threshold])]
    lowest, highest = min(bounds), max(bounds)
    height = max(1.1 * (highest - lowest), 1e-9)

    def x(second: float) -> float:
        return round(WIDTH * min(max((second - window.start_s) / window.seconds, 0), 1), 1)

    def y(value: float) -> float:
        return round(HEIGHT * (1 - (value - lowest) / height), 1)

    unit = unit_of(rule)
    own = [firing for firing in result.firings if firing.labels == line.labels]
    return {
        "group": group_in_words(dict(line.labels)) or "all together",
        "title": value_of(rule),
        "step": seconds_in_words(line.step_seconds).removeprefix("1 "),
        "lines": [
            [(x(second + line.step_seconds / 2), y(value)) for second, value in part if value is not None]
            for is_known, part in groupby(line.points, key=lambda point: point[1] is not None)
            if is_known
        ],
        "firings": [
            (x(one.start), max(x(one.end) - x(one.start), LEAST_WIDTH), "fired" if one.is_certain else "fired possible")
            for one in own
        ],
        "threshold": None if rule.threshold is None else y(rule.threshold),
        "threshold_text": None if rule.threshold is None else value_in_words(rule.threshold, unit),
        "lowest": measured_in_words(min(known), unit) if known else "",
        "highest": measured_in_words(max(known), unit) if known else "",
        "start": f"{at_second(window.start_s):%-d %b %H:%M}",
        "width": WIDTH,
        "height": HEIGHT,
    }
