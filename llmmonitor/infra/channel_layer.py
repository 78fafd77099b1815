"""The channel layer for one process: in memory, and safe to send to from any thread.

The in-memory layer of Channels has an `asyncio.Queue` for each channel, and such a queue is not thread-safe. A Celery
task sends from a worker thread, on another event loop (`async_to_sync`); the server's loop would not wake up for the
message. This layer stores the event loop on which each channel is read, and calls the queue on that loop.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable
from typing import Any

from channels.exceptions import ChannelFull
from channels.layers import InMemoryChannelLayer

CAPACITY = 20  # messages in a channel: twenty seconds of ticks; further messages are dropped


class ThreadSafeInMemoryChannelLayer(InMemoryChannelLayer):
    """The in-memory layer of Channels, which puts messages into a queue on the loop of its reader.

    The receivers of a message to a group share its values and must not change them.
    """

    def __init__(self, capacity: int = CAPACITY, **kwargs: Any) -> None:
        super().__init__(capacity=capacity, **kwargs)
        self._loops: dict[str, asyncio.AbstractEventLoop] = {}
        self._lock = threading.Lock()  # guards `groups` and `_loops`

    async def group_add(self, group: str, channel: str) -> None:
        """Add `channel` to `group`. The channel must be read on the loop that calls this."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self.groups.setdefault(group, {})[channel] = time.time()
            self._loops[channel] = asyncio.get_running_loop()

    async def group_discard(self, group: str, channel: str) -> None:
        """Remove `channel` from `group`, if it is in it."""
        self.require_valid_group_name(group)
        self.require_valid_channel_name(channel)
        with self._lock:
            self._forget(group, [channel])

    async def receive(self, channel: str) -> dict[str, Any]:
        """Return the next message of `channel`."""
        with self._lock:
            self._loops[channel] = asyncio.get_running_loop()
        message: dict[str, Any] = await super().receive(channel)
        return message

    async def send(self, channel: str, message: dict[str, Any]) -> None:
        """Put `message` into a channel. On the loop of its reader, raises ChannelFull if the channel is full."""
        if not isinstance(message, dict):
            raise TypeError(f"A channel message is a dict, not {type(message).__name__}.")
        self.require_valid_channel_name(channel)
        loop = self._loops.get(channel)
        if loop is None or loop is asyncio.get_running_loop():
            if not self._put(channel, message):
                raise ChannelFull(channel)
        elif not self._put_on_loop(loop, [channel], message):
            with self._lock:
                self._loops.pop(channel, None)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        """Put `message` into every channel of the group that is not full."""
        if not isinstance(message, dict):
            raise TypeError(f"A channel message is a dict, not {type(message).__name__}.")
        self.require_valid_group_name(group)
        by_loop: dict[asyncio.AbstractEventLoop, list[str]] = {}
        with self._lock:
            for channel in self.groups.get(group, ()):
                by_loop.setdefault(self._loops[channel], []).append(channel)
        running_loop = asyncio.get_running_loop()
        for loop, channels in by_loop.items():
            if loop is running_loop:
                self._put_all(channels, message)
            elif not self._put_on_loop(loop, channels, message):
                with self._lock:
                    self._forget(group, channels)

    def _put_on_loop(self, loop: asyncio.AbstractEventLoop, channels: list[str], message: dict[str, Any]) -> bool:
        """Put the message into the channels on their readers' loop. Return False if that loop is closed."""
        try:
            loop.call_soon_threadsafe(self._put_all, channels, message)
        except RuntimeError:
            return False
        return True

    def _put_all(self, channels: Iterable[str], message: dict[str, Any]) -> None:
        for channel in channels:
            if channel in self._loops:  # if the reader left meanwhile, a new queue would never be removed
                self._put(channel, message)

    def _put(self, channel: str, message: dict[str, Any]) -> bool:
        """Put the message into the channel's queue. Must run on the loop of its reader. Return False if it is full."""
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
            self.channels.pop(channel, None)
        if not members:
            self.groups.pop(group, None)

    def _clean_expired(self) -> None:
        """Do nothing. The base class walks all queues; here their size is limited, and consumers remove them."""
