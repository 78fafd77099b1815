"""Requests in flight, for the queue of each model: how many, and the age of the oldest."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from time import time_ns

from llmmonitor.client.call import Call
from llmmonitor.client.events import QUEUE, Recorded, at

Key = tuple[str, str, str]  # model, provider, service


class InFlight:
    """The requests in flight of a process, as samples of a queue."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._reported: set[Key] = set()  # in the sample before

    def samples(self, calls: Iterable[Call], source: str) -> list[Recorded]:
        """Return a sample for each model with requests in flight, and a last one with none."""
        now_ns = time_ns()
        counts: dict[Key, int] = {}
        oldest_ns: dict[Key, int] = {}
        for call in calls:
            with suppress(Exception):  # of values of the caller that cannot be written as text
                key = (
                    str(call.model_name),
                    str(call.fields.get("provider") or ""),
                    str(call.fields.get("service") or self._service),
                )
                counts[key] = counts.get(key, 0) + 1
                oldest_ns[key] = min(oldest_ns.get(key, now_ns), call.started_at_ns)
        for key in self._reported - counts.keys():
            counts[key], oldest_ns[key] = 0, now_ns
        self._reported = {key for key, count in counts.items() if count}
        return [
            Recorded(
                QUEUE,
                {
                    "kind": "sdk",
                    "source": source,
                    "timestamp": at(now_ns),
                    "model_name": key[0],
                    "provider": key[1],
                    "service": key[2],
                    "processing": count,
                    "oldest_seconds": round((now_ns - oldest_ns[key]) / 1e9, 3),
                },
            )
            for key, count in counts.items()
        ]
