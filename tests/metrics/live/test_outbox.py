"""What waits for a slow client."""

from __future__ import annotations

import asyncio
import json

import pytest

from metrics.live.outbox import Outbox


class ASlowClient:
    async def test_keeps_the_newest_ticks_and_learns_how_many_it_lost(self) -> None:
        outbox = Outbox(max_ticks=3)
        kept = [outbox.put_tick(f'{{"seq":{number}}}') for number in range(7)]
        assert kept == [True] * 3 + [False] * 4
        assert [await outbox.get() for _ in range(3)] == ['{"dropped":4,"seq":4}', '{"seq":5}', '{"seq":6}']

    async def test_is_told_of_each_loss_once(self) -> None:
        outbox = Outbox(max_ticks=1)
        for number in range(3):
            outbox.put_tick(f'{{"seq":{number}}}')
        assert await outbox.get() == '{"dropped":2,"seq":2}'
        outbox.put_tick('{"seq":3}')
        assert await outbox.get() == '{"seq":3}'

    async def test_cannot_have_answers_pile_up(self) -> None:
        outbox = Outbox(max_responses=2)
        assert [outbox.put_response("{}") for _ in range(4)] == [True, True, False, False]
        assert outbox.put_tick('{"seq":1}')


class ATickOfASubscription:
    async def test_carries_the_id_that_it_was_put_with(self) -> None:
        outbox = Outbox(max_ticks=3)
        shared = '{"seq":1,"view":{}}'
        for subscription_id in ("lost", 'a "name"', None, "b"):
            outbox.put_tick(shared, subscription_id)
        assert [json.loads(await outbox.get()) for _ in range(3)] == [
            {"dropped": 1, "id": 'a "name"', "seq": 1, "view": {}},
            {"seq": 1, "view": {}},
            {"id": "b", "seq": 1, "view": {}},
        ]


class AnOutbox:
    async def test_gives_answers_before_ticks(self) -> None:
        outbox = Outbox()
        outbox.put_tick('{"seq":1}')
        outbox.put_response("answer")
        assert [await outbox.get(), await outbox.get()] == ["answer", '{"seq":1}']

    async def test_waits_for_something_to_come(self) -> None:
        outbox = Outbox()
        waiting = asyncio.ensure_future(outbox.get())
        await asyncio.sleep(0)
        assert not waiting.done()
        outbox.put_tick('{"seq":1}')
        assert await waiting == '{"seq":1}'


@pytest.mark.parametrize("limit", [1, 5])
async def test_an_outbox_never_holds_more_ticks_than_its_limit(limit: int) -> None:
    outbox = Outbox(max_ticks=limit)
    for number in range(100):
        outbox.put_tick(f'{{"seq":{number}}}')
    for _ in range(limit):
        await outbox.get()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(outbox.get(), 0.01)
