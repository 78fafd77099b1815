"""What sends requests: the services, and the first request that arrives after a moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, Max, OuterRef, Q

from metrics.models import InferenceMetrics, InferenceRollup, Series
from metrics.queries.answers.lists import MAX_ID, request
from metrics.queries.read.budget import query_budget
from metrics.queries.read.request_rollups import count_requests
from metrics.queries.time.plan import split_window
from metrics.queries.time.window import Window, iso

RATE_SECONDS = 300
MAX_LABEL_SETS = 5_000  # those with the newest requests
MAX_SENDERS = 50
MAX_MODELS = 4
# On PostgreSQL, a row may be committed after rows with higher ids. So many rows are searched again.
OVERLAP = 1_000


@dataclass(frozen=True)
class Position:
    """Two moments in the order of arrival, as row ids of requests: up to which rows were searched, and of the start."""

    request: int
    start: int


def position() -> Position:
    """Return the position of now."""
    newest = InferenceMetrics.objects.aggregate(newest=Max("id"))["newest"] or 0
    return Position(newest, newest)


def arrived(since: Position, service: str) -> tuple[dict[str, Any] | None, Position]:
    """Return the first request stored after `since` that this service sent, or a label set without a request before.

    None if there is none. Demo data is ignored. Also return the position to ask with the next time.
    """
    newest = position().request
    later = InferenceMetrics.objects.filter(id__gt=min(since.request, MAX_ID), series__is_demo=False)
    before = InferenceMetrics.objects.filter(series_id=OuterRef("series_id"), id__lte=min(since.start, MAX_ID))
    with query_budget():
        wanted = later.filter(Q(series__service=service) | ~Exists(before)).order_by("id")
        row_id = wanted.values_list("id", flat=True).first()
        return (request(row_id) if row_id else None), Position(max(since.request, newest - OVERLAP), since.start)


def senders(now: datetime) -> dict[str, Any]:
    """Return the services, the newest first, as `results`, and how many are not listed.

    Each has `service`, `sends_requests` (else it has sent queue lengths or errors only), `is_demo`, `models` with the
    newest first, `models_omitted`, `last_seen`, `requests` of the last minutes, and `requests_per_second` of the same
    time.
    """
    with query_budget():
        split = split_window(Window.last(RATE_SECONDS, now), now)
        counts = count_requests(split.segments)
        has_requests = Exists(InferenceRollup.objects.filter(series_id=OuterRef("id")))
        rows = (
            Series.objects.order_by("-last_seen")
            .annotate(has_requests=has_requests)
            .values_list("id", "service", "is_demo", "model_name", "last_seen", "has_requests")
        )
        found: dict[tuple[str, bool], dict[str, Any]] = {}
        for series_id, service, is_demo, model, last_seen, sends_requests in rows[:MAX_LABEL_SETS]:
            entry = found.setdefault(
                (service, is_demo),
                {"service": service, "is_demo": is_demo, "models": {}, "last_seen": iso(last_seen), "requests": 0}
                | {"sends_requests": False},
            )
            entry["sends_requests"] |= sends_requests
            entry["models"][model] = None  # ordered, without repetition
            entry["requests"] += counts.get(series_id, 0)
    listed = [
        entry
        | {
            "models": [*entry["models"]][:MAX_MODELS],
            "models_omitted": max(0, len(entry["models"]) - MAX_MODELS),
            "requests_per_second": entry["requests"] / split.window.seconds,
        }
        for entry in found.values()
    ]
    return {"results": listed[:MAX_SENDERS], "omitted": max(0, len(listed) - MAX_SENDERS)}
