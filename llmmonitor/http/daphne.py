"""daphne with what it lacks: back-pressure on what it sends, and a bound on what it takes in.

**Sending.** daphne hands every message to the transport at once, so a client that stalls in the middle of a large
answer makes the server hold all of it. The application awaits `handle_reply`; here that waits while the transport's
buffer is full (a push producer, which Twisted pauses and resumes). So an export stops reading rows, and a live consumer
sees that its client is slow. A client that takes nothing for `STALL_SECONDS` is cut off.

**Receiving.** daphne collects a whole body before the application sees any of it. A body that says it is too long is
refused before a byte of it is kept, one that turns out so (chunked) as soon as it does; the rest of what the client
sends is thrown away, so that it gets to read the answer. A request that has not arrived whole in time is dropped, and
so is a WebSocket that sends faster than the application reads, or a message in pieces without end.

Importing this module installs Twisted's asyncio reactor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import daphne.server  # must come before anything else of Twisted: it installs the reactor
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor
from twisted.internet.interfaces import IPushProducer
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol
from zope.interface import implementer

from llmmonitor.access.problem_details import CONTENT_TYPE, problem_body
from llmmonitor.http.body_limit import too_large_problem

__all__ = ["BackPressureServer", "reactor"]

logger = logging.getLogger(__name__)

STALL_SECONDS = 60.0  # longest that a client of a streamed answer may take nothing
HEADER_SECONDS = 20.0  # for a request's first line and headers, counted from the line
BODY_SECONDS = 300.0  # for the whole request: 16 MiB at half a megabit a second
# The kernel would take up to 4 MB for a client that reads slowly: memory, and an hour of ticks that come too late.
SOCKET_SEND_BYTES = 128 * 2**10
WAITING_MESSAGES = 64  # of one WebSocket, not yet read by the application; beyond, the connection is cut
MESSAGE_FRAMES = 1_000  # of one message; the bound of its bytes does not count pieces that are empty
PINGS_PER_SECOND = 20  # of one WebSocket; beyond, the connection is cut
DISCARD_SECONDS = 5.0  # for what follows a first line or headers that are too long
DISCARD_FACTOR = 4  # of a refused body, this many times the limit is read and thrown away; then the connection is cut


@implementer(IPushProducer)
class Gate:
    """What the transport opens and closes; `wait` returns while it is open."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802 (Twisted's name)
        """The transport's buffer is full."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """There is room again."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """The connection is gone: nobody shall wait for it."""
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Whether there is room to send."""
        return self._open.is_set()

    async def wait(self) -> None:
        """Return once there is room (or nobody left to send to)."""
        await self._open.wait()


class BoundedRequest(WebRequest):
    """A request whose body and whose time to arrive are bounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.first_seen = time.monotonic()
        self.headers_done = False
        self.refused = False
        self.body_bytes = 0
        kwargs["parsePOSTFormSubmission"] = False  # Twisted would load forms into memory; Django parses its own
        super().__init__(*args, **kwargs)

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """Headers are complete: refuse by the stated length (None: chunked, so it remains to be seen)."""
        self.headers_done = True
        if length is not None and length > self.server.max_body_bytes:
            super().gotLength(0)
            self._refuse()
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Keep a piece of the body, as long as it is within the bound."""
        self.body_bytes += len(data)
        if not self.refused and self.body_bytes > self.server.max_body_bytes:
            self._refuse()
        if not self.refused:
            super().handleContentChunk(data)
        elif self.body_bytes > DISCARD_FACTOR * self.server.max_body_bytes:
            self.channel.forceAbortClient()

    def process(self) -> Any:
        """The request is complete; one that was refused has had its answer."""
        if self.refused:
            self.channel.loseConnection()
            return None
        return super().process()

    def check_timeouts(self) -> None:
        """Called every two seconds: drop a request that does not arrive."""
        if not hasattr(self, "request_start") and self.channel is not None:
            waited = time.monotonic() - self.first_seen
            if waited > (BODY_SECONDS if self.headers_done else self.server.header_seconds):
                self.channel.forceAbortClient()
            return
        super().check_timeouts()

    def _refuse(self) -> None:
        self.refused = True
        self.requestHeaders.removeHeader(b"Expect")  # the answer is out: no "100 Continue" after it
        self.channel.transport.write(last_answer(413, too_large_problem(self.server.max_body_bytes)))


