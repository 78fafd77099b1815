"""The storage statistics as a table of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llmmonitor.infra.byte_sizes import format_bytes

COLUMNS = ("", "rows", "size", "bytes/row", "growth/day", "oldest (UTC)", "kept")
SIX = (
    "inference_metrics_count",
    "system_metrics_count",
    "error_metrics_count",
    "alert_history_count",
    "database_size_mb",
    "redis_memory_usage",
)
UNKNOWN = "–"
LENGTHS = ((86_400, "d"), (3600, "h"), (60, "min"))


def as_text(statistics: Mapping[str, Any]) -> Iterator[str]:
    """Return the lines of `Storage.as_dict()` for people."""
    for name in SIX:
        yield f"{name:<24}{_number(statistics[name]):>16}"
    yield ""
    rows = [COLUMNS, *map(_row, statistics["tables"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for first, *rest in rows:
        cells = [text.rjust(width) for text, width in zip(rest, widths[1:], strict=True)]
        yield "  ".join([first.ljust(widths[0]), *cells])
    yield ""
    days = statistics["days_until_full"]
    for name, text in (
        ("Used", f"{_bytes(statistics['used_bytes'])} of {_bytes(statistics['max_bytes'])}"),
        ("Free in the file", _bytes(statistics["free_page_bytes"])),
        ("Free on the disk", _bytes(statistics["disk_free_bytes"])),
        ("Write-ahead log", _bytes(statistics["write_ahead_log_bytes"])),
        ("Growth per day", _bytes(statistics["growth_bytes_per_day"])),
        ("Full in", UNKNOWN if days is None else f"{days:,} days"),
    ):
        yield f"{name:<24}{text}"


def _bytes(number: int | None) -> str:
    return UNKNOWN if number is None else f"{'-' if number < 0 else ''}{format_bytes(abs(number))}"


def _row(table: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        table["title"],
        _number(table["rows"]),
        _bytes(table["bytes"]),
        _number(table["bytes_per_row"]),
        _bytes(table["growth_bytes_per_day"]),
        table["oldest"][:16].replace("T", " ") if table["oldest"] else UNKNOWN,
        _length(table["kept_seconds"]),
    )


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _length(seconds: int | None) -> str:
    """Return a time in the largest unit that it is a whole number of: `400 d`, `135 min`."""
    if seconds is None:
        return UNKNOWN
    for length, unit in LENGTHS:
        if seconds % length == 0:
            return f"{seconds // length:,} {unit}"
    return f"{seconds:,} s"
