"""One process's side of the live stream: it hears each tick once and hands it to its clients.

There is one hub for each event loop. It is in the group of ticks while it has clients. A client without a subscription
gets the tick as it came; for the others each distinct subscription is computed once, on a thread of the hub's own and
never on the loop, and what it gives is joined to the tick. When that takes longer than a second, the next tick goes to
everybody as it is; the answer goes out with the newest tick once it is there, and the answer after it catches up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from channels.layers import get_channel_layer
from django.conf import settings

from llmmonitor.infra.databases import close_failed_connections
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import ring, ticker
from metrics.live.outbox import Outbox
from metrics.live.subscriptions import Subscription, Subscriptions, answer
from metrics.queries import QueryTooSlow
from metrics.queries.read.budget import check_budget, query_budget

logger = logging.getLogger(__name__)

MAX_CLIENTS = 256  # of one process; each may hold a few hundred kilobytes when it does not read
HELLO_BYTES = 200_000
HELLO_SECONDS = 1.0  # how long a hello is good for: without a broker no tick says that it is out of date
BACKFILLS_AT_ONCE = 4  # each is up to 8 MB until its client has taken it
BACKFILL_WAIT_SECONDS = 5.0
VIEWS_SECONDS = 3.0  # for all subscriptions of a tick together; those that do not fit go without, and say so
RETRY_SECONDS = 1.0
JOIN_SECONDS = 2.0
REJOIN_SECONDS = 3600.0  # membership in a group of a Redis layer ends after a day
STARTED = datetime.now(UTC)

Result = TypeVar("Result")


class Client:
    """What the hub knows of a client: where to put what it shall get, and what it shows."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.subscription: Subscription | None = None
        self.subscription_id: str | None = None  # what the client itself calls it


class TooManyClients(Exception):
    """This process has as many live clients as it takes."""


