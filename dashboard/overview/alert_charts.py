"""Where the chart of an alert is: the Overview, filtered, at the time of the alert and at the card of the metric."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.parse import urlencode

from django.urls import reverse

from dashboard.page_query import FILTERS, tag_filters
from metrics.queries.time.window import RANGES, iso

AROUND = timedelta(minutes=30)  # of the chart before and after the alert
# Beginning of the metric's name -> card of the Overview.
CARDS = {
    "inference.tokens_per_second": "throughput",
    "inference.requests": "requests",
    "inference.error_rate": "requests",
    "inference.success_rate": "requests",
    "inference.queue_time": "queue",
    **dict.fromkeys(("inference.prompt_tokens", "inference.completion_tokens", "inference.total_tokens"), "throughput"),
    **dict.fromkeys(("inference.response_time", "inference.ttft", "inference.time_per_output_token"), "latency"),
    "error": "requests",
    "queue": "queue",
    "engine": "queue",
    "system.memory": "memory",
    "system": "cpu",
    "gpu": "gpu",
}


def chart_url(metric: str, labels: Mapping[str, str], since: datetime, ended_at: datetime | None, now: datetime) -> str:
    """Return the address of the Overview with the chart of a metric around an alert; live for an active alert.

    It is empty for a metric of the monitor itself, of which the Overview shows nothing.
    """
    if metric.startswith("monitor."):
        return ""
    filters = FILTERS | tag_filters()
    search = [(name, value) for name, value in labels.items() if name in filters]
    start = since - AROUND
    live = next((name for name, choice in RANGES.items() if choice.seconds >= (now - start).total_seconds()), None)
    if ended_at is None and live:
        search.append(("range", live))
    else:
        search.append(("from", iso(start)))
    if ended_at is not None:
        search.append(("to", iso(ended_at + AROUND)))
    card = next((card for start, card in CARDS.items() if metric.startswith(start)), None)
    return f"{reverse('overview-page')}?{urlencode(search)}" + (f"#{card}-title" if card else "")
