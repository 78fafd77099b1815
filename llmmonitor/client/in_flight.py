"""Samples of the queue of each model: the requests in flight, and what the provider's rate limit still allows."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from time import time_ns
from typing import Any

from llmmonitor.client.call import Call
from llmmonitor.client.events import QUEUE, Recorded, at

Key = tuple[str, str, str]  # model, provider, service

MAX_MODELS = 1_000  # with a reading of a rate limit between two samples
OUTDATED_NS = 15_000_000_000  # such a reading is no longer sent


class InFlight:
    """The requests in flight of a process and the headroom of its providers, as samples of queues."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._reported: set[Key] = set()  # in the sample before
        self._headroom: dict[Key, tuple[int, dict[str, int]]] = {}  # since the sample before, with the time

    def headroom(self, model_name: str, provider: str, **remaining: Any) -> None:
        """Keep the numbers that are known until the next sample. remaining: by unit, `requests` and `tokens`."""
        known = {f"ratelimit_remaining_{unit}": value for unit, value in remaining.items() if _is_whole(value)}
        with suppress(Exception):
            key = (_text(model_name), _text(provider), self._service)
            if known and model_name and (key in self._headroom or len(self._headroom) < MAX_MODELS):
                _, before = self._headroom.get(key, (0, {}))
                self._headroom[key] = time_ns(), {**before, **known}

    def samples(self, calls: Iterable[Call], source: str) -> list[Recorded]:
        """Return a sample for each model with requests in flight, a last one with none, and those with new headroom."""
        now_ns = time_ns()
        counts: dict[Key, int] = {}
        oldest_ns: dict[Key, int] = {}
        for call in calls:
            with suppress(Exception):  # of values of the caller that cannot be written as text
                if not call.model_name:  # the server rejects its event
                    continue
                fields = call.fields
                key = (
                    _text(call.model_name),
                    _text(fields.get("provider")),
                    _text(fields.get("service") or self._service),
                )
                counts[key] = counts.get(key, 0) + 1
                oldest_ns[key] = min(oldest_ns.get(key, now_ns), call.started_at_ns)
        headroom = {}
        while self._headroom:  # other threads add to it
            key, (at_ns, remaining) = self._headroom.popitem()
            if now_ns - at_ns < OUTDATED_NS:
                headroom[key] = remaining
        reported, self._reported = self._reported, set(counts)
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
                    "processing": counts.get(key, 0),
                    "oldest_seconds": round((now_ns - oldest_ns.get(key, now_ns)) / 1e9, 3),
                    **headroom.get(key, {}),
                },
            )
            for key in reported | counts.keys() | headroom.keys()
        ]


def _text(value: Any) -> str:
    """Return a name as an event has it: of a member of an enumeration of strings, it is the value."""
    return str.__str__(value) if isinstance(value, str) else str(value or "")


def _is_whole(value: Any) -> bool:
    return type(value) is int and value >= 0
