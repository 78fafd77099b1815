"""One process's clients: how many there may be, each question computed once, and what happens when that is slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from channels.layers import get_channel_layer
from channels.testing import WebsocketCommunicator
from django.core.cache import caches
from django.db import InterfaceError, OperationalError

from llmmonitor.access.websocket import Denied
from llmmonitor.infra import throttled_log
from metrics.events import InferenceEvent
from metrics.live import consumer, ring, ticker
from metrics.live import hub as hub_module
from metrics.live.consumer import Allowance
from metrics.live.hub import Hub, make_hello
from metrics.live.messages import send_to_clients
from metrics.live.routing import websocket_application
from metrics.queries import QueryTooSlow
from metrics.store.writing.transaction import Store
from tests.support.timeouts import LONGEST_WAIT_SECONDS

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]
HEADERS = [(b"host", b"localhost:8899")]


@contextlib.asynccontextmanager
async def page() -> AsyncIterator[WebsocketCommunicator]:
    """A page on loopback, its hello read."""
    client = WebsocketCommunicator(websocket_application, "/ws/metrics", HEADERS)
    client.scope |= {"client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8899)}
    assert (await client.connect(LONGEST_WAIT_SECONDS))[0]
    assert (await heard(client))["type"] == "hello"
    yield client
    await client.disconnect(timeout=LONGEST_WAIT_SECONDS)


async def heard(client: WebsocketCommunicator) -> dict[str, Any]:
    """The next message."""
    return dict(await client.receive_json_from(LONGEST_WAIT_SECONDS))


async def broadcast(second: int) -> None:
    """A tick, from a thread, as a worker sends it."""
    at = datetime.fromtimestamp(1_800_000_000 + second, UTC)
    assert await asyncio.to_thread(ticker.broadcast, at)


async def subscribe(client: WebsocketCommunicator, **message: Any) -> dict[str, Any]:
    await client.send_json_to({"type": "subscribe", "step": 1} | message)
    answer = await heard(client)
    assert answer["type"] == "subscribed"
    return answer


@pytest.fixture(autouse=True)
def empty_ring() -> None:
    caches["ring"].clear()


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views are left out, and ticks are not heard, for what a test does, not because the machine stalled."""
    for name in ("VIEWS_SECONDS", "JOIN_SECONDS"):
        monkeypatch.setattr(hub_module, name, LONGEST_WAIT_SECONDS)


