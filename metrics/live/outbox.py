"""What waits to be sent to one client: a few ticks and a few answers, never more.

A client that reads slower than ticks come loses the oldest of those that wait, and learns in its next tick how many it
has lost. Ticks are texts shared by all clients; a waiting one costs a reference. What is of one client alone, the
number of lost ticks and the id of its subscription, is put in front when a tick is taken out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import orjson

MAX_TICKS = 4  # seconds that a client may lag without losing any
MAX_ANSWERS = 16

Answer = str | Callable[[], Awaitable[None]]  # a text, or what makes and sends one


class Outbox:
    """Filled by the hub and the client's reader, emptied by the client's writer; all on one event loop."""

    def __init__(self, max_ticks: int = MAX_TICKS, max_answers: int = MAX_ANSWERS) -> None:
        self._ticks: deque[tuple[str, str | None]] = deque()
        self._answers: deque[Answer] = deque()
        self._max_ticks = max_ticks
        self._max_answers = max_answers
        self._filled = asyncio.Event()
        self._dropped = 0

    def put_tick(self, text: str, subscription_id: str | None = None) -> bool:
        """Add a tick (a JSON object), of the subscription with this id. False when an older one was dropped for it."""
        full = len(self._ticks) >= self._max_ticks
        if full:
            self._ticks.popleft()
            self._dropped += 1
        self._ticks.append((text, subscription_id))
        self._filled.set()
        return not full

    def put_answer(self, answer: Answer) -> bool:
        """Add an answer, or a function that makes and sends it when there is room. False when too many wait."""
        if len(self._answers) >= self._max_answers:
            return False
        self._answers.append(answer)
        self._filled.set()
        return True

    async def get(self) -> Answer:
        """What to send next, answers before ticks. Waits for it."""
        while True:
            if self._answers:
                return self._answers.popleft()
            if self._ticks:
                return self._marked(*self._ticks.popleft())
            self._filled.clear()
            await self._filled.wait()

    def _marked(self, tick: str, subscription_id: str | None) -> str:
        own: dict[str, int | str] = {}
        if self._dropped:
            own["dropped"], self._dropped = self._dropped, 0
        if subscription_id is not None:
            own["id"] = subscription_id
        return f"{orjson.dumps(own).decode()[:-1]},{tick[1:]}" if own else tick
