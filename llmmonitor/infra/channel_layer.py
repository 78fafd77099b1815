"""The channel layer of the one-process mode: in memory, and safe to send on from any thread.

Channels' own in-memory layer keeps an `asyncio.Queue` for each channel. Such a queue wakes its reader on the loop that
the reader runs on and is not safe to touch from another thread; a Celery task, which sends from a worker thread (on a
loop of its own, by `async_to_sync`), would leave the message lying until something else happens to wake the server's
loop. So this layer remembers on which loop each channel is read and hops there before it touches the queue.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer

CAPACITY = 20  # messages that wait on one channel: twenty seconds of ticks; a reader further behind loses what comes


class ThreadSafeInMemoryChannelLayer(InMemoryChannelLayer):
    """Channels' in-memory layer with the hop to the reader's loop.

    A message to a group is shared by its receivers, not copied for each: whoever reads it must not change it.
    """

    def __init__(self, capacity: int = CAPACITY, **kwargs: Any) -> None:
        super().__init__(capacity=capacity, **kwargs)
        self._loops: dict[str, asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()  # guards `groups` and `_loops`

    async def group_add(self, group: str, channel: str) -> None:
        """Let `channel` (read on the loop that this is called on) receive what is sent to `group`."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self.groups.setdefault(group, {})[channel] = time.time()
            self._loops[channel] = asyncio.get_running_loop()

    async def group_discard(self, group: str, channel: str) -> None:
        """Undo `group_add`; nothing happens where there was none."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self._forget(group, [channel])

    async def receive(self, channel: str) -> dict[str, Any]:
        """The first message that arrives on `channel`."""
        with self._lock:
            self._loops[channel] = asyncio.get_running_loop()
        message: dict[str, Any] = await super().receive(channel)
        return message

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Put `message` on a channel. Raises ChannelFull where that can be known at once: on the reader's own loop."""
        if not isinstance(message, dict):
            raise TypeError(f"A channel message is a dict, not {type(message).__name__}.")
        self.require_valid_channel_name(channel)
        loop = self._loops.get(channel)
        if loop is None or loop is asyncio.get_running_loop():
            if not self._put(channel, message):
                raise ChannelFull(channel)
        elif not self._hop(loop, [channel], message):
            with self._lock:
                self._loops.pop(channel, None)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Put `message` on every channel of the group. Full channels lose it."""
        if not isinstance(message, dict):
            raise TypeError(f"A channel message is a dict, not {type(message).__name__}.")
        self.require_valid_group_name(group)
        by_loop: dict[asyncio.AbstractEventLoop, list[str]] = {}
        with self._lock:
            for channel in self.groups.get(group, ()):
                by_loop.setdefault(self._loops[channel], []).append(channel)
        here = asyncio.get_running_loop()
        for loop, channels in by_loop.items():
            if loop is here:
                self._put_all(channels, message)
            elif not self._hop(loop, channels, message):
                with self._lock:
                    self._forget(group, channels)

    def _hop(self, loop: asyncio.AbstractEventLoop, channels: list[str], message: dict[str, Any]) -> bool:
        """Ask the readers' loop to take the message; False when that loop has ended."""
        try:
            loop.call_soon_threadsafe(self._put_all, channels, message)
        except RuntimeError:
            return False
        return True

    def _put_all(self, channels: Iterable[str], message: dict[str, Any]) -> None:
        for channel in channels:
            if channel in self._loops:  # its reader may have left since; a queue made anew would stay for ever
                self._put(channel, message)

    def _put(self, channel: str, message: dict[str, Any]) -> bool:
        """Queue the message on the loop that reads the channel. False when it is full."""
        queue = self.channels.setdefault(channel, asyncio.Queue(maxsize=self.get_capacity(channel)))
        try:
            queue.put_nowait((time.time() + self.expiry, dict(message)))
        except asyncio.QueueFull:
            return False
        return True

    def _forget(self, group: str, channels: Iterable[str]) -> None:
        members = self.groups.get(group, {})
        for channel in channels:
            members.pop(channel, None)
            self._loops.pop(channel, None)
            # What still lies there nobody will read.
            self.channels.pop(channel, None)
        if not members:
            self.groups.pop(group, None)

    def _clean_expired(self) -> None:
        """Nothing (the base class walks all queues): capacity bounds each, and a channel leaves with its consumer."""
