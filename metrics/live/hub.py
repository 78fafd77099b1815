"""Fan-out of ticks to the WebSocket clients of one process.

There is one hub per event loop. It joins the channel layer's group of ticks while it has clients. A client without a
subscription gets each tick unchanged. Each distinct subscription is computed once per tick, on a thread of the hub, and
its result is added to the tick. If that takes longer than a second, the next tick is sent to all clients unchanged; the
result is then sent with the newest tick, and the following result includes the buckets that changed in between.
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

import orjson
from channels.layers import get_channel_layer
from django.conf import settings

from llmmonitor.infra.databases import close_failed_connections
from llmmonitor.infra.telemetry import telemetry
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import messages, ring, ticker
from metrics.live.outbox import Outbox
from metrics.live.subscriptions import Subscription, Subscriptions, compute_view
from metrics.queries import QueryStopped
from metrics.queries.read.appended_rows import AppendedRows
from metrics.queries.read.budget import check_budget, query_budget

logger = logging.getLogger(__name__)

MAX_CLIENTS = 256  # per process; a client that does not read may use a few hundred kilobytes
HELLO_BYTES = 200_000
HELLO_SECONDS = 1.0  # how long a hello is reused; without a broker, no tick replaces it
BACKFILLS_AT_ONCE = 4  # each uses up to 8 MiB until its client has read it
BACKFILL_WAIT_SECONDS = 5.0
VIEWS_SECONDS = 3.0  # for all subscriptions of a tick together; the remaining ones are skipped and logged
RETRY_SECONDS = 1.0
JOIN_SECONDS = 2.0
PAUSED_TICKS = 30  # so that no proxy closes the connection
REJOIN_SECONDS = 3600.0  # membership in a group of the Redis channel layer expires after a day
STARTED = datetime.now(UTC)

Result = TypeVar("Result")


class Client:
    """A connected client: its outbox, its subscription, and whether it gets one tick in PAUSED_TICKS only."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.subscription: Subscription | None = None
        self.subscription_id: str | None = None  # chosen by the client
        self.is_paused = False


class TooManyClients(Exception):
    """This process has MAX_CLIENTS clients."""


