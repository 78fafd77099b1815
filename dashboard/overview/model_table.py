"""The rows of the table of models, for the first rendering. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.formatting import Figure, compact, duration, percent, whole


@dataclass(frozen=True)
class ModelRow:
    """One model: its name, and its values by the name of the column."""

    name: str
    figures: tuple[tuple[str, Figure], ...]
    modelled: bool


def model_rows(models: Sequence[dict[str, Any]], total: int) -> list[ModelRow]:
    """Return the rows in the given order. The share of a model is that of the `total` requests."""
    return [
        ModelRow(
            str(row["model_name"]),
            (
                ("requests", whole(row.get("total_requests"))),
                ("share", percent(100 * (row.get("total_requests") or 0) / total if total else None)),
                ("p50", duration(row.get("p50_response_time_ms"))),
                ("p95", duration(row.get("p95_response_time_ms"))),
                ("p99", duration(row.get("p99_response_time_ms"))),
                ("ttft", duration(row.get("p95_ttft_ms"))),
                ("speed", compact(row.get("avg_tokens_per_second"), "tok/s")),
                ("errors", percent(row.get("error_rate_percent"))),
            ),
            bool(row.get("modelled")),
        )
        for row in models
    ]
