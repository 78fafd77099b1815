"""The sentence of the Throughput page. A pure function."""

from __future__ import annotations

from typing import Any

from dashboard.formatting import percent, rate, whole
from dashboard.sentence import Sentence

USUAL_PERCENT = 15.0  # a smaller change of the rate of requests is as usual


def describe(summary: dict[str, Any], span: str, before: str) -> Sentence:
    """Return the rate of requests against the window before, and what they consist of."""
    requests = summary.get("total_requests") or 0
    if not requests:
        return Sentence("quiet", "No requests in this time range.", f"Nothing finished in {span}.")
    change = (summary.get("change_percent") or {}).get("requests_per_second")
    figure = rate(summary.get("requests_per_second"), "per ")
    per_second = f"{figure.number} requests {figure.unit}"
    if not summary.get("comparable") or change is None:
        title = f"{per_second} on average."
    elif abs(change) < USUAL_PERCENT:
        title = f"{per_second} on average, about as in {before}."
    else:
        title = f"{per_second} on average, {percent(abs(change))} {'more' if change > 0 else 'fewer'} than in {before}."
    parts = [f"{whole(requests)} request{'s' if requests != 1 else ''} in {span}"]
    if summary.get("tokens_per_second") is not None:
        parts.append(f"{rate(summary['tokens_per_second'], 'tok/')} of output")
    if summary.get("cached_percent"):
        parts.append(f"{percent(summary['cached_percent'])} of the input from a cache")
    return Sentence("ok", title, "; ".join(parts) + ".")
