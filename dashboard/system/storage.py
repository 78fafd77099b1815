"""The card of the store: the size of each table, how it grows, and when the disk is full. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboard.formatting import NO_DATA, NO_FIGURE, Figure, bytes_figure, whole
from metrics.queries import Storage, TableStorage

COLOURS = 6  # of the bar; the tables with the most bytes have one each
LEAST_GROWTH = 1_024.0  # bytes a day; less is shown as none


@dataclass(frozen=True)
class TableRow:
    """A table. share: of the bytes of all tables, in percent. colour: its number in the bar; 0 for none."""

    title: str
    rows: Figure
    size: Figure
    per_row: Figure
    oldest: datetime | None
    kept: str
    growth: str
    share: float
    colour: int


@dataclass(frozen=True)
class Totals:
    """The lines below the tables. rest: what no table had when they were measured; it may be newer rows."""

    rows: Figure
    rest: Figure
    size: Figure
    growth: str


def table_rows(tables: Sequence[TableStorage], counts: Mapping[str, int] | None = None) -> list[TableRow]:
    """Return the tables that have rows, the largest first. counts: the rows now of some tables, by their name."""
    now = {table.name: table.rows for table in tables} | dict(counts or {})
    known = sorted((table for table in tables if now[table.name]), key=lambda table: -(table.bytes or 0))
    total = sum(table.bytes or 0 for table in known)
    return [
        TableRow(
            table.title,
            whole(now[table.name]),
            bytes_figure(table.bytes),
            NO_FIGURE if table.bytes_per_row is None else whole(round(table.bytes_per_row)),
            table.oldest,
            _kept(table.kept),
            growth_text(table.growth_bytes_per_day),
            round(100 * (table.bytes or 0) / total, 2) if total else 0.0,
            number if number <= COLOURS else 0,
        )
        for number, table in enumerate(known, 1)
    ]


def counts_of(storage: Storage) -> dict[str, int]:
    """Return the rows that the statistics count now, by the name of their table."""
    return {
        "requests": storage.inference_metrics_count,
        "errors": storage.error_metrics_count,
        "host_samples": storage.system_metrics_count,
        "alert_changes": storage.alert_history_count,
    }


def totals_of(storage: Storage) -> Totals | None:
    """Return the totals; None before the first measurement. They add up to the size on the disk."""
    if storage.measured_at is None:
        return None
    counts = counts_of(storage)
    in_tables = sum(table.bytes or 0 for table in storage.tables)
    return Totals(
        whole(sum(counts.get(table.name, table.rows or 0) for table in storage.tables)),
        bytes_figure(max(0, round(storage.size_bytes) - in_tables)),
        bytes_figure(storage.size_bytes),
        growth_text(storage.growth_bytes_per_day),
    )


def summary_of(storage: Storage) -> str:
    """Return `3.70 GiB on the disk, +145 MiB a day, full in 42 days`."""
    parts = [f"{bytes_figure(storage.size_bytes)} on the disk"]
    if storage.growth_bytes_per_day is not None:
        parts.append(f"{growth_text(storage.growth_bytes_per_day)} a day")
    if storage.room_bytes <= 0:
        parts.append("full")
    elif storage.days_until_full is not None:
        days = round(storage.days_until_full)
        parts.append(f"full in {'less than a day' if days < 1 else '1 day' if days == 1 else f'{days:,} days'}")
    elif storage.growth_bytes_per_day is None:
        parts.append("growth is known after six hours")
    else:
        parts.append("does not become full")
    return ", ".join(parts)


def growth_text(bytes_per_day: float | None) -> str:
    """Return `+116 MiB`, `0` or `-2 MiB`."""
    if bytes_per_day is None:
        return NO_DATA
    if abs(bytes_per_day) < LEAST_GROWTH:
        return "0"
    return f"{'+' if bytes_per_day > 0 else '−'}{bytes_figure(abs(bytes_per_day))}"


def _kept(kept: timedelta | None) -> str:
    if kept is None:
        return "not deleted by age"
    if kept >= timedelta(days=2):
        return f"{kept.days} days"
    hours = kept.total_seconds() / 3_600
    return f"{hours:g} h" if hours >= 1 else f"{60 * hours:g} min"
