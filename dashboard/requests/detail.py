"""Everything about one request: for its page, and for the drawer beside the list."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.http import QueryDict
from django.utils import timezone

from dashboard.formatting import compact, duration, money, whole
from dashboard.health import ENOUGH_REQUESTS
from dashboard.models.address import model_url
from dashboard.page_query import read
from dashboard.reading import Reading
from dashboard.requests.rows import BAR, Part, Status, bar, end_of, nice_scale, start_of, status_of
from metrics import catalogue, queries
from metrics.queries import Filters, Window

MAX_NEIGHBOURS = 40
MAX_OF_TRACE = 50
AROUND = timedelta(seconds=30)  # of neighbours
AROUND_TRACE = timedelta(minutes=10)
MOST_OF_SCALE = 3  # times the response time
LINE = 9  # height of a row of a time line
MAX_METADATA = 50
LIBRARIES = ("site-packages", "dist-packages", "/lib/python", "<frozen ")

Row = Mapping[str, Any]


@dataclass(frozen=True)
class LineRow:
    """A request on a time line."""

    id: int
    text: str
    state: str
    y: int
    parts: Sequence[Part]
    is_this: bool


@dataclass(frozen=True)
class Mark:
    """A mark below a timing bar: where, in percent of its width, and what. `after`: its text is right of it."""

    x: float
    text: str

    @property
    def after(self) -> bool:
        """Whether its text is right of it, where there is more room."""
        return self.x < 50


@dataclass(frozen=True)
class Attempt:
    """One of the requests with the same request id."""

    id: int
    number: int
    text: str
    is_this: bool


@dataclass(frozen=True)
class TimeLine:
    """Requests on one scale of time, the first sent first."""

    rows: Sequence[LineRow]
    start: str
    seconds: str

    @property
    def height(self) -> int:
        """The height of the drawing."""
        return LINE * len(self.rows)


def detail(number: int, now: datetime | None = None) -> dict[str, Any] | None:
    """Return the context of `requests/detail.html`; None if there is no such request."""
    row = queries.request(number)
    if row is None:
        return None
    now = now or timezone.now()
    reading = Reading(read(QueryDict(), now), now)
    total = row["response_time_ms"]
    usual = reading.read("The percentiles of the model", lambda: percentiles_at(row, now)) if total else None
    # Those of a model whose requests take much longer would make the bar too short to be read.
    longest = max([total or 0, *(value for value in (usual or {}).values() if value < MOST_OF_SCALE * (total or 0))])
    scale = nice_scale(longest) if longest else 1.0
    status = status_of(row)
    return {
        "row": row,
        "model_url": model_url(row["model_name"]),
        "status": status,
        "failed": not row["success"],
        "response": duration(total),
        "parts": bar(row, scale),
        "broke": None if row["success"] or not total else round(BAR * (total or 0) / scale, 2),
        "ticks": [(round(BAR * share, 1), duration(scale * share)) for share in (0, 0.25, 0.5, 0.75, 1)]
        if total
        else [],
        "summary": timing_text(row),
        "marks": marks(row, usual or {}, scale),
        "attempts": reading.read("The attempts", lambda: attempts(row)),
        "tokens": _tokens(row),
        "parameters": _parameters(row),
        "metadata": metadata_of(row["metadata"]),
        "error": row["error"],
        "message": (row["error"] or {}).get("error_message") or row["error_message"],
        "error_type": (row["error"] or {}).get("error_type") or row["error_type"],
        "frames": frames_of((row["error"] or {}).get("stack_trace")),
        "neighbours": reading.read("The neighbours", lambda: neighbours(row)),
        "trace": reading.read("The trace", lambda: trace(row)) if row["trace_id"] else None,
        "machine": reading.read("The machine", lambda: queries.gpus_at(row["host"], end_of(row)))
        if row["host"]
        else None,
        "notices": reading.notices,
    }


def timing_text(row: Row) -> str:
    """Return the response time in a sentence: `5.78 s, 67 % of it waiting`."""
    total, queue = row["response_time_ms"], row["queue_time_ms"]
    if total is None:
        return "No response time is known."
    text = str(duration(total))
    if queue and total > 0:
        rest = duration(max(0, total - queue))
        text += f", {min(100, round(100 * queue / total))} % of it waiting; without the queue {rest}"
    return text + "."


def percentiles_at(row: Row, now: datetime) -> dict[str, float]:
    """Return P50 and P95 of the model in the minute of the request, by name; none of too few requests."""
    minute = int(end_of(row).timestamp()) // 60 * 60
    result = queries.distribution(
        catalogue.get("inference.response_time_ms"),
        Window.of_seconds(minute, minute + 60),
        Filters(model=(row["model_name"],)),
        now,
    )
    if result.count < ENOUGH_REQUESTS or result.window.seconds > 60:  # older data are kept by the hour
        return {}
    return {name.upper(): value for name in ("p50", "p95") if (value := result.percentiles[name]) is not None}


def marks(row: Row, usual: Mapping[str, float], scale: float) -> list[Mark]:
    """Return the marks below the timing bar: the first token, and percentiles of the model where the scale has them."""
    values = {"first token": row["ttft_ms"], **{f"{name} of the model": value for name, value in usual.items()}}
    return [
        Mark(round(100 * value / scale, 2), f"{name} {duration(value)}")
        for name, value in values.items()
        if value is not None and value <= scale
    ]


def attempts(row: Row) -> list[Attempt]:
    """Return the requests with the same request id around this one, the first sent first; none where it is alone."""
    rows = queries.requests(
        Filters(request_id=row["request_id"]), window=_around(row, AROUND_TRACE), limit=MAX_OF_TRACE
    )
    ordered = sorted(rows.results, key=start_of)
    if len(ordered) < 2:
        return []
    return [
        Attempt(
            one["id"],
            number,
            f"{one['model_name']}, {status_of(one).text}, {duration(one['response_time_ms'])}",
            one["id"] == row["id"],
        )
        for number, one in enumerate(ordered, 1)
    ]


def _around(row: Row, time: timedelta) -> Window:
    at = end_of(row)
    return Window.of_seconds(int((at - time).timestamp()), int((at + time).timestamp()) + 1)


def metadata_of(value: Any) -> list[tuple[str, str]]:
    """Return metadata as names and texts."""
    if value in (None, {}, [], ""):
        return []
    items = value.items() if isinstance(value, Mapping) else [("metadata", value)]
    return [
        (str(name), item if isinstance(item, str) else json.dumps(item, ensure_ascii=False))
        for name, item in list(items)[:MAX_METADATA]
    ]


def frames_of(stack: str | None) -> list[tuple[bool, str]]:
    """Return a stack trace in pieces: (whether its frames are those of libraries, text)."""
    pieces: list[tuple[bool, list[str]]] = []
    for line in (stack or "").splitlines():
        starts = line.lstrip().startswith("File ")
        is_frame = starts or line.startswith("    ")
        library = starts and any(part in line for part in LIBRARIES)
        if not starts and is_frame and pieces:
            library = pieces[-1][0]  # the code of the frame before
        if pieces and pieces[-1][0] == library:
            pieces[-1][1].append(line)
        else:
            pieces.append((library, [line]))
    return [(library, "\n".join(lines)) for library, lines in pieces]


def neighbours(row: Row) -> TimeLine | None:
    """Return the requests of the same model that ended around the time of this one, those nearest to it."""
    label = Filters(model=(row["model_name"],))
    others = queries.requests_around(row, label, window=_around(row, AROUND), each=MAX_NEIGHBOURS)
    return time_line(nearest(others, row), row)


def nearest(rows: Sequence[Row], row: Row, most: int = MAX_NEIGHBOURS) -> list[Row]:
    """Return the rows whose ends are nearest to that of `row`, with itself."""
    at = end_of(row)
    others = sorted((other for other in rows if other["id"] != row["id"]), key=lambda other: abs(end_of(other) - at))
    return [row, *others[: most - 1]]


def trace(row: Row) -> TimeLine | None:
    """Return the requests of the same trace."""
    of_trace = Filters(trace_id=row["trace_id"])
    return time_line(queries.requests(of_trace, window=_around(row, AROUND_TRACE), limit=MAX_OF_TRACE).results, row)


def time_line(rows: Sequence[Row], this: Row) -> TimeLine | None:
    """Return requests on one scale; None where this one is alone."""
    if len(rows) < 2:
        return None
    ordered = sorted(rows, key=start_of)
    first = start_of(ordered[0])
    length = max((end_of(row) - first).total_seconds() * 1000 for row in ordered) or 1.0
    lines = []
    for index, row in enumerate(ordered):
        status: Status = status_of(row)
        parts = bar(row, length, (start_of(row) - first).total_seconds() * 1000)
        text = f"{row['model_name']}, {status.short}, {duration(row['response_time_ms'])}"
        lines.append(LineRow(row["id"], text, status.state, LINE * index, parts, row["id"] == this["id"]))
    return TimeLine(lines, first.isoformat(), str(duration(length)))


def _tokens(row: Row) -> list[tuple[str, Any]]:
    values = [
        ("Prompt", whole(row["prompt_tokens"])),
        ("from the cache", whole(row["cached_tokens"])),
        ("Output", whole(row["completion_tokens"])),
        ("reasoning", whole(row["reasoning_tokens"])),
        ("Per output token", duration(row["time_per_output_token_ms"])),
        ("Generation speed", compact(row["tokens_per_second"], "tok/s")),
        ("Cost", money(row["cost_usd"])),
    ]
    optional = {"from the cache": "cached_tokens", "reasoning": "reasoning_tokens"}
    return [(name, value) for name, value in values if name not in optional or row[optional[name]] is not None]


def _parameters(row: Row) -> list[tuple[str, Any]]:
    values = [
        ("operation", row["operation"]),
        ("temperature", row["temperature"]),
        ("max_tokens", whole(row["max_tokens"]) if row["max_tokens"] is not None else None),
        ("stream", None if row["stream"] is None else "yes" if row["stream"] else "no"),
        ("finish_reason", row["finish_reason"]),
        ("user", row["user"]),
        ("span", row["span_id"]),
    ]
    return [(name, value) for name, value in values if value not in (None, "")]
