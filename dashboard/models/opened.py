"""What the page shows of one model: its figures with their change, and the addresses of its requests. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from django.urls import reverse

from dashboard.formatting import FORMATS, NO_CHANGE, change, compact, duration, money, percent

Row = dict[str, Any]
OWN_PARAMETERS = ("open", "sort", "search")  # of this page, which no other page knows
OTHER_PAGES = (("latency-page", "Latency"), ("requests-page", "Requests"), ("errors-page", "Errors"))

FIGURES = (
    ("requests", "requests_per_second", FORMATS["rate"], "rate", None),
    ("P50", "p50_response_time_ms", duration, "duration", "up"),
    ("P95", "p95_response_time_ms", duration, "duration", "up"),
    ("first token P95", "p95_ttft_ms", duration, "duration", "up"),
    ("speed", "avg_tokens_per_second", lambda value: compact(value, "tok/s"), "compact", "down"),
    ("errors", "error_rate_percent", percent, "percent", "up"),
    ("cost", "cost_usd", money, "", None),
)  # fmt: skip


def figures(row: Row, comparable: bool) -> list[dict[str, Any]]:
    """Return the figures of a model's row for the strip at the top of its card."""
    before = row.get("previous") or {} if comparable else {}
    return [
        {
            "label": label,
            "figure": form(row.get(field)),
            "change": change(kind, row.get(field), before.get(field), worse) if kind else NO_CHANGE,
        }
        for label, field, form, kind, worse in FIGURES
    ]


def query(params: QueryDict, change: Mapping[str, str | None], without: tuple[str, ...] = ()) -> str:
    """Return the address's parameters with a change, `?range=1h&sort=p95`; None removes a parameter."""
    changed = params.copy()
    for name in without:
        changed.pop(name, None)
    for name, value in change.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return f"?{changed.urlencode()}" if changed else "?"


def links(params: QueryDict, name: str) -> list[dict[str, str]]:
    """Return the other pages with this model as their filter."""
    search = query(params, {"model": name}, OWN_PARAMETERS)
    return [{"title": title, "url": reverse(url_name) + search} for url_name, title in OTHER_PAGES]
