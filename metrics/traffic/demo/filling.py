"""Store the past of the demo workload, with the same validation and recorder as posted events."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import orjson

from metrics.events import Kind
from metrics.ingest.post import ingest
from metrics.registers import demo_filled
from metrics.traffic.demo.workload import Workload

logger = logging.getLogger(__name__)

EVENTS_PER_POST = 2_000
LEAD = timedelta(minutes=10)  # before an incident, for what is computed from a window of time


@dataclass
class Filled:
    """The results of a filling."""

    requests: int = 0
    samples: int = 0
    duplicates: int = 0
    rejected: int = 0
    first_error: str | None = None


class FillingFailed(Exception):
    """The demo data cannot be stored; the message says why."""


def fill(workload: Workload, at: datetime, progress: Callable[[float], bool] = lambda share: True) -> Filled:
    """Record the whole workload, the newest half hour first.

    `progress` is called with the completed share (0…1) after each half hour. If it returns False, the filling ends.
    Other apps are called once the incident is stored (`demo_filled`).
    """
    filled = Filled()
    incident = workload.incident
    stored_from = max(workload.start, incident.start - LEAD) if incident else None
    span = (workload.end - workload.start).total_seconds()
    for start, requests, system, queues in workload.chunks():
        for kind, items in (("inference", requests), ("system", system), ("queue", queues)):
            for offset in range(0, len(items), EVENTS_PER_POST):
                result = record(kind, items[offset : offset + EVENTS_PER_POST], at)
                filled.duplicates += result["duplicates"]
                filled.rejected += len(result["rejected"])
                if result["rejected"] and filled.first_error is None:
                    filled.first_error = result["rejected"][0]["error"]
                if kind == "inference":
                    filled.requests += result["accepted"]
                else:
                    filled.samples += result["accepted"]
        share = (workload.end - start).total_seconds() / span
        if not progress(share):
            break
        if incident and stored_from and start <= stored_from:
            stored_from = None
            _call_other_apps(incident.start, workload.end, partial(progress, share))
    return filled


def _call_other_apps(start: datetime, end: datetime, wanted: Callable[[], bool]) -> None:
    for name, store in demo_filled:
        try:
            store(start, end, wanted)
        except Exception:
            logger.exception("demo: %s of the incident could not be stored", name)


def record(kind: str, items: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    """Ingest a batch of events and return the response's body. Raises FillingFailed if the batch is rejected."""
    response = ingest(Kind(kind), orjson.dumps(items), "application/json", None, at=at)
    if response.status not in (200, 422):
        raise FillingFailed(response.payload.get("detail", f"ingest returned {response.status}"))
    return response.payload
