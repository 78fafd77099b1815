"""Requests in flight, for the queue of each model: how many, and the age of the oldest."""

from __future__ import annotations

from collections.abc import Iterable
from time import time_ns
from typing import Any

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
            key = (
                call.model_name,
                str(call.fields.get("provider") or ""),
                str(call.fields.get("service") or self._service),
            )
            counts[key] = counts.get(key, 0) + 1
            oldest_ns[key] = min(oldest_ns.get(key, now_ns), call.started_at_ns)
        samples = [
            self._sample(key, source, now_ns, count, max(0, now_ns - oldest_ns[key]) / 1e9)
            for key, count in counts.items()
        ]
        samples += [self._sample(key, source, now_ns, 0, 0.0) for key in self._reported - counts.keys()]
        self._reported = set(counts)
        return samples

    @staticmethod
    def _sample(key: Key, source: str, now_ns: int, count: int, oldest_seconds: float) -> Recorded:
        model_name, provider, service = key
        fields: dict[str, Any] = {
            "kind": "sdk",
            "source": source,
            "timestamp": at(now_ns),
            "model_name": model_name,
            "provider": provider,
            "service": service,
            "processing": count,
            "oldest_seconds": round(oldest_seconds, 3),
        }
        return Recorded(QUEUE, fields)
