"""Numbers for people: three significant digits, then the unit; an em dash where there is no data.

`static/dashboard/js/page/format.js` has the same rules, because the server renders a page and its scripts update it.
Tests check both against one file of cases, `tests/dashboard/format_cases.json`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import NamedTuple

NO_DATA = "—"
LEAST = 0.001  # values below half of this are shown as "<0.001"
ANY_FLOAT = Context(prec=400)  # digits; the largest float has 309 before its point
SPACE = "\u00a0"  # no-break: a number and its unit stay on one line


class Figure(NamedTuple):
    """A number and its unit. They are separate because a tile shows the unit in a smaller font."""

    number: str
    unit: str = ""

    def __str__(self) -> str:
        return f"{self.number}{SPACE}{self.unit}" if self.unit else self.number


NO_FIGURE = Figure(NO_DATA)


def fixed(value: float, places: int) -> str:
    """Return `value` with this many decimals and commas between thousands.

    A half is rounded up, as browsers do: 812.5 is 813. Python's own formatting would round it to the even 812.
    """
    exponent = Decimal(1).scaleb(-places)
    return f"{Decimal(repr(float(value))).quantize(exponent, ROUND_HALF_UP, ANY_FLOAT):,f}"


def significant(value: float, digits: int = 3) -> str:
    """Return `value` with this many significant digits and commas between thousands, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) < LEAST / 2:
        return f"<{LEAST:g}"
    magnitude = math.floor(math.log10(abs(value)))
    places = max(0, digits - 1 - magnitude)
    text = fixed(value, places)
    # 9.996 rounds to 10.00: one digit too many.
    if places and len(text.replace(",", "").replace(".", "").lstrip("-0")) > digits:
        text = fixed(value, places - 1)
    return text


def duration(milliseconds: float | None) -> Figure:
    """Return a duration: 0.42 ms, 184 ms, 1.84 s, 1 m 32 s, 2 h 5 m."""
    if milliseconds is None:
        return NO_FIGURE
    if milliseconds < 999.5:
        return Figure("0" if milliseconds == 0 else significant(milliseconds), "ms")
    seconds = milliseconds / 1000
    if seconds < 59.95:
        return Figure(significant(seconds), "s")
    whole = math.floor(seconds + 0.5)
    if whole < 3600:
        return Figure(f"{whole // 60}{SPACE}m{SPACE}{whole % 60}", "s")
    return Figure(f"{whole // 3600}{SPACE}h{SPACE}{whole % 3600 // 60}", "m")


def ago(seconds: float) -> str:
    """Return how long ago: now, 3 s ago, 2 min ago, 5 h ago, 4 days ago."""
    if seconds < 1:
        return "now"
    for limit, length, unit in ((100, 1, "s"), (5_400, 60, "min"), (129_600, 3_600, "h")):
        if seconds < limit:
            return f"{round(seconds / length)}{SPACE}{unit} ago"
    return f"{round(seconds / 86_400)}{SPACE}days ago"


def compact(value: float | None, unit: str = "") -> Figure:
    """Return a number with a prefix for large values: 12.4, 1.84 k, 3.10 M; the unit follows the prefix."""
    if value is None:
        return NO_FIGURE
    for limit, prefix in ((999.5e6, "G"), (999.5e3, "M"), (999.5, "k")):
        if abs(value) >= limit:
            scaled = value / {"G": 1e9, "M": 1e6, "k": 1e3}[prefix]
            return Figure(significant(scaled), f"{prefix}{SPACE}{unit}" if unit else prefix)
    return Figure(significant(value), unit)


def rate(value: float | None, per: str) -> Figure:
    """Return a number per second, or per minute, hour or day where it would be below 1: 12.4 per s, 22.0 per h.

    `per` is the unit without its time, such as "tok/". Less than one in a day is shown as "<1".
    """
    return rates([value], per)[0]


def rates(values: Sequence[float | None], per: str) -> list[Figure]:
    """Return the rates of a column in one unit, that of the highest, so that they can be compared and added up."""
    unit = _time_of_rate(max((value for value in values if value), default=None))
    return [_rate_in(unit, value, per) for value in values]


def _time_of_rate(value: float | None) -> tuple[str, int]:
    """Return the shortest time in which the rate is at least 1, and its seconds; a day where it is less."""
    times = (("s", 1), ("min", 60), ("h", 3_600), ("day", 86_400))
    return next((time for time in times if not value or value * time[1] >= 1), times[-1])


def _rate_in(unit: tuple[str, int], value: float | None, per: str) -> Figure:
    time, seconds = unit
    if value and time == "day" and value * seconds < 1:
        return Figure("<1", f"{per}day")
    return compact(value and value * seconds, f"{per}{time}")


