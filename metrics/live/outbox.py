"""The bounded send queue of one client: a few ticks, messages of other apps and responses.

If a client reads too slowly, the oldest waiting ticks are dropped, and its next tick has the number of dropped ones.
Ticks are strings shared by all clients, so a waiting tick costs a reference. The fields of one client, `dropped` and
the id of its subscription, are added when the tick is sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

import orjson

MAX_TICKS = 4  # seconds that a client may lag without dropped ticks
MAX_RESPONSES = 16
MAX_MESSAGES = 50

Response = str | Callable[[], Awaitable[None]]  # a text, or a function that builds and sends one


class Outbox:
    """Filled by the hub and the client's reader, emptied by the client's writer. All run on one event loop."""

    def __init__(self, max_ticks: int = MAX_TICKS, max_responses: int = MAX_RESPONSES) -> None:
        self._ticks: deque[tuple[str, str | None]] = deque()
        self._responses: deque[Response] = deque()
        self._messages: deque[str] = deque()
        self._max_ticks = max_ticks
        self._max_responses = max_responses
        self._filled = asyncio.Event()
        self._dropped = 0

    def put_tick(self, text: str, subscription_id: str | None = None) -> bool:
        """Add a tick (a JSON object). Return False if an older tick was dropped for it."""
        full = len(self._ticks) >= self._max_ticks
        if full:
            self._ticks.popleft()
            self._dropped += 1
        self._ticks.append((text, subscription_id))
        self._filled.set()
        return not full

    def put_messages(self, texts: Sequence[str], or_else: str) -> None:
        """Add messages. If more than MAX_MESSAGES would wait, only `or_else` does."""
        if len(self._messages) + len(texts) > MAX_MESSAGES:
            self._messages.clear()
            texts = [or_else]
        self._messages.extend(texts)
        self._filled.set()

    def put_response(self, response: Response) -> bool:
        """Add a response, or a function that builds and sends it. Return False if too many wait."""
        if len(self._responses) >= self._max_responses:
            return False
        self._responses.append(response)
        self._filled.set()
        return True

    async def get(self) -> Response:
        """Wait for the next item to send. Responses come first, ticks last."""
        while True:
            if self._responses:
                return self._responses.popleft()
            if self._messages:
                return self._messages.popleft()
            if self._ticks:
                return self._with_client_fields(*self._ticks.popleft())
            self._filled.clear()
            await self._filled.wait()

    def _with_client_fields(self, tick: str, subscription_id: str | None) -> str:
        fields: dict[str, int | str] = {}
        if self._dropped:
            fields["dropped"], self._dropped = self._dropped, 0
        if subscription_id is not None:
            fields["id"] = subscription_id
        return f"{orjson.dumps(fields).decode()[:-1]},{tick[1:]}" if fields else tick
