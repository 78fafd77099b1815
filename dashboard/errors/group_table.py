"""The rows of the table of error groups. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from dashboard.formatting import whole
from dashboard.times_in_texts import in_utc

Row = dict[str, Any]
HEIGHT = 24  # of the bars
MAX_NAMES = 2
DOUBLED_FROM = 10  # errors in the later half, from which a rise is named


def group_row(row: Row, now: datetime, start: datetime, *, href: str, chosen: str) -> Row:
    """Return what the table shows of a group. `start`: of the window, since when a group is new."""
    models = row["models"]
    return {
        "href": href,
        "is_chosen": str(row["id"]) == chosen,
        "error_type": row["error_type"],
        "message": row["message"],
        "count": whole(row["count"]),
        "bars": bars([count for _, count in row["trend"]]),
        "models": [name or "no model" for name in models[:MAX_NAMES]],
        "models_omitted": max(0, len(models) - MAX_NAMES),
        "last_seen": row["last_seen"],
        "first_seen": row["first_seen"],
        "last": in_utc(row["last_seen"], now),
        "first": in_utc(row["first_seen"], now),
        "state": state_of(row, start),
    }


def state_of(row: Row, start: datetime) -> str:
    """Return `new` for a group that was first seen in the window, `rising` if most of it is in the later half."""
    if datetime.fromisoformat(row["first_seen"]) >= start:
        return "new"
    counts = [count for _, count in row["trend"]]
    half = len(counts) // 2
    before, after = sum(counts[:half]), sum(counts[len(counts) - half :])
    return "rising" if after >= DOUBLED_FROM and after >= 2 * before else "steady"


def bars(counts: Sequence[int]) -> list[Row]:
    """Return a bar for each step with errors: its position, top and height, of a row of bars of its own scale."""
    highest = max(counts, default=0)
    shown = []
    for position, count in enumerate(counts):
        if count:
            height = max(2, round(HEIGHT * count / highest))
            shown.append({"x": position, "y": HEIGHT - height, "height": height})
    return shown
