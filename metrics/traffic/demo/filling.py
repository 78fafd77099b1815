"""Store the past of the demo workload, with the same validation and recorder as posted events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from metrics.events import Kind
from metrics.ingest.post import ingest
from metrics.traffic.demo.workload import Workload

EVENTS_PER_POST = 2_000


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
    """
    filled = Filled()
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
        if not progress((workload.end - start).total_seconds() / span):
            break
    return filled


def record(kind: str, items: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    """Ingest a batch of events and return the response's body. Raises FillingFailed if the batch is rejected."""
    response = ingest(Kind(kind), orjson.dumps(items), "application/json", None, at=at)
    if response.status not in (200, 422):
        raise FillingFailed(response.payload.get("detail", f"ingest returned {response.status}"))
    return response.payload
