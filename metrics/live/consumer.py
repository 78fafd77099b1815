"""`WS /ws/metrics`: one client of the live stream, as an ASGI application.

It sends `hello` (the newest tick, the server, the last five minutes), then a `tick` each second. It accepts
`subscribe`, `unsubscribe`, `pause`, `resume` and `ping`. It responds to anything else with `{"type": "error", "code",
"detail"}`. Messages are limited in size and rate, waiting messages by the outbox, and the number of clients by the hub.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from django.db import Error as DatabaseFailure

from llmmonitor.access.websocket import NOT_ALLOWED_CODE, SIGNED_OUT_CODE, Denied, acheck_handshake
from llmmonitor.infra.throttled_log import log_throttled
from metrics.live import ring
from metrics.live.hub import BACKFILL_WAIT_SECONDS, TOO_OLD, Client, Hub, TooManyClients, hub_of_this_loop
from metrics.live.subscriptions import MAX_DISTINCT, TooManySubscriptions, parse, parse_id
from metrics.queries import BadQuery

logger = logging.getLogger(__name__)

TOO_MANY_CODE = 4429
TRY_AGAIN_CODE = 4503  # not 1013, the registered "Try Again Later": daphne accepts 1000 and codes from 3000 only
NO_STORE = "The database is not available."
AUTHENTICATION = "authentication of a live client"  # in the log
MAX_MESSAGE_BYTES = 16 * 2**10  # a subscription to 24 series with 100 long model names is 12 kB
MESSAGES_PER_SECOND = 5.0
MESSAGES_AT_ONCE = 30.0  # a page sends a new subscription with each click
CHECK_AGAIN_SECONDS = 5.0  # how long a socket stays open after its session or key has ended

Send = Callable[[dict[str, Any]], Any]


async def live_metrics(scope: dict[str, Any], receive: Callable[[], Any], send: Send) -> None:
    """Serve one WebSocket until it closes."""
    await receive()  # websocket.connect
    try:
        checked = await acheck_handshake(scope)
    except DatabaseFailure as error:
        log_throttled(logger, AUTHENTICATION, error)
        checked = Denied(NO_STORE, code=TRY_AGAIN_CODE)
    if isinstance(checked, Denied):
        await _reject(send, checked)
        return
    hub = hub_of_this_loop()
    try:
        with hub.client() as client:
            await send({"type": "websocket.accept"})
            await _Connection(scope, receive, send, hub, client).run()
    except TooManyClients:
        await _reject(send, Denied("Too many live connections.", code=TOO_MANY_CODE))


async def _reject(send: Send, denied: Denied) -> None:
    """Reject the handshake (HTTP 403), or accept and close it with a code that a page can read."""
    if denied.code is None:
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": denied.code, "reason": denied.reason[:120]})


class _Closed(Exception):
    """Close the connection with this code; None if the client has closed it."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        self.code, self.reason = code, reason


