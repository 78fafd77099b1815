"""The channel layer of the one-process mode: from a worker's thread to the server's loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import ChannelFull

from llmmonitor.infra.channel_layer import ThreadSafeInMemoryChannelLayer as Layer


async def in_a_thread(call: Any, *arguments: Any) -> None:
    """Run a coroutine function on a thread of its own, as a Celery task does, while this loop continues."""
    await asyncio.to_thread(async_to_sync(call), *arguments)


class AMessageFromAnotherThread:
    async def test_reaches_a_reader_that_waits(self) -> None:
        layer = Layer()
        channel = await layer.new_channel()
        await layer.group_add("ticks", channel)
        # No timer and no other callback is due on this loop: only the hop itself can wake it.
        reader = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0)
        sender = threading.Thread(target=async_to_sync(layer.group_send), args=("ticks", {"seq": 1}))
        sender.start()
        assert await reader == {"seq": 1}
        sender.join()

    async def test_reaches_every_member_in_order(self) -> None:
        layer = Layer()
        channels = [await layer.new_channel() for _ in range(3)]
        for channel in channels:
            await layer.group_add("ticks", channel)
        for seq in range(5):
            await in_a_thread(layer.group_send, "ticks", {"seq": seq})
        for channel in channels:
            assert [(await layer.receive(channel))["seq"] for _ in range(5)] == list(range(5))

    async def test_to_one_channel_arrives(self) -> None:
        layer = Layer()
        channel = await layer.new_channel()
        reader = asyncio.ensure_future(layer.receive(channel))
        await asyncio.sleep(0)
        await in_a_thread(layer.send, channel, {"a": 1})
        assert await reader == {"a": 1}

    def test_to_a_loop_that_has_ended_is_forgotten(self) -> None:
        layer = Layer()

        async def join() -> None:
            await layer.group_add("ticks", await layer.new_channel())

        asyncio.run(join())
        asyncio.run(layer.group_send("ticks", {"seq": 1}))
        assert layer.groups == {}


class AChannelThatIsNotRead:
    async def test_keeps_what_it_holds_and_loses_the_rest(self) -> None:
        layer = Layer(capacity=3)
        channel = await layer.new_channel()
        await layer.group_add("ticks", channel)
        for seq in range(10):
            await in_a_thread(layer.group_send, "ticks", {"seq": seq})
        assert [(await layer.receive(channel))["seq"] for _ in range(3)] == [0, 1, 2]
        assert layer.channels == {}

    async def test_refuses_a_direct_message(self) -> None:
        layer = Layer(capacity=1)
        channel = await layer.new_channel()
        await layer.send(channel, {"a": 1})
        with pytest.raises(ChannelFull):
            await layer.send(channel, {"a": 2})


class AMember:
    async def test_that_left_gets_nothing_and_leaves_nothing(self) -> None:
        layer = Layer()
        channel = await layer.new_channel()
        await layer.group_add("ticks", channel)
        await layer.group_discard("ticks", channel)
        await in_a_thread(layer.group_send, "ticks", {"seq": 1})
        assert (layer.groups, layer.channels) == ({}, {})

    async def test_that_leaves_while_a_message_is_on_its_way_leaves_nothing(self) -> None:
        layer = Layer()
        channel = await layer.new_channel()
        await layer.group_add("ticks", channel)
        # Sent from a thread and waited for without this loop: the message's hop comes after the member has left.
        sender = threading.Thread(target=async_to_sync(layer.group_send), args=("ticks", {"seq": 1}))
        sender.start()
        sender.join()
        await layer.group_discard("ticks", channel)
        await asyncio.sleep(0)
        assert (layer.groups, layer.channels) == ({}, {})
