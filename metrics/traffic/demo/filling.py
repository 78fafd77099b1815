"""Fills the store with the demo workload, through the same door and recorder as anyone's events."""

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
    """What became of it."""

    requests: int = 0
    samples: int = 0
    duplicates: int = 0
    rejected: int = 0
    first_error: str | None = None


class FillingFailed(Exception):
    """The store did not take the demo data; the text says why."""


def fill(workload: Workload, at: datetime, progress: Callable[[float], bool] = lambda share: True) -> Filled:
    """Record the whole workload, the newest half hour first.

    `progress` is told the share done (0…1) after each half hour; answering False ends the filling early.
    """
    filled = Filled()
    span = (workload.end - workload.start).total_seconds()
    for start, requests, system, queues in workload.chunks():
        for kind, items in (("inference", requests), ("system", system), ("queue", queues)):
            for offset in range(0, len(items), EVENTS_PER_POST):
                answer = record(kind, items[offset : offset + EVENTS_PER_POST], at)
                filled.duplicates += answer["duplicates"]
                filled.rejected += len(answer["rejected"])
                if answer["rejected"] and filled.first_error is None:
                    filled.first_error = answer["rejected"][0]["error"]
                if kind == "inference":
                    filled.requests += answer["accepted"]
                else:
                    filled.samples += answer["accepted"]
        if not progress((workload.end - start).total_seconds() / span):
            break
    return filled


def record(kind: str, items: list[dict[str, Any]], at: datetime) -> dict[str, Any]:
    """The answer of the door to one post. Raises FillingFailed when the door does not take it."""
    answer = ingest(Kind(kind), orjson.dumps(items), "application/json", None, at=at)
    if answer.status not in (200, 422):
        raise FillingFailed(answer.payload.get("detail", f"the store answered {answer.status}"))
    return answer.payload
