"""The table of models, which shows the busiest or those that were searched for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.template.loader import render_to_string

from dashboard.formatting import compact, duration, percent, whole
from dashboard.models.table import Column, model_row, with_shares

COLUMNS = (
    Column("requests", "Requests", "total_requests", whole),
    Column("share", "Share", "share", percent),
    Column("p50", "P50", "p50_response_time_ms", duration, wide=False),
    Column("p95", "P95", "p95_response_time_ms", duration, wide=False),
    Column("p99", "P99", "p99_response_time_ms", duration),
    Column("ttft", "First token P95", "p95_ttft_ms", duration),
    Column("speed", "Generation speed", "avg_tokens_per_second", lambda value: compact(value, "tok/s")),
    Column("errors", "Error rate", "error_rate_percent", percent, wide=False),
)


def render(
    models: Sequence[dict[str, Any]], *, total: int | None, comparable: bool, omitted: int, span: str, no_rows: str
) -> str:
    """Return the HTML of the table.

    total: the requests in the window, of which each model has a share. comparable: whether
    slow models are marked. omitted: the number of further models. span: "the last hour". no_rows: what it says
    without rows.
    """
    return render_to_string(
        "overview/models.html",
        {
            "columns": COLUMNS,
            "rows": [model_row(row, comparable, COLUMNS) for row in with_shares(models, total)],
            "omitted": omitted,
            "span": span,
            "no_rows": no_rows,
        },
    )