class Hub:
    """The clients of one event loop."""

    def __init__(self, max_clients: int | None = None) -> None:
        self.subscriptions = Subscriptions()
        self.backfills = asyncio.Semaphore(BACKFILLS_AT_ONCE)
        self._max_clients = MAX_CLIENTS if max_clients is None else max_clients
        self.clients: set[Client] = set()
        self._listening: asyncio.Task[None] | None = None
        self._joined = asyncio.Event()
        self._computing: asyncio.Task[None] | None = None
        self._newest = ""  # tick, as JSON
        self._newest_seq: int | None = None
        self._sent_at: dict[bytes, int] = {}  # subscription -> seq of the newest tick with its view
        self._appended = AppendedRows()  # used on the hub's thread
        self._rounds = 0  # how often all subscriptions were computed
        self._hello: tuple[str, float] | None = None  # the text and when it expires; None after a new tick
        self._making_hello: asyncio.Task[str] | None = None
        # One thread, so that the hub uses one database connection.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")

    @contextlib.contextmanager
    def client(self) -> Iterator[Client]:
        """Register a client while the block runs. Raises TooManyClients."""
        if len(self.clients) >= self._max_clients:
            raise TooManyClients
        client = Client()
        self.clients.add(client)
        if self._listening is None:
            self._joined = asyncio.Event()  # a new one, because a former listener may still clear the old one
            self._listening = asyncio.create_task(self._listen(self._joined))
        try:
            yield client
        finally:
            self.clients.discard(client)
            self.unsubscribe(client)
            if not self.clients and self._listening is not None:
                cancel_until_done(self._listening)
                self._listening = None

    def subscribe(self, client: Client, wanted: Subscription, subscription_id: str | None = None) -> None:
        """Replace the client's subscription. Raises TooManySubscriptions; the client then gets plain ticks."""
        self.unsubscribe(client)
        self.subscriptions.add(wanted)
        client.subscription, client.subscription_id = wanted, subscription_id

    def unsubscribe(self, client: Client) -> None:
        """Remove the client's subscription."""
        if client.subscription is not None:
            self.subscriptions.discard(client.subscription)
            client.subscription = client.subscription_id = None

    def pause(self, client: Client) -> None:
        """End the client's subscription and most of its ticks. It still gets messages."""
        self.unsubscribe(client)
        client.is_paused = True

    async def hello(self) -> str:
        """Return the first message for a client. It is built once a second at most, after the group was joined."""
        with contextlib.suppress(TimeoutError):  # without a broker there are no ticks, but the database has figures
            await asyncio.wait_for(self._joined.wait(), JOIN_SECONDS)
        if self._hello is not None and asyncio.get_running_loop().time() < self._hello[1]:
            return self._hello[0]
        if self._making_hello is None:
            self._making_hello = asyncio.create_task(self._make_hello())
        return await asyncio.shield(self._making_hello)  # a client that disconnects must not cancel it for others

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
        """Return the response to `resume`: the ticks after `seq`."""
        ticks = await self.in_thread(lambda: ring.since(seq))
        if ticks is None:
            return TOO_OLD
        return f'{{"type":"backfill","ticks":[{b",".join(ticks).decode()}]}}'

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Run blocking work on the hub's thread."""

        def run() -> Result:
            try:
                return work()
            finally:
                close_failed_connections()

        return await asyncio.get_running_loop().run_in_executor(self._thread, run)

    async def _listen(self, joined: asyncio.Event) -> None:
        """Receive ticks. If the channel layer fails, retry."""
        while True:
            try:
                await self._receive(joined)
            except Exception as error:  # noqa: BLE001 (whatever a broker may raise)
                log_throttled(logger, "the live channel", error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _receive(self, joined: asyncio.Event) -> None:
        layer = get_channel_layer()
        channel = await layer.new_channel()
        loop = asyncio.get_running_loop()
        await layer.group_add(ticker.GROUP, channel)
        joined_at = loop.time()
        self._hello = None  # a tick may have been sent before the group was joined
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
        """Send a tick or messages to the clients. A broker under load may deliver a tick twice or out of order."""
        if message["type"] == messages.KIND:
            for client in self.clients:
                client.outbox.put_messages(message["texts"], message["or_else"])
            return
        seq, text = int(message["seq"]), message["text"]
        if ring.is_late(seq, self._newest_seq):
            return
        self._newest, self._newest_seq = text, seq
        self._hello = None
        busy = self._computing is not None and not self._computing.done()
        for client in self.clients:
            if client.is_paused and seq % PAUSED_TICKS:
                continue
            if client.subscription is None or busy:
                client.outbox.put_tick(text)
        if len(self.subscriptions) and not busy:
            at = datetime.fromisoformat(message["at"])
            self._computing = asyncio.create_task(self._deliver_views(seq, at, text))

    async def _deliver_views(self, seq: int, at: datetime, tick: str) -> None:
        """Compute all subscriptions, add each result to the newest tick and send it to the subscription's clients."""
        wanted = deque(self.subscriptions)
        # Each round starts with another subscription, so that a slow one does not always skip the same others.
        wanted.rotate(-self._rounds)
        self._rounds += 1
        waiting = [client for client in self.clients if client.subscription is not None]
        since = {item.key: self._sent_at[item.key] for item in wanted if item.key in self._sent_at}
        try:
            views = await self.in_thread(lambda: make_views(at, wanted, since, self._appended, tick))
        except Exception as error:  # noqa: BLE001 (the tick itself is sent anyway)
            log_throttled(logger, "live views", error)
            views = {}
        texts = {key: f"{self._newest[:-1]},{view[1:]}" for key, view in views.items()}
        for client in waiting:
            if client not in self.clients:
                continue
            # The client may have changed its subscription since the tick was sent.
            text = texts.get(client.subscription.key) if client.subscription is not None else None
            if text is not None:
                client.outbox.put_tick(text, client.subscription_id)
            elif self._newest_seq == seq:  # otherwise the client already has a later tick
                client.outbox.put_tick(self._newest)
        self._sent_at = since | dict.fromkeys(views, seq)


TOO_OLD = '{"type":"backfill","ticks":[],"too_old":true}'


def make_views(
    at: datetime, wanted: Sequence[Subscription], since: dict[bytes, int], appended: AppendedRows, tick: str = "{}"
) -> dict[bytes, str]:
    """Return what each subscription adds to the tick of `at`, given as JSON, as JSON by subscription key.

    `since` has the seq of the previous such tick by subscription key; late events are those in `appended` after it.
    A subscription that fails is skipped, and so are those that are not computed when the time budget is used up.
    """
    views = {}
    try:
        with query_budget(VIEWS_SECONDS, is_live=True):
            appended.look(at)
            overall = orjson.loads(tick).get("overall")  # of a subscription without filters
            for subscription in wanted:
                try:
                    before = since.get(subscription.key)
                    changed_s = appended.oldest_since(int(at.timestamp()) - 1 if before is None else before)
                    view = compute_view(subscription, at, before, changed_s, overall)
                    views[subscription.key] = ring.encode(view).decode()
                except QueryStopped:
                    raise
                except Exception as error:  # noqa: BLE001 (the other subscriptions are computed anyway)
                    check_budget()  # a statement that was stopped by the budget is not a failure of its own
                    log_throttled(logger, "live view", error)
    except QueryStopped as error:
        log_throttled(logger, "live views", error)
    return views


def make_hello() -> str:
    """Return the newest tick as `hello`, with the server and as much of the last five minutes as fits in 200 kB."""
    tick = ticker.newest_tick(datetime.now(UTC))
    server = {"version": settings.VERSION, "start": STARTED.isoformat(timespec="seconds").replace("+00:00", "Z")}
    head = ring.encode({**tick, "type": "hello", "server": server})
    briefs = ring.history()
    room = HELLO_BYTES - len(head) - len(b',"history":[]')
    fitting: list[bytes] = []
    for brief in reversed(briefs):
        room -= len(brief) + 1
        if room < 0:
            break
        fitting.append(brief)
    return (head[:-1] + b',"history":[' + b",".join(reversed(fitting)) + b"]}").decode()


def cancel_until_done(task: asyncio.Task[None]) -> None:
    """Cancel a task again and again. On Python 3.11, `asyncio.wait_for`, as the Redis client uses it, may lose one."""
    if task.cancel():
        asyncio.get_running_loop().call_later(RETRY_SECONDS, cancel_until_done, task)


_hubs: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = weakref.WeakKeyDictionary()


def _clients() -> int:
    return sum(len(hub.clients) for hub in list(_hubs.values()))


telemetry.level("live_clients", _clients)


def hub_of_this_loop() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    hub = _hubs.get(loop)
    if hub is None:
        hub = _hubs[loop] = Hub()
    return hub