class BoundedChannel(HTTPChannel):
    """A connection that tells a client whose first line or headers are too long. (Twisted says 400, or nothing.)"""

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Take the first line or a header, as long as they are within the bound together."""
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Answer, and throw away what comes for some seconds, so that the client gets to read the answer."""
        status, code, what = (414, "uri_too_long", "The first line")
        if self._receivedHeaderSize:
            status, code, what = (431, "headers_too_large", "The headers")
        detail = f"{what} of a request may hold {self.totalHeadersSize} bytes."
        self.transport.write(last_answer(status, json.dumps(problem_body(status, code, detail)).encode()))
        self.clearLineBuffer()
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()
        self.dataReceived = lambda data: None
        self.setTimeout(DISCARD_SECONDS)


def last_answer(status: int, problem: bytes) -> bytes:
    """An answer that is written past the application, before the connection ends."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        HTTPStatus(status).phrase.encode(),
        CONTENT_TYPE.encode(),
        len(problem),
        problem,
    )


class BoundedSocket(WebSocketProtocol):
    """A WebSocket whose unread messages, pieces of a message and pings are bounded, and that says why it is closed."""

    maxMessagePayloadSize: int  # noqa: N815 (Autobahn's; in bytes, 0 is no bound)
    frames = 0  # of the message that is coming in
    pings = 0  # in the second that began at `pings_since`
    pings_since = 0.0
    close_reason: str | None = None

    def handle_reply(self, message: dict[str, Any]) -> None:
        """A message of the application. daphne passes on the code of a close, not its reason."""
        self.close_reason = message.get("reason") or None
        super().handle_reply(message)

    def serverClose(self, code: int | None = None) -> None:  # noqa: N802
        """The application closes the connection."""
        self.sendClose(code=1000 if code is None else code, reason=self.close_reason)

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: N802, N803
        """A message begins, with a piece that is told next."""
        self.frames = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:  # noqa: N802
        """A piece of a message begins."""
        self.frames += 1
        if self.frames > MESSAGE_FRAMES:
            self.transport.abortConnection()
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        """Answer a ping. The answers wait for a client that does not read where no back-pressure sees them."""
        now = time.monotonic()
        if now - self.pings_since >= 1:
            self.pings, self.pings_since = 0, now
        self.pings += 1
        if self.pings > PINGS_PER_SECOND:
            self.transport.abortConnection()
        else:
            super().onPing(payload)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:  # noqa: N802, N803
        """Queue a message for the application."""
        if self.application_queue.qsize() >= WAITING_MESSAGES:
            self.transport.abortConnection()
        else:
            super().onMessage(payload, isBinary)

    def sendMessage(self, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        """Send. (Autobahn holds what is sent to the bound of what is received, and drops more without a word.)"""
        bound, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*args, **kwargs)
        finally:
            self.maxMessagePayloadSize = bound


class BackPressureServer(daphne.server.Server):
    """daphne's server with the bounds of this module and a stop that lets requests finish.

    `max_body_bytes` bounds a request's body; `when_listening(host, port)` is called once the socket listens, and
    `when_failed(message)` when it cannot.
    """

    def __init__(
        self,
        application: Any,
        *,
        max_body_bytes: int,
        when_listening: Callable[[str, int], None] | None = None,
        when_failed: Callable[[str], None] | None = None,
        header_seconds: float = HEADER_SECONDS,
        stall_seconds: float = STALL_SECONDS,
        **options: Any,
    ) -> None:
        super().__init__(application, signal_handlers=False, verbosity=1, **options)
        self.max_body_bytes = max_body_bytes
        self.when_listening = when_listening
        self.when_failed = when_failed
        self.header_seconds = header_seconds
        self.stall_seconds = stall_seconds
        self.error: Exception | None = None  # what `when_listening` raised
        self.ports: list[Any] = []
        self.gates: dict[Any, Gate] = {}
        self.stopping = False

    # Back-pressure

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send one message of the application; returns when the transport has room for the next."""
        kind = message["type"]
        if kind == "http.response.body" and not message.get("more_body") and self._gate_of(protocol):
            protocol.unregisterProducer()  # Twisted wants it off before the answer ends
            del self.gates[protocol]
        await super().handle_reply(protocol, message)
        if kind == "http.response.body" and message.get("more_body"):
            gate = self._gate_of(protocol) or self._make_gate(protocol)
        elif kind == "websocket.accept":
            self._make_gate(protocol)
            return
        else:
            gate = self._gate_of(protocol)
        if gate is None or gate.is_open:
            return
        try:
            await asyncio.wait_for(gate.wait(), self.stall_seconds)
        except TimeoutError:
            with contextlib.suppress(AttributeError):  # it may have gone meanwhile
                (protocol.channel if isinstance(protocol, WebRequest) else protocol).transport.abortConnection()

    def _gate_of(self, protocol: Any) -> Gate | None:
        return self.gates.get(protocol)

    def _make_gate(self, protocol: Any) -> Gate | None:
        """Register a gate with what sends for this protocol; None where the connection has gone."""
        details = self.connections.get(protocol)
        if details is None or "disconnected" in details:
            return None
        gate = Gate()
        if isinstance(protocol, WebSocketProtocol):
            with contextlib.suppress(AttributeError, OSError):  # a transport without a socket of its own
                protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_SEND_BYTES)
            protocol.transport.unregisterProducer()  # the one that HTTP left there at the upgrade
            protocol.transport.registerProducer(gate, True)
        else:
            if protocol.finished or protocol.channel is None:
                return None
            protocol.registerProducer(gate, True)
            if protocol.channel._waitingForTransport:
                gate.pauseProducing()
        self.gates[protocol] = gate
        return gate

    def protocol_disconnected(self, protocol: Any) -> None:
        """The connection has ended: nobody waits for it any longer."""
        gate = self.gates.pop(protocol, None)
        if gate is not None:
            gate.stopProducing()
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    # Start and stop

    @property
    def ws_factory(self) -> Any:
        """What makes a WebSocket's protocol. daphne makes it in the middle of `run`."""
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, made: Any) -> None:
        made.protocol = BoundedSocket
        self._ws_factory = made

    @property
    def http_factory(self) -> Any:
        """What makes a connection's protocol. daphne makes its own in the middle of `run`; ours takes its place."""
        return self._http_factory

    @http_factory.setter
    def http_factory(self, given: Any) -> None:
        self._http_factory = _BoundedFactory(self)

    def listen_success(self, port: Any) -> None:
        """Remember the port, to close it before the rest, and say where it is."""
        super().listen_success(port)
        self.ports.append(port)
        address = port.getHost()
        if self.when_listening and hasattr(address, "port"):
            try:
                self.when_listening(address.host, address.port)
            except Exception as error:  # noqa: BLE001 (Twisted would take it for a failure to listen)
                self.error = error
                self.stop()

    def listen_error(self, failure: Any) -> None:
        """The socket could not be had (taken since the check)."""
        if self.when_failed:
            self.when_failed(failure.getErrorMessage())
        self.stop()

    async def shut_down(self, grace_seconds: float) -> None:
        """Stop taking connections, let requests in flight end (at most `grace_seconds`), close the sockets, stop."""
        if self.stopping:
            return
        self.stopping = True
        for port in self.ports:
            with contextlib.suppress(Exception):
                await defer.ensureDeferred(_stopped(port)).asFuture(asyncio.get_running_loop())
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                with contextlib.suppress(Exception):
                    protocol.sendCloseFrame(code=1001, isReply=False)  # going away: the page reconnects
        deadline = time.monotonic() + grace_seconds
        # Looked at, not waited for: what is in flight changes while it is waited for.
        while self._in_flight() and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        self.stop()

    def _in_flight(self) -> bool:
        return any(
            isinstance(protocol, WebRequest)
            and "disconnected" not in details
            and (task := details.get("application_instance")) is not None
            and not task.done()
            for protocol, details in self.connections.items()
        )

    def kill_all_applications(self) -> Any:
        """Cancel what still runs and wait for it. (daphne's own fails on a connection without an application.)"""
        tasks = [task for details in self.connections.values() if (task := details.get("application_instance"))]
        for task in tasks:
            task.cancel()
        waiting = defer.Deferred.fromFuture(asyncio.gather(*tasks, return_exceptions=True))
        waiting.addErrback(lambda failure: None)
        return waiting


class _BoundedFactory(HTTPFactory):
    """Makes connections whose requests are bounded."""

    def protocol(self) -> Any:
        """What Twisted's own factory makes, around our channel."""
        return _GenericHTTPChannelProtocol(BoundedChannel())

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = BoundedRequest
        return protocol


async def _stopped(port: Any) -> None:
    await defer.maybeDeferred(port.stopListening)