class Hub:
    """The clients of one event loop."""

    def __init__(self, max_clients: int | None = None) -> None:
        self.subscriptions = Subscriptions()
        self.backfills = asyncio.Semaphore(BACKFILLS_AT_ONCE)
        self._max_clients = MAX_CLIENTS if max_clients is None else max_clients
        self._clients: set[Client] = set()
        self._listening: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._computing: asyncio.Task[None] | None = None
        self._newest = ""  # tick, as JSON
        self._newest_seq: int | None = None
        self._answered: dict[bytes, int] = {}  # subscription -> second of the tick that it was last joined to
        self._rounds = 0  # of computing all subscriptions
        self._hello: tuple[str, float] | None = None  # and when it is out of date; None once a tick came
        self._making_hello: asyncio.Task[str] | None = None
        # One thread: answers of one tick take turns, and reading keeps one connection to the database.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """A client while it is connected. Raises TooManyClients."""
        if len(self._clients) >= self._max_clients:
            raise TooManyClients
        client = Client()
        self._clients.add(client)
        if self._listening is None:
            self._joined = asyncio.Event()  # a new one: the listening before may still be ending, and clear its own
            self._listening = asyncio.create_task(self._listen(self._joined))
        try:
            yield client
        finally:
            self._clients.discard(client)
            self.unsubscribe(client)
            if not self._clients and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    def subscribe(self, client: Client, wanted: Subscription, subscription_id: str | None = None) -> None:
        """Show a client this instead of what it has shown. Raises TooManySubscriptions; it then gets plain ticks."""
        self.unsubscribe(client)
        self.subscriptions.add(wanted)
        client.subscription, client.subscription_id = wanted, subscription_id

    def unsubscribe(self, client: Client) -> None:
        """Show a client plain ticks again."""
        if client.subscription is not None:
            self.subscriptions.discard(client.subscription)
            client.subscription = client.subscription_id = None

    async def hello(self) -> str:
        """What a client gets first. Made once for all that come within a second, and not before ticks are heard."""
        with contextlib.suppress(TimeoutError):  # without a broker there are no ticks, but still what the store says
            await asyncio.wait_for(self._joined.wait(), JOIN_SECONDS)
        if self._hello is not None and asyncio.get_running_loop().time() < self._hello[1]:
            return self._hello[0]
        if self._making_hello is None:
            self._making_hello = asyncio.create_task(self._make_hello())
        return await asyncio.shield(self._making_hello)  # one who goes does not take it from the others

    async def _make_hello(self) -> str:
        newest = self._newest
        try:
            text = await self.in_thread(make_hello)
        finally:
            self._making_hello = None
        if self._newest is newest:
            self._hello = text, asyncio.get_running_loop().time() + HELLO_SECONDS
        return text

    async def backfill(self, seq: int) -> str:
        """The answer to `resume`: the ticks after `seq`."""
        ticks = await self.in_thread(lambda: ring.since(seq))
        if ticks is None:
            return TOO_OLD
        return f'{{"type":"backfill","ticks":[{b",".join(ticks).decode()}]}}'

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Do blocking work on the hub's thread."""

        def run() -> Result:
            try:
                return work()
            finally:
                close_failed_connections()

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def _listen(self, joined: asyncio.Event) -> None:
        """Hear the ticks; where the channel layer fails, try again until it answers."""
        while True:
            try:
                await self._hear(joined)
            except Exception as error:  # noqa: BLE001 (whatever a broker may raise)
                log_throttled(logger, "the live channel", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self, joined: asyncio.Event) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        loop = asyncio.get_running_loop()
        await layer.group_add(ticker.GROUP, channel)
        joined_at = loop.time()
        self._hello = None  # a tick may have come while nobody listened
        joined.set()
        try:
            while True:
                self._deliver(await layer.receive(channel))
                if loop.time() - joined_at > REJOIN_SECONDS:
                    await layer.group_add(ticker.GROUP, channel)
                    joined_at = loop.time()
        finally:
            joined.clear()
            with contextlib.suppress(Exception):
                await layer.group_discard(ticker.GROUP, channel)

    def _deliver(self, message: dict[str, Any]) -> None:
        """Hand a tick of the group on. A broker under load may deliver one twice, and two workers out of order."""
        seq, text = int(message["seq"]), message["text"]
        if ring.is_late(seq, self._newest_seq):
            return
        self._newest, self._newest_seq = text, seq
        self._hello = None
        busy = self._computing is not None and not self._computing.done()
        for client in self._clients:
            if client.subscription is None or busy:
                client.outbox.put_tick(text)
        if len(self.subscriptions) and not busy:
            at = datetime.fromisoformat(message["at"])
            self._computing = asyncio.create_task(self._deliver_views(seq, at))

    async def _deliver_views(self, seq: int, at: datetime) -> None:
        """Join each subscription's answer to the tick, and hand that to whoever holds it by then."""
        wanted = deque(self.subscriptions)
        # Each begins a round in its turn: one that uses up the time leaves out others each time, never the same ones
        # for ever. By rounds, not by seconds: with a slow one they are several seconds apart, and always as many.
        wanted.rotate(-self._rounds)
        self._rounds += 1
        waiting = [client for client in self._clients if client.subscription is not None]
        since = {one.key: self._answered[one.key] for one in wanted if one.key in self._answered}
        try:
            views = await self.in_thread(lambda: make_views(at, wanted, since))
        except Exception as error:  # noqa: BLE001 (the tick itself shall arrive)
            log_throttled(logger, "live views", error)
            views = {}
        texts = {key: f"{self._newest[:-1]},{view[1:]}" for key, view in views.items()}
        for client in waiting:
            if client not in self._clients:
                continue
            # It may show something else than when the tick came.
            text = texts.get(client.subscription.key) if client.subscription is not None else None
            if text is not None:
                client.outbox.put_tick(text, client.subscription_id)
            elif self._newest_seq == seq:  # otherwise it has a later one already
                client.outbox.put_tick(self._newest)
        self._answered = since | dict.fromkeys(views, seq)


TOO_OLD = '{"type":"backfill","ticks":[],"too_old":true}'


def make_views(at: datetime, wanted: Sequence[Subscription], since: dict[bytes, int]) -> dict[bytes, str]:
    """Each subscription's answer at the tick of `at`, as JSON, by its key, computed in this order.

    One that fails is left out. Once the time is used up, so are those that have no answer yet.
    """
    found = {}
    try:
        with query_budget(VIEWS_SECONDS):
            for one in wanted:
                try:
                    found[one.key] = ring.encode(answer(one, at, since.get(one.key))).decode()
                except QueryTooSlow:
                    raise
                except Exception as error:  # noqa: BLE001 (the others shall have their answers)
                    check_budget()  # a statement that was stopped because the time is used up has not failed
                    log_throttled(logger, "live view", error)
    except QueryTooSlow as error:
        log_throttled(logger, "live views", error)
    return found


def make_hello() -> str:
    """The newest tick as `hello`, with the server and as much of the last five minutes as 200 kB hold."""
    tick = ticker.newest_tick(datetime.now(UTC))
    server = {"version": settings.VERSION, "start": STARTED.isoformat(timespec="seconds").replace("+00:00", "Z")}
    head = ring.encode({**tick, "type": "hello", "server": server})
    briefs = ring.history()
    room = HELLO_BYTES - len(head) - len(b',"history":[]')
    taken: list[bytes] = []
    for brief in reversed(briefs):
        room -= len(brief) + 1
        if room < 0:
            break
        taken.append(brief)
    return (head[:-1] + b',"history":[' + b",".join(reversed(taken)) + b"]}").decode()


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def hub_of_this_loop() -> Hub:
    """The hub of the running event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    return hub
