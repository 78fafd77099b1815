"""Numbers as people read them: three significant digits, the unit beside them, an em dash where nothing was measured.

The same rules stand in `static/dashboard/js/page/format.js`, because a page is rendered here first and lives on there. Both
are held to one table of cases, `tests/dashboard/format_cases.json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

NO_DATA = "—"
LEAST = 0.001  # what is smaller than half of this is said to be below it
SPACE = "\u00a0"  # a figure and its unit stay on one line


class Figure(NamedTuple):
    """A number and its unit, apart because a tile shows the unit smaller."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number}{SPACE}{self.unit}" if self.unit else self.number


NOTHING = Figure(NO_DATA)


def significant(value: float, digits: int = 3) -> str:
    """`value` with so many significant digits, never in scientific notation, thousands with a comma."""
    if value == 0:
        return "0"
    if abs(value) < LEAST / 2:
        return f"<{LEAST:g}"
    magnitude = math.floor(math.log10(abs(value)))
    places = max(0, digits - 1 - magnitude)
    text = f"{value:,.{places}f}"
    # 9.996 rounds to 10.00: one digit too many.
    if places and len(text.replace(",", "").replace(".", "").lstrip("-0")) > digits:
        text = f"{value:,.{places - 1}f}"
    return text


def duration(milliseconds: float | None) -> Figure:
    """0.42 ms, 184 ms, 1.84 s, 1 m 32 s, 2 h 5 m."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < 999.5:
        return Figure("0" if milliseconds == 0 else significant(milliseconds), "ms")
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return Figure(significant(seconds), "s")
    whole = round(seconds)
    if whole < 3600:
        return Figure(f"{whole // 60}{SPACE}m{SPACE}{whole % 60}", "s")
    return Figure(f"{whole // 3600}{SPACE}h{SPACE}{whole % 3600 // 60}", "m")


def compact(value: float | None, unit: str = "") -> Figure:
    """12.4, 1.84 k, 3.10 M with the unit after the prefix."""
    if value is None:
        return NOTHING
    for limit, prefix in ((999.5e6, "G"), (999.5e3, "M"), (999.5, "k")):
        if abs(value) >= limit:
            scaled = value / {"G": 1e9, "M": 1e6, "k": 1e3}[prefix]
            return Figure(significant(scaled), f"{prefix}{SPACE}{unit}" if unit else prefix)
    return Figure(significant(value), unit)


def percent(value: float | None) -> Figure:
    """One decimal under 10, whole numbers above. Little is not nothing: `<0.1`."""
    if value is None:
        return NOTHING
    if value == 0:
        return Figure("0", "%")
    if 0 < value < 0.05:
        return Figure("<0.1", "%")
    return Figure(f"{value:.1f}" if abs(value) < 9.95 else f"{value:.0f}", "%")


def whole(value: float | None, unit: str = "") -> Figure:
    """A count: 1,414; a mean of counts keeps one decimal under 10."""
    if value is None:
        return NOTHING
    text = f"{value:,.0f}" if value == int(value) or abs(value) >= 9.95 else f"{value:.1f}"
    return Figure(text, unit)


def gigabytes(value: float | None) -> Figure:
    """GiB with three significant digits."""
    return NOTHING if value is None else Figure(significant(value), "GiB")


FORMATS: dict[str, Callable[[float | None], Figure]] = {
    "duration": duration,
    "per_second": lambda value: compact(value, "per s"),
    "throughput": lambda value: compact(value, "tok/s"),
    "percent": percent,
    "requests": whole,
    "pending": lambda value: whole(value, "pending"),
    "gigabytes": gigabytes,
    "compact": compact,
}


class Change(NamedTuple):
    """How a figure moved against the window before, and whether that is a judgement."""

    text: str
    judgement: str  # "worse", "better", or "" where neither is meant or the change is small


NO_CHANGE = Change("", "")
SMALL_PERCENT = 5.0  # a change up to this is said in grey: figures of two windows always differ a little


def change(name: str, now: float | None, before: float | None, worse: str | None) -> Change:
    """`▲ 118 %` for most, `▲ 1.4 points` for percentages, `▲ from 2` for queues and what grew more than tenfold."""
    if now is None or before is None:
        return NO_CHANGE
    difference = now - before
    if name == "percent":
        if abs(difference) < 0.05:
            return Change("no change", "")
        size, large = f"{abs(difference):.1f} points", abs(difference) >= 1.0
    elif name == "pending" or before == 0 or abs(now) > 10 * abs(before):
        if round(now, 1) == round(before, 1):
            return Change("no change", "")
        size, large = f"from {FORMATS[name](before).number}", abs(difference) >= 1.0
    else:
        share = 100 * difference / abs(before)
        if abs(share) < 0.5:
            return Change("no change", "")
        size, large = f"{abs(share):.0f}{SPACE}%", abs(share) >= SMALL_PERCENT
    arrow = "▲" if difference > 0 else "▼"
    judgement = ""
    if worse and large:
        judgement = "worse" if (difference > 0) == (worse == "up") else "better"
    return Change(f"{arrow}{SPACE}{size}", judgement)