def percent(value: float | None) -> Figure:
    """Return a percentage: one decimal below 10, none above. Small values are shown as `<0.1`, not as 0."""
    if value is None:
        return NO_FIGURE
    if value == 0:
        return Figure("0", "%")
    if 0 < value < 0.05:
        return Figure("<0.1", "%")
    return Figure(fixed(value, 1 if abs(value) < 9.95 else 0), "%")


def whole(value: float | None, unit: str = "") -> Figure:
    """Return a count: 1,414. An average of counts has one decimal below 10."""
    if value is None:
        return NO_FIGURE
    return Figure(fixed(value, 0 if value == int(value) or abs(value) >= 9.95 else 1), unit)


def bytes_figure(value: float | None) -> Figure:
    """Return a number of bytes: 512 bytes, 46.3 MiB, 3.70 GiB."""
    if value is None:
        return NO_FIGURE
    for limit, unit in ((1024**3, "GiB"), (1024**2, "MiB"), (1024, "KiB")):
        if abs(value) >= limit:
            return Figure(significant(value / limit), unit)
    return whole(value, "bytes")


def money(value: float | None) -> Figure:
    """Return dollars: two decimals from 1 on, three significant digits below. An unknown price is no data, not $0."""
    if value is None:
        return NO_FIGURE
    if value == 0:
        return Figure("$0")
    places = 2 if abs(value) >= 0.9995 else 2 - math.floor(math.log10(abs(value)))
    return Figure(f"${value:,.{places}f}")


COUNTED = ("requests", "errors", "GPUs", "problems", "rules", "messages")  # units of whole numbers


def in_unit(value: float | None, unit: str) -> Figure:
    """Return a value in the unit of its metric: 1.84 s, 12 %, 1,500 requests, 85.4 °C."""
    if unit == "ms":
        return duration(value)
    if unit == "s":
        return duration(None if value is None else 1000 * value)
    if unit == "%":
        return percent(value)
    if unit in COUNTED:
        return whole(value, unit.removesuffix("s") if value == 1 else unit)
    return compact(value, unit.replace("tokens", "tok"))


def threshold_text(value: float | None, unit: str) -> str:
    """Return a threshold in its unit without trailing zeros: 5 s, 48 h, 10 %, 85 °C; of counted things the number."""
    number, shown = in_unit(value, unit)
    if number.endswith(f"{SPACE}0"):
        return number.removesuffix(f"{SPACE}0")  # of 1 m 0 s and 48 h 0 m
    number = number.rstrip("0").rstrip(".") if "." in number else number
    return str(Figure(number, "" if unit in COUNTED else shown))


FORMATS: dict[str, Callable[[float | None], Figure]] = {
    "duration": duration,
    "rate": lambda value: rate(value, "per "),
    "throughput": lambda value: rate(value, "tok/"),
    "percent": percent,
    "requests": whole,
    "pending": lambda value: whole(value, "pending"),
    "compact": compact,
}


class Change(NamedTuple):
    """The change of a value since the window before, in words."""

    text: str
    judgement: str  # "worse", "better", or "" where the change is neutral or small


NO_CHANGE = Change("", "")
SMALL_PERCENT = 5.0  # a smaller change is grey, because two windows always differ a little


def change(name: str, now: float | None, before: float | None, worse: str | None) -> Change:
    """Return the change from `before` to `now`; `worse` is the direction that is worse ("up", "down"), if either is.

    Most changes are in percent (`▲ 118 %`), those of percentages in points (`▲ 1.4 points`). Queues, and values that
    grew more than tenfold, name the old value instead (`▲ from 2`).
    """
    if now is None or before is None:
        return NO_CHANGE
    difference = now - before
    if name == "percent":
        if abs(difference) < 0.05:
            return Change("no change", "")
        size, large = f"{fixed(abs(difference), 1)} points", abs(difference) >= 1.0
    elif name == "pending" or before == 0 or abs(now) > 10 * abs(before):
        if fixed(now, 1) == fixed(before, 1):
            return Change("no change", "")
        old = FORMATS[name](before)
        size = f"from {old.number if old.unit == FORMATS[name](now).unit else old}"
        large = abs(difference) >= 1.0
    else:
        share = 100 * difference / abs(before)
        if abs(share) < 0.5:
            return Change("no change", "")
        size, large = f"{fixed(abs(share), 0)}{SPACE}%", abs(share) >= SMALL_PERCENT
    arrow = "▲" if difference > 0 else "▼"
    judgement = ""
    if worse and large:
        judgement = "worse" if (difference > 0) == (worse == "up") else "better"
    return Change(f"{arrow}{SPACE}{size}", judgement)
