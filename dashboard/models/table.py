"""The rows of the table of models. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dashboard.formatting import (
    NO_CHANGE,
    NO_FIGURE,
    Change,
    Figure,
    change,
    compact,
    duration,
    money,
    percent,
    whole,
)
from dashboard.health import ENOUGH_REQUESTS, SLOW, error_rate

Row = dict[str, Any]
DEFAULT_SORT = "-requests"
ENOUGH_FOR_P99 = 100  # requests
JUDGED_SHARE = 0.2  # of P95, from which on a change is worse or better
MAX_NAMES = 4


@dataclass(frozen=True)
class Column:
    """A column: its title, the value that a row has in it, which rows are sorted by, and how the value is shown."""

    name: str
    title: str
    field: str
    format: Any
    wide: bool = True  # not shown on a phone
    help: str = ""


COLUMNS = (
    Column("requests", "Requests", "total_requests", whole, wide=False),
    Column("share", "Share", "share", percent),
    Column("p50", "P50", "p50_response_time_ms", duration),
    Column("p95", "P95", "p95_response_time_ms", duration, wide=False),
    Column("p99", "P99", "p99_response_time_ms", duration, help=f"Of models with at least {ENOUGH_FOR_P99} requests."),
    Column("change", "P95 change", "p95_change", None, help="Against the window before."),
    Column("ttft", "First token P95", "p95_ttft_ms", duration),
    Column("speed", "Speed", "avg_tokens_per_second", lambda value: compact(value, "tok/s"),
           help="Output tokens per second of one request, on average."),
    Column("errors", "Errors", "error_rate_percent", percent, wide=False),
    Column("prompt", "Tokens in", "prompt_tokens", compact),
    Column("completion", "out", "completion_tokens", compact),
    Column("cost", "Cost", "cost_usd", money, help="Of the requests whose price is known."),
    Column("per_1000", "per 1,000", "cost_per_1000", money, help="Cost of 1,000 requests whose price is known."),
)  # fmt: skip
SORTS = {"model": "model_name"} | {column.name: column.field for column in COLUMNS}
PERCENTILES = ("p50_response_time_ms", "p95_response_time_ms", "p99_response_time_ms", "p95_ttft_ms")


@dataclass(frozen=True)
class Cell:
    """A value in the table. `kind`: "warning", "critical", "worse", "better" or empty."""

    figure: Figure
    wide: bool
    kind: str = ""
    change: Change | None = None


@dataclass(frozen=True)
class ModelRow:
    """A model in the table."""

    name: str
    providers: str
    names: str  # those that were sent, if they are read as one model by aliases
    modelled: bool
    share: float | None
    cells: tuple[Cell, ...]


def with_shares(rows: Sequence[Row], total: int | None) -> list[Row]:
    """Return the rows with what is computed from their figures; percentiles of few requests are None."""
    return [_with_shares(row, total) for row in rows]


def _with_shares(row: Row, total: int | None) -> Row:
    row = {**row, "previous": dict(row.get("previous") or {})}
    for figures in (row, row["previous"]):
        if (figures.get("total_requests") or 0) < ENOUGH_REQUESTS:
            figures.update(dict.fromkeys(PERCENTILES))
    if (row.get("total_requests") or 0) < ENOUGH_FOR_P99:
        row["p99_response_time_ms"] = None
    requests, cost = row.get("total_requests") or 0, row.get("cost_usd")
    priced = requests - (row.get("unpriced_requests") or 0)
    now, before = row["p95_response_time_ms"], row["previous"]["p95_response_time_ms"]
    return row | {
        "share": 100 * requests / total if total else None,
        "p95_change": 100 * (now - before) / before if now is not None and before else None,
        "cost_per_1000": 1_000 * cost / priced if cost is not None and priced > 0 else None,
    }


def sort_of(text: str) -> str:
    """Return the order that an address names, `p95` or `-p95` for the largest first; the default for another text."""
    return text if text.removeprefix("-") in SORTS else DEFAULT_SORT


def sort_rows(rows: Sequence[Row], sort: str) -> list[Row]:
    """Return the rows in an order. Those without the value are last in both directions."""
    name, descending = SORTS[sort.removeprefix("-")], sort.startswith("-")
    known = [row for row in rows if row.get(name) is not None]
    return [
        *sorted(known, key=lambda row: row[name], reverse=descending),
        *(row for row in rows if row.get(name) is None),
    ]


def total_row(summary: Row, comparable: bool) -> ModelRow:
    """Return the row of all models. It is not judged, because the models have different speeds."""
    total = with_shares([{**summary, "model_name": "All models"}], summary["total_requests"])[0]
    row = model_row(total, comparable)
    return replace(row, cells=tuple(replace(cell, kind="") for cell in row.cells))


def model_row(row: Row, comparable: bool, columns: Sequence[Column] = COLUMNS) -> ModelRow:
    """Return a row as it is shown. `comparable`: whether changes are worth showing."""
    return ModelRow(
        str(row["model_name"]),
        ", ".join(row.get("providers") or ()),
        names_as_sent(row.get("aliases") or ()),
        bool(row.get("modelled")),
        row["share"],
        tuple(_cell(column, row, comparable) for column in columns),
    )


def names_as_sent(names: Sequence[str]) -> str:
    """Return the names of a group of aliases: `sent as gpt-4o, gpt-4o-2024-08-06`; empty for none."""
    if not names:
        return ""
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return f"sent as {', '.join(names[:MAX_NAMES])}{more}"


def _cell(column: Column, row: Mapping[str, Any], comparable: bool) -> Cell:
    if column.name == "change":
        shown = p95_change(row, comparable)
        return Cell(NO_FIGURE, column.wide, shown.judgement, shown)
    kind = ""
    if column.name == "p95" and comparable and SLOW.ratio(dict(row)):
        kind = "warning"
    if column.name == "errors" and error_rate(dict(row)):
        kind = "critical"
    return Cell(column.format(row.get(column.field)), column.wide, kind)


def p95_change(row: Mapping[str, Any], comparable: bool) -> Change:
    """Return the change of P95 where both windows have enough requests; only one of more than 20 % is judged.

    All tables of models have it from here, so that it is judged alike.
    """
    previous = row.get("previous") or {}
    enough = all((figures.get("total_requests") or 0) >= ENOUGH_REQUESTS for figures in (row, previous))
    now, before = row.get("p95_response_time_ms"), previous.get("p95_response_time_ms")
    if not (comparable and enough) or now is None or before is None:
        return NO_CHANGE
    shown = change("duration", now, before, "up")
    return shown if abs(now - before) > JUDGED_SHARE * before else Change(shown.text, "")


def heads(sort: str) -> list[dict[str, Any]]:
    """Return the heads of the columns, each with the order that a click on it chooses."""
    first = Column("model", "Model", "model_name", None, wide=False)
    return [
        {
            "name": column.name,
            "title": column.title,
            "wide": column.wide,
            "help": column.help,
            "sorted": {column.name: "ascending", f"-{column.name}": "descending"}.get(sort, ""),
            "next": _next(column.name, sort),
        }
        for column in (first, *COLUMNS)
    ]


def _next(name: str, sort: str) -> str:
    first, second = (name, f"-{name}") if name == "model" else (f"-{name}", name)
    return second if sort == first else first