class AConnection:
    async def test_beyond_the_limit_is_closed_with_4429(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub_module, "MAX_CLIENTS", 2)
        async with page(), page() as second:
            late = WebsocketCommunicator(websocket_application, "/ws/metrics", HEADERS)
            late.scope |= {"client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", 8899)}
            assert (await late.connect(LONGEST_WAIT_SECONDS))[0]
            closed = await late.receive_output(LONGEST_WAIT_SECONDS)
            assert (closed["type"], closed["code"]) == ("websocket.close", 4429)
            await second.disconnect(timeout=LONGEST_WAIT_SECONDS)
            async with page():  # there is room again
                pass

    async def test_while_the_store_does_not_answer_is_told_to_come_again(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def fail(scope: dict[str, Any]) -> None:
            raise OperationalError("disk I/O error")

        monkeypatch.setattr(consumer, "acheck_handshake", fail)
        monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
        for _ in range(3):
            client = WebsocketCommunicator(websocket_application, "/ws/metrics", HEADERS)
            assert (await client.connect(LONGEST_WAIT_SECONDS))[0]
            closed = await client.receive_output(LONGEST_WAIT_SECONDS)
            assert (closed["code"], closed["reason"]) == (4503, "The database is not available.")
        told = [record.getMessage() for record in caplog.records]
        assert told == ["authentication of a live client failed: OperationalError: disk I/O error"]


class ATick:
    async def test_reaches_every_page(self) -> None:
        async with page() as one, page() as other:
            await broadcast(1)
            assert (await heard(one))["seq"] == (await heard(other))["seq"]

    async def test_that_is_delivered_twice_reaches_a_page_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = ticker.send_to_group

        def send_twice(message: dict[str, Any]) -> None:
            for _ in range(2):
                real(message)

        monkeypatch.setattr(ticker, "send_to_group", send_twice)
        async with page() as plain, page() as subscribed:
            await subscribe(subscribed)
            for second in range(3):
                await broadcast(second)
                for client in (plain, subscribed):
                    assert (await heard(client))["seq"] == 1_800_000_000 + second

    async def test_that_comes_after_a_later_one_reaches_nobody(self) -> None:
        async with page() as client:
            for second in (2, 1, 3):  # the worker that began first was done last
                await broadcast(second)
            assert [(await heard(client))["seq"] for _ in range(2)] == [1_800_000_002, 1_800_000_003]

    async def test_of_a_clock_that_was_set_back_reaches_every_page(self) -> None:
        async with page() as client:
            for second in (0, -3_600, -3_599):
                await broadcast(second)
                assert (await heard(client))["seq"] == 1_800_000_000 + second


class AListener:
    async def test_ends_with_its_last_client_though_a_cancellation_is_lost(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layer = get_channel_layer()
        real, lost, listening = layer.receive, asyncio.Event(), []

        async def receive(channel: str) -> Any:
            try:
                return await real(channel)
            except asyncio.CancelledError:
                if lost.is_set():
                    raise
                lost.set()
                listening.append(asyncio.current_task())
                return await real(channel)

        monkeypatch.setattr(layer, "receive", receive)
        hub = Hub()
        with hub.client():
            await hub.hello()
        async with asyncio.timeout(LONGEST_WAIT_SECONDS):
            await lost.wait()
            await asyncio.wait(listening)


class AClientThatIsPaused:
    async def test_has_one_tick_in_thirty_and_all_messages(self) -> None:
        async with page() as client:
            await subscribe(client)
            await client.send_json_to({"type": "pause"})
            assert await heard(client) == {"type": "paused"}
            for second in range(1, 31):
                await broadcast(second)
            await asyncio.to_thread(send_to_clients, [{"type": "news"}], {"type": "much"})

            received = await heard(client)
            assert (received["seq"], "view" in received) == (1_800_000_030, False)
            assert await heard(client) == {"type": "news"}

    async def test_has_all_ticks_again_when_it_resumes(self) -> None:
        async with page() as client:
            await client.send_json_to({"type": "pause"})
            assert await heard(client) == {"type": "paused"}
            await client.send_json_to({"type": "resume", "seq": 0})
            assert (await heard(client))["type"] == "backfill"
            await broadcast(1)
            assert (await heard(client))["seq"] == 1_800_000_001


class ASubscription:
    async def test_is_computed_once_for_all_pages_and_off_the_loop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[bytes, int]] = []
        real = hub_module.compute_view

        def counted(subscription: Any, *rest: Any) -> Any:
            asked.append((subscription.key, threading.get_ident()))
            return real(subscription, *rest)

        monkeypatch.setattr(hub_module, "compute_view", counted)
        async with page() as one, page() as other, page() as third, page() as plain:
            await subscribe(one, filters={"model": "a"})
            await subscribe(other, filters={"model": ["a"]})
            await subscribe(third, filters={"model": ["b"]})
            await broadcast(1)
            for client in (one, other, third):
                assert "view" in await heard(client)
            assert "view" not in await heard(plain)
        assert len(asked) == len({key for key, _ in asked}) == 2
        assert threading.get_ident() not in {thread for _, thread in asked}

    async def test_gets_the_buckets_of_late_events_in_the_next_tick(self) -> None:
        def store(second: int, committed: int) -> None:
            at = datetime.fromtimestamp(1_800_000_000 + second, UTC)
            event = InferenceEvent(timestamp=at, request_id=str(second), model_name="m")
            Store(clock=lambda: datetime.fromtimestamp(1_800_000_000 + committed, UTC)).commit([event])

        ticks = []
        async with page() as client:
            await subscribe(client, series=[{"metric": "requests", "stat": "sum"}])
            for second, event_at in enumerate((1, -29, -1_000, 4), 1):
                await broadcast(2 * second - 1)
                await heard(client)
                await asyncio.to_thread(store, event_at, 2 * second)
                await broadcast(2 * second)
                ticks.append(await heard(client))
        points = [dict(tick["buckets"][0]["points"]) for tick in ticks]
        assert [points[1].get(1_800_000_000_000 + second * 1_000) for second in (-29, 1)] == [1, 1]
        assert [tick.get("reread_from") for tick in ticks] == [None, None, "2027-01-15T07:43:20Z", None]
        assert [len(each) for each in points] == [len(points[3]), 34, len(points[3]), len(points[3])]

    async def test_has_an_id_of_each_page_that_shares_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[bytes] = []
        real = hub_module.compute_view

        def counted(subscription: Any, *rest: Any) -> Any:
            asked.append(subscription.key)
            return real(subscription, *rest)

        monkeypatch.setattr(hub_module, "compute_view", counted)
        async with page() as one, page() as other, page() as nameless:
            assert (await subscribe(one, id="a"))["id"] == "a"
            assert (await subscribe(other, id="ü" * 64))["id"] == "ü" * 64
            assert "id" not in await subscribe(nameless)
            await broadcast(1)
            ticks = [await heard(client) for client in (one, other, nameless)]
            assert [tick.pop("id", None) for tick in ticks] == ["a", "ü" * 64, None]
            assert ticks[0] == ticks[1] == ticks[2]
            assert len(asked) == 1

            await subscribe(one, id="b")
            await subscribe(other)
            await nameless.send_json_to({"type": "unsubscribe"})
            assert (await heard(nameless))["type"] == "unsubscribed"
            await broadcast(2)
            assert [(await heard(client)).get("id") for client in (one, other, nameless)] == ["b", None, None]

    async def test_that_takes_long_does_not_hold_up_the_ticks_and_catches_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on, since = threading.Event(), threading.Event(), []
        real = hub_module.compute_view

        def slow(subscription: Any, at: datetime, before: int | None, *rest: Any) -> Any:
            since.append(before)
            begun.set()
            assert go_on.wait(LONGEST_WAIT_SECONDS)
            return real(subscription, at, before, *rest)

        monkeypatch.setattr(hub_module, "compute_view", slow)
        async with page() as client:
            await subscribe(client, series=[{"metric": "requests"}])
            await broadcast(1)
            await asyncio.to_thread(begun.wait, LONGEST_WAIT_SECONDS)
            await broadcast(2)
            tick = await heard(client)
            assert tick["seq"] == 1_800_000_002
            assert "buckets" not in tick
            go_on.set()
            tick = await heard(client)  # late, with the newest tick
            assert tick["seq"] == 1_800_000_002
            assert tick["buckets"][0]["points"][-1][0] // 1000 == 1_800_000_001
            await broadcast(3)
            tick = await heard(client)
            points = tick["buckets"][0]["points"]
            assert since == [None, 1_800_000_001]
            assert points[0][0] // 1000 <= 1_800_000_001
            assert points[-1][0] // 1000 == 1_800_000_003

    @pytest.mark.parametrize("ticks", [1, 2])
    async def test_that_was_given_up_meanwhile_is_answered_to_nobody(
        self, monkeypatch: pytest.MonkeyPatch, ticks: int
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        real = hub_module.compute_view

        def slow(*asked: Any) -> Any:
            begun.set()
            assert go_on.wait(LONGEST_WAIT_SECONDS)
            return real(*asked)

        monkeypatch.setattr(hub_module, "compute_view", slow)
        async with page() as stays, page() as changes, page() as ends:
            for client in (stays, changes, ends):
                await subscribe(client, filters={"model": "a"})
            await broadcast(1)
            assert await asyncio.to_thread(begun.wait, LONGEST_WAIT_SECONDS)
            await subscribe(changes, filters={"model": "b"})
            await ends.send_json_to({"type": "unsubscribe"})
            assert (await heard(ends))["type"] == "unsubscribed"
            if ticks == 2:  # which comes as it is, the answers take long
                await broadcast(2)
                for client in (stays, changes, ends):
                    assert "view" not in await heard(client)
            go_on.set()
            assert "view" in await heard(stays)
            if ticks == 1:
                assert "view" not in await heard(changes)
                assert "view" not in await heard(ends)
            await broadcast(3)
            seen = [await heard(client) for client in (stays, changes, ends)]
        assert [(tick["seq"], "view" in tick) for tick in seen] == [
            (1_800_000_003, True), (1_800_000_003, True), (1_800_000_003, False)
        ]  # fmt: skip

    @pytest.mark.parametrize("stopped", [QueryTooSlow(3), OperationalError("interrupted")])
    async def test_that_does_not_fit_into_its_time_leaves_the_tick_plain(
        self, monkeypatch: pytest.MonkeyPatch, stopped: Exception
    ) -> None:
        def too_slow(*_: Any) -> None:
            raise stopped

        monkeypatch.setattr(hub_module, "compute_view", too_slow)
        monkeypatch.setattr(hub_module, "VIEWS_SECONDS", 0.0)
        said: list[str] = []
        monkeypatch.setattr(hub_module, "log_throttled", lambda log, what, error: said.append(what))
        async with page() as client:
            await subscribe(client, id="a")
            await broadcast(1)
            tick = await heard(client)
            assert tick["type"] == "tick"
            assert {"view", "id"} & set(tick) == set()
        assert said == ["live views"]  # of all of them, not of one that failed

    async def test_that_fails_costs_only_its_own_pages_their_view_and_is_logged(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real = hub_module.compute_view

        def failing(subscription: Any, *rest: Any) -> Any:
            if subscription.step == 7:
                raise ZeroDivisionError("of this subscription")
            return real(subscription, *rest)

        monkeypatch.setattr(hub_module, "compute_view", failing)
        monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
        async with page() as before, page() as failed, page() as after:
            for client, step in ((before, 1), (failed, 7), (after, 2)):
                await subscribe(client, step=step)
            for second in range(3):  # whichever comes first
                await broadcast(second)
                assert "view" in await heard(before)
                assert "view" in await heard(after)
                assert "view" not in await heard(failed)
        assert caplog.text.count("ZeroDivisionError: of this subscription") == 2  # once said, with its traceback

    async def test_that_uses_up_the_time_leaves_out_others_each_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = hub_module.compute_view

        def slow(subscription: Any, *rest: Any) -> Any:
            if subscription.step == 7:
                raise QueryTooSlow(3)
            return real(subscription, *rest)

        monkeypatch.setattr(hub_module, "compute_view", slow)
        async with page() as first, page() as second, page() as third:
            for client, step in ((first, 7), (second, 1), (third, 2)):
                await subscribe(client, step=step)
            served = []
            for round_ in range(3):
                await broadcast(3 * round_)  # rounds that take long are seconds apart
                ticks = [await heard(client) for client in (first, second, third)]
                served.append(["view" in tick for tick in ticks])
        assert served == [[False, False, False], [False, True, True], [False, False, True]]


class AClientThatStays:
    @pytest.fixture(autouse=True)
    def asked_without_a_pause(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(consumer, "CHECK_AGAIN_SECONDS", 0.0)

    async def test_outlives_a_store_that_does_not_say_who_it_is_until_it_says_no(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        said: list[Exception | Denied] = [OperationalError("gone"), InterfaceError("closed"), OperationalError("gone")]
        said.append(Denied("Signed out.", code=4401))
        real = consumer.acheck_handshake

        async def check(scope: dict[str, Any]) -> Any:
            if not opened.is_set():
                return await real(scope)
            one = said.pop(0)
            if isinstance(one, Exception):
                raise one
            return one

        opened = asyncio.Event()
        monkeypatch.setattr(consumer, "acheck_handshake", check)
        monkeypatch.setattr(throttled_log, "_throttle", throttled_log.LogThrottle())
        async with page() as client:
            opened.set()
            closed = await client.receive_output(LONGEST_WAIT_SECONDS)
        assert (closed["type"], closed["code"]) == ("websocket.close", 4401)
        assert not said
        told = [record.getMessage() for record in caplog.records]
        assert told == [
            "authentication of a live client failed: OperationalError: gone",
            "authentication of a live client failed: InterfaceError: closed",
        ]


class AHello:
    @pytest.fixture
    def made(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Those that were made, each other than the one before."""
        made: list[str] = []

        def make() -> str:
            made.append(f"hello {len(made) + 1}")
            return made[-1]

        monkeypatch.setattr(hub_module, "make_hello", make)
        monkeypatch.setattr(hub_module, "HELLO_SECONDS", LONGEST_WAIT_SECONDS)
        return made

    async def test_is_used_again_until_the_next_tick(self, made: list[str]) -> None:
        hub = Hub()
        with hub.client() as client:
            assert [await hub.hello(), await hub.hello()] == ["hello 1", "hello 1"]
            await broadcast(1)
            await client.outbox.get()
            assert await hub.hello() == "hello 2"

    async def test_is_not_used_again_for_long(self, made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hub_module, "HELLO_SECONDS", 0.0)
        hub = Hub()
        with hub.client():
            assert [await hub.hello(), await hub.hello()] == ["hello 1", "hello 2"]

    async def test_is_not_used_again_when_nobody_listened_in_between(self, made: list[str]) -> None:
        hub = Hub()
        for number in (1, 2):
            with hub.client():
                assert await hub.hello() == f"hello {number}"

    async def test_in_the_making_is_shared_and_out_of_date_when_a_tick_came_meanwhile(
        self, made: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, go_on = threading.Event(), threading.Event()
        real = hub_module.make_hello

        def slow() -> str:
            begun.set()
            assert go_on.wait(LONGEST_WAIT_SECONDS)
            return real()

        monkeypatch.setattr(hub_module, "make_hello", slow)
        hub = Hub()
        with hub.client() as client:
            first, gone = asyncio.create_task(hub.hello()), asyncio.create_task(hub.hello())
            assert await asyncio.to_thread(begun.wait, LONGEST_WAIT_SECONDS)
            gone.cancel()  # takes nothing from the others
            second = asyncio.create_task(hub.hello())
            await broadcast(1)
            await client.outbox.get()
            go_on.set()
            assert [await first, await second] == ["hello 1", "hello 1"]
            assert await hub.hello() == "hello 2"

    async def test_that_failed_is_not_handed_to_those_who_come_later(
        self, made: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = hub_module.make_hello

        def fail() -> str:
            raise OperationalError("gone")

        hub = Hub()
        with hub.client():
            monkeypatch.setattr(hub_module, "make_hello", fail)
            for _ in range(2):
                with pytest.raises(OperationalError):
                    await hub.hello()
            monkeypatch.setattr(hub_module, "make_hello", real)
            assert await hub.hello() == "hello 1"

    def test_stays_within_its_bound_whatever_the_ring_holds(self) -> None:
        now = int(datetime.now(UTC).timestamp())
        for seq in range(now - 300, now + 1):
            overall = {f"figure_{number}": 123.456 for number in range(50)}
            ring.put({"type": "tick", "seq": seq, "at": "2026-03-01T12:00:00Z", "overall": overall, "models": {}})
        hello = make_hello()
        assert len(hello) <= 200_000
        history = json.loads(hello)["history"]
        assert history[-1]["seq"] == now  # the oldest are left out, not the newest
        assert len(history) > 50


class AnAllowance:
    def test_lets_a_burst_through_and_then_so_many_a_second(self) -> None:
        allowance = Allowance(per_second=2, at_once=3)
        assert [allowance.take(10.0) for _ in range(4)] == [True, True, True, False]
        assert [allowance.take(11.0) for _ in range(3)] == [True, True, False]
        assert [allowance.take(99.0) for _ in range(4)] == [True, True, True, False]