class _Connection:
    """One accepted socket: a reader, a writer and a check of the client's rights. When one ends, all end."""

    def __init__(self, scope: dict[str, Any], receive: Callable[[], Any], send: Send, hub: Hub, client: Client) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._hub, self._client = hub, client
        self._allowance = Allowance(MESSAGES_PER_SECOND, MESSAGES_AT_ONCE)
        self._resuming = False

    async def run(self) -> None:
        """Serve until either side closes the connection."""
        work = [asyncio.create_task(part()) for part in (self._read, self._write, self._watch)]
        try:
            await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in work:
                task.cancel()
            ended = await asyncio.gather(*work, return_exceptions=True)
        for error in ended:
            if isinstance(error, _Closed):
                if error.code is not None:
                    await self._send({"type": "websocket.close", "code": error.code, "reason": error.reason})
                return
        for error in ended:
            if isinstance(error, Exception):
                raise error

    # From the server to the client

    async def _write(self) -> None:
        try:
            hello = await self._hub.hello()
        except Exception as error:  # noqa: BLE001 (a database may fail in many ways)
            log_throttled(logger, "hello", error)
            raise _Closed(TRY_AGAIN_CODE, NO_STORE) from None
        await self._send_text(hello)
        while True:
            item = await self._client.outbox.get()
            await (self._send_text(item) if isinstance(item, str) else item())

    async def _send_text(self, text: str) -> None:
        """Send, and wait until the connection can take more (if the server supports flow control)."""
        await self._send({"type": "websocket.send", "text": text})

    async def _watch(self) -> None:
        """Close the connection when the client has signed out or lost its role or key.

        A database error does not close it: the client was allowed to read a moment ago, and a new handshake would
        fail, too.
        """
        while True:
            await asyncio.sleep(CHECK_AGAIN_SECONDS)
            try:
                checked = await acheck_handshake(self._scope)
            except DatabaseFailure as error:
                log_throttled(logger, AUTHENTICATION, error)
                continue
            if isinstance(checked, Denied):
                code = checked.code if checked.code in (SIGNED_OUT_CODE, NOT_ALLOWED_CODE) else NOT_ALLOWED_CODE
                raise _Closed(code, checked.reason[:120])

    # From the client to the server

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise _Closed
            if not self._allowance.take(time.monotonic()):
                raise _Closed(TOO_MANY_CODE, "Too many messages.")
            response = self._respond(message.get("text"), message.get("bytes"))
            if response is not None and not self._client.outbox.put_response(response):
                raise _Closed(TOO_MANY_CODE, "Responses are not read.")

    def _respond(self, text: str | None, data: bytes | None) -> Any:
        """Return the response to a message, or a function that builds and sends it later."""
        content = data or b"" if text is None else text.encode()
        if len(content) > MAX_MESSAGE_BYTES:
            return error("too_large", f"A message may have at most {MAX_MESSAGE_BYTES} bytes.")
        try:
            message = orjson.loads(content)
        except orjson.JSONDecodeError:
            return error("invalid_json", 'Send JSON, such as {"type": "ping"}.')
        kind = message.get("type") if isinstance(message, dict) else None
        handler = self._HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return error("unknown_type", f"{str(kind)[:60]!r} is not a message type.", tuple(self._HANDLERS))
        return handler(self, message)

    def _subscribe(self, message: dict[str, Any]) -> str:
        self._client.is_paused = False
        try:
            wanted, subscription_id = parse(message, datetime.now(UTC)), parse_id(message)
            self._hub.subscribe(self._client, wanted, subscription_id)
        except BadQuery as problem:
            return error("bad_query", problem.detail, problem.allowed)
        except TooManySubscriptions:
            return error(
                "poll", f"{MAX_DISTINCT} different subscriptions are in use: read /metrics/history every few seconds."
            )
        response: dict[str, Any] = {"type": "subscribed", "step": wanted.step, "filters": wanted.filters.as_dict()}
        if subscription_id is not None:
            response["id"] = subscription_id
        return ring.encode(response).decode()

    def _unsubscribe(self, message: dict[str, Any]) -> str:
        self._hub.unsubscribe(self._client)
        return '{"type":"unsubscribed"}'

    def _pause(self, message: dict[str, Any]) -> str:
        self._hub.pause(self._client)
        return '{"type":"paused"}'

    def _resume(self, message: dict[str, Any]) -> Any:
        seq = message.get("seq")
        if type(seq) is not int or not 0 <= seq < 2**53:
            return error("bad_query", "seq: must be the seq of the last tick that was received.")
        if self._resuming:
            return error("busy", "The previous backfill has not been sent yet.")
        self._resuming = True
        self._client.is_paused = False

        async def backfill() -> None:
            # A backfill stays in memory until the client has read it, so only a few are built at once.
            try:
                async with asyncio.timeout(BACKFILL_WAIT_SECONDS):
                    await self._hub.backfills.acquire()
            except TimeoutError:
                self._resuming = False
                await self._send_text(TOO_OLD)
                return
            try:
                await self._send_text(await self._hub.backfill(seq))
            finally:
                self._hub.backfills.release()
                self._resuming = False

        return backfill

    def _ping(self, message: dict[str, Any]) -> str:
        return '{"type":"pong"}'

    _HANDLERS = {
        "subscribe": _subscribe,
        "unsubscribe": _unsubscribe,
        "pause": _pause,
        "resume": _resume,
        "ping": _ping,
    }


class Allowance:
    """A token bucket: `per_second` messages on average, `at_once` in a burst."""

    def __init__(self, per_second: float, at_once: float) -> None:
        self._per_second, self._at_once = per_second, at_once
        self._left = at_once
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Return whether another message is allowed at `now` (seconds of a monotonic clock)."""
        if self._at is not None:
            self._left = min(self._at_once, self._left + (now - self._at) * self._per_second)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


def error(code: str, detail: str, allowed: Any = ()) -> str:
    """Return an error message."""
    body: dict[str, Any] = {"type": "error", "code": code, "detail": detail[:500]}
    if allowed:
        body["allowed"] = list(allowed)[:100]
    return ring.encode(body).decode()
