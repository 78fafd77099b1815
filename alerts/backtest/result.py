"""What a backtest has found, in words and ready for JSON."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerts.backtest.firings import Firing, GroupTotal, totals_of
from alerts.backtest.moments import EXACT, Stretch, reasons_without_hours
from alerts.evaluation.judging import Change, Labels
from alerts.rules.spec import HOUR, MINUTE, RuleSpec
from alerts.rules.words import seconds_in_words
from metrics.queries import Window
from metrics.queries.time.window import RANGES, at_second, iso

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
        return is_certain(self.rule, precision)

    def sentence(self, now: datetime) -> str:
        """Return the result in words."""
        within = self._within(now)
        totals = self.groups
        count, seconds = sum(total.firings for total in totals), sum(total.seconds for total in totals)
        possible, possibly = sum(total.possible for total in totals), sum(total.possible_seconds for total in totals)
        if not count and not possible:
            return f"It would not have fired {within}."
        text = f"It would have fired {times(count)} {within}, for {duration_in_words(seconds)} in all."
        if not count:
            return f"It would possibly have fired {times(possible)} {within}, for up to {duration_in_words(possibly)}."
        return f"{text} Possibly {times(possible)} more, for up to {duration_in_words(possibly)}." if possible else text

    def _within(self, now: datetime) -> str:
        if self.window.end_s < Window.last(1, now).end_s:
            return "in this time"
        if self.window.seconds in {choice.seconds for choice in RANGES.values()}:
            return f"in the last {seconds_in_words(self.window.seconds).removeprefix('1 ')}"
        return f"since {_time_in_words(self.window.start_s)}"

    def notes(self) -> list[str]:
        """Return from when on the result has which precision, in words, newest first."""
        found = []
        for stretch in reversed(self.judged):
            since = _time_in_words(max(stretch.start, self.window.start_s))
            if stretch.precision == EXACT:
                found.append(f"Exact from {since} on.")
            elif stretch.precision == MINUTE:
                how = "± 1 minute" if self.is_certain(MINUTE) else "possible: the window is not of whole minutes"
                found.append(f"Judged at whole minutes from {since} on ({how}).")
            else:
                found.append(f"Judged by hours from {since} on, each certain or possible.")
        first = self.judged[0].start
        if first - self.window.start_s >= self.judged[0].precision:  # less is the way to the first whole minute
            reason = reasons_without_hours(self.rule) or "older figures are not kept"
            found.append(f"Not judged before {_time_in_words(first)}: {reason}.")
        if self.data_from is None:
            found.append("There is no data in this time.")
        elif self.data_from - max(first, self.window.start_s) > HOUR:
            found.append(f"There is no data before {_time_in_words(self.data_from)}.")
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


def _time_in_words(second: int) -> str:
    return f"{at_second(second):%-d %B, %H:%M} UTC"


def is_certain(rule: RuleSpec, precision: int) -> bool:
    """Return whether what fires when the rule is judged at this precision, of seconds or minutes, would have fired."""
    return precision == EXACT or rule.window_seconds % MINUTE == 0
