"""The rows of the list as a template shows them: their texts, and the parts of their timing bars. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dashboard.formatting import Figure, duration
from dashboard.requests.columns import COLUMNS, Column
from metrics.queries.answers.parts_of_time import parts_of_time

# Outcome: its glyph, its words, and the class of its colour.
OUTCOMES = {
    "ok": ("●", "OK", "ok"),
    "client_error": ("▲", "client error", "warning"),
    "rate_limited": ("▲", "rate-limited", "warning"),
    "server_error": ("■", "server error", "critical"),
    "timeout": ("■", "timeout", "critical"),
    "cancelled": ("○", "cancelled", "muted"),
}
BAR = 1_000  # width of a bar in its own units
NICE = (1, 2, 3, 4, 6, 8)  # each with a half and quarters that are read easily
TICKS = 4


@dataclass(frozen=True)
class Part:
    """A part of a timing bar: what it is, and its place and width in units of the bar."""

    name: str
    x: float
    width: float
    text: str = ""


@dataclass(frozen=True)
class Status:
    """The outcome of a request in a glyph and a few words."""

    glyph: str
    text: str
    state: str
    code: int | None

    @property
    def short(self) -> str:
        """The status code where one is known, otherwise the words."""
        return str(self.code) if self.code is not None else self.text


@dataclass(frozen=True)
class ListedRow:
    """A row of the list."""

    id: int
    at: str
    clock: str
    model: str
    status: Status
    cells: Sequence[tuple[Column, str | Figure]]
    parts: Sequence[Part] = field(default_factory=tuple)
    broke_at: float | None = None


def status_of(row: Mapping[str, Any]) -> Status:
    """Return the outcome in words."""
    glyph, text, state = OUTCOMES.get(row["outcome"], ("■", str(row["outcome"]), "critical"))
    return Status(glyph, text, state, row["status_code"])


def bar(row: Mapping[str, Any], scale_ms: float, start_ms: float = 0.0) -> list[Part]:
    """Return the parts of a timing bar on a scale that is BAR wide. `start_ms`: where it begins."""
    parts, at = [], start_ms
    for name, length in parts_of_time(row["response_time_ms"], row["queue_time_ms"], row["ttft_ms"]).items():
        if length > 0:
            parts.append(
                Part(name, round(BAR * at / scale_ms, 2), round(BAR * length / scale_ms, 2), str(duration(length)))
            )
        at += length
    return parts


def nice_scale(longest_ms: float) -> float:
    """Return a round number of ms that is at least as long as the longest response."""
    magnitude = 1.0
    while magnitude * 10 <= longest_ms:
        magnitude *= 10
    return next((step * magnitude for step in (*NICE, 10) if step * magnitude >= longest_ms), 10 * magnitude)


def scale_of(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return the scale of the timing bars of a page."""
    return nice_scale(max((row["response_time_ms"] or 0.0 for row in rows), default=0.0) or 1.0)


def listed(rows: Sequence[Mapping[str, Any]]) -> list[ListedRow]:
    """Return the rows with bars on one scale."""
    scale = scale_of(rows)
    return [_listed(row, scale) for row in rows]


def _listed(row: Mapping[str, Any], scale: float) -> ListedRow:
    status = status_of(row)
    failed = not row["success"] and row["response_time_ms"] is not None
    return ListedRow(
        row["id"],
        row["timestamp"],
        row["timestamp"][11:23].rstrip("Z+"),
        row["model_name"],
        status,
        [(column, column.value(row)) for column in COLUMNS],
        bar(row, scale),
        round(BAR * row["response_time_ms"] / scale, 2) if failed else None,
    )


def end_of(row: Mapping[str, Any]) -> datetime:
    """Return when a request ended."""
    return datetime.fromisoformat(row["timestamp"])


def start_of(row: Mapping[str, Any]) -> datetime:
    """Return when a request was sent."""
    return end_of(row) - timedelta(milliseconds=row["response_time_ms"] or 0.0)
