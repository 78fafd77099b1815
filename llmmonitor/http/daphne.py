"""daphne with flow control for sending and limits for receiving, which it does not have itself.

**Sending.** daphne passes every message to the transport at once. If a client stops reading a large response, the
server holds all of it in memory. Here `handle_reply`, which the application awaits, returns only when the buffer of the
transport has room (a push producer, which Twisted pauses and resumes). An export then stops reading rows, and a live
consumer notices that its client is slow. A client that reads nothing for `STALL_SECONDS` is disconnected.

**Receiving.** daphne collects a whole body before it calls the application. Here a body with a Content-Length above the
limit is rejected before it is read, and a chunked body as soon as it exceeds the limit. More of the body is read and
discarded, so that the client receives the response. A request that does not arrive in time is disconnected. So is a
WebSocket that sends faster than the application reads, or that sends a message in too many frames.

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

import daphne.server  # before other imports of Twisted, because it installs the reactor
from daphne.http_protocol import HTTPFactory, WebRequest
from daphne.ws_protocol import WebSocketProtocol
from twisted.internet import defer, reactor
from twisted.internet.interfaces import IPushProducer
from twisted.web.http import HTTPChannel, _GenericHTTPChannelProtocol
from zope.interface import implementer

from llmmonitor.http.body_limit import too_large_problem
from llmmonitor.http.problem_details import CONTENT_TYPE, problem_body

__all__ = ["BackPressureServer", "reactor"]

logger = logging.getLogger(__name__)

STALL_SECONDS = 60.0  # maximum time that a client may read nothing of a streamed response
HEADER_SECONDS = 20.0  # maximum time for the headers, from the request line on
BODY_SECONDS = 300.0  # maximum time for the whole request: 16 MiB at half a megabit per second
# The kernel would buffer up to 4 MiB for a slow client: an hour of ticks.
SOCKET_SEND_BYTES = 128 * 2**10
# Above these numbers, the connection of a WebSocket is aborted.
WAITING_MESSAGES = 64  # that the application has not read
MESSAGE_FRAMES = 1_000  # of one message; the limit on its bytes does not count empty frames
PINGS_PER_SECOND = 20
DISCARD_SECONDS = 5.0  # how long to discard data after a request line or headers that are too long
DISCARD_FACTOR = 4  # of a rejected body, this many times the limit is discarded; then the connection is aborted


@implementer(IPushProducer)
class Gate:
    """Is closed while the transport's buffer is full. A sender waits until it is open."""

    def __init__(self) -> None:
        self._open = asyncio.Event()
        self._open.set()

    def pauseProducing(self) -> None:  # noqa: N802 (Twisted's name)
        """Close: the transport's buffer is full."""
        self._open.clear()

    def resumeProducing(self) -> None:  # noqa: N802
        """Open: the transport's buffer has room again."""
        self._open.set()

    def stopProducing(self) -> None:  # noqa: N802
        """Open: the connection has ended, and no sender must wait for it."""
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Return whether there is room to send."""
        return self._open.is_set()

    async def wait(self) -> None:
        """Return when there is room, or when the connection has ended."""
        await self._open.wait()


class LimitedRequest(WebRequest):
    """A request with limits on the size of its body and on the time of its arrival."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.first_seen = time.monotonic()
        self.headers_done = False
        self.rejected = False
        self.body_bytes = 0
        kwargs["parsePOSTFormSubmission"] = False  # Twisted would load forms into memory; Django parses its own
        super().__init__(*args, **kwargs)

    def gotLength(self, length: int | None) -> None:  # noqa: N802
        """Check the Content-Length when the headers are complete; it is None if the body is chunked."""
        self.headers_done = True
        if length is not None and length > self.server.max_body_bytes:
            super().gotLength(0)
            self._reject()
        else:
            super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:  # noqa: N802
        """Add a chunk to the body, unless the body exceeds the limit."""
        self.body_bytes += len(data)
        if not self.rejected and self.body_bytes > self.server.max_body_bytes:
            self._reject()
        if not self.rejected:
            super().handleContentChunk(data)
        elif self.body_bytes > DISCARD_FACTOR * self.server.max_body_bytes:
            self.channel.forceAbortClient()

    def process(self) -> Any:
        """Call the application when the request is complete. A rejected request already has its response."""
        if self.rejected:
            self.channel.loseConnection()
            return None
        # daphne would take the prefix of the path from it, whoever sent it.
        self.requestHeaders.removeHeader(b"daphne-root-path")
        return super().process()

    def check_timeouts(self) -> None:
        """Disconnect a request that does not arrive in time. Called every two seconds."""
        if not hasattr(self, "request_start") and self.channel is not None:
            waited = time.monotonic() - self.first_seen
            if waited > (BODY_SECONDS if self.headers_done else self.server.header_seconds):
                self.channel.forceAbortClient()
            return
        super().check_timeouts()

    def _reject(self) -> None:
        self.rejected = True
        self.requestHeaders.removeHeader(b"Expect")  # no "100 Continue" after the response
        self.channel.transport.write(final_response(413, too_large_problem(self.server.max_body_bytes)))


class LimitedChannel(HTTPChannel):
    """A connection that responds with 414 or 431 to a request line or headers that are too long.

    Twisted responds with 400 or not at all.
    """

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Process the request line or a header, unless they exceed the limit together."""
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Respond, and discard what follows for some seconds, so that the client receives the response."""
        status, code, part = (414, "uri_too_long", "The first line")
        if self._receivedHeaderSize:
            status, code, part = (431, "headers_too_large", "The headers")
        detail = f"{part} of a request may have at most {self.totalHeadersSize} bytes."
        self.transport.write(final_response(status, json.dumps(problem_body(status, code, detail)).encode()))
        self.clearLineBuffer()
        self._networkProducer.unregisterProducer()
        self.transport.loseWriteConnection()
        self.dataReceived = lambda data: None
        self.setTimeout(DISCARD_SECONDS)


def final_response(status: int, problem: bytes) -> bytes:
    """Return a response that is written without the application, before the connection is closed."""
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (
        status,
        HTTPStatus(status).phrase.encode(),
        CONTENT_TYPE.encode(),
        len(problem),
        problem,
    )


class LimitedWebSocket(WebSocketProtocol):
    """A WebSocket with limits on unread messages, frames per message and pings. It sends the reason of a close."""

    maxMessagePayloadSize: int  # noqa: N815 (Autobahn's; in bytes, 0 is no limit)
    frames = 0  # of the current message
    pings = 0  # in the second that began at `pings_since`
    pings_since = 0.0
    close_reason: str | None = None

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Send a message of the application. daphne sends the code of a close, but not its reason."""
        self.close_reason = message.get("reason") or None
        super().handle_reply(message)

    def serverClose(self, code: int | None = None) -> None:  # noqa: N802
        """Close the connection for the application."""
        self.sendClose(code=1000 if code is None else code, reason=self.close_reason)

    def onMessageBegin(self, isBinary: bool) -> None:  # noqa: N802, N803
        """Begin to count the frames of a message."""
        self.frames = 0
        super().onMessageBegin(isBinary)

    def onMessageFrameBegin(self, length: int) -> None:  # noqa: N802
        """Count a frame, and abort the connection if there are too many."""
        self.frames += 1
        if self.frames > MESSAGE_FRAMES:
            self.transport.abortConnection()
        super().onMessageFrameBegin(length)

    def onPing(self, payload: bytes) -> None:  # noqa: N802
        """Send a pong, and abort the connection if there are too many pings. Flow control does not apply to pongs."""
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
        """Send without a limit. Autobahn would drop messages that exceed the limit of received messages."""
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(*args, **kwargs)
        finally:
            self.maxMessagePayloadSize = limit


class BackPressureServer(daphne.server.Server):
    """daphne's server with the limits of this module and a shutdown that lets requests finish.

    `when_listening(host, port)` is called once the socket listens, `when_failed(message)` if it cannot listen.
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
        self.error: Exception | None = None  # raised by `when_listening`
        self.ports: list[Any] = []
        self.gates: dict[Any, Gate] = {}
        self.stopping = False

    # Flow control

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        """Send a message of the application. Return when the transport has room for the next message."""
        kind = message["type"]
        if kind == "http.response.body" and not message.get("more_body") and self._gate_of(protocol):
            protocol.unregisterProducer()  # as Twisted requires before the response ends
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
            with contextlib.suppress(AttributeError):  # the connection may have ended meanwhile
                (protocol.channel if isinstance(protocol, WebRequest) else protocol).transport.abortConnection()

    def _gate_of(self, protocol: Any) -> Gate | None:
        return self.gates.get(protocol)

    def _make_gate(self, protocol: Any) -> Gate | None:
        """Register a gate with the transport of this protocol. Return None if the connection has ended."""
        details = self.connections.get(protocol)
        if details is None or "disconnected" in details:
            return None
        gate = Gate()
        if isinstance(protocol, WebSocketProtocol):
            with contextlib.suppress(AttributeError, OSError):  # a transport without a socket of its own
                protocol.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_SEND_BYTES)
            protocol.transport.unregisterProducer()  # the producer of the HTTP request before the upgrade
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
        """Release senders that wait for a connection that has ended."""
        gate = self.gates.pop(protocol, None)
        if gate is not None:
            gate.stopProducing()
        if protocol in self.connections:
            super().protocol_disconnected(protocol)

    # Start and stop

    @property
    def ws_factory(self) -> Any:
        """The factory of WebSockets. daphne sets it in `run`; the setter replaces its protocol."""
        return self._ws_factory

    @ws_factory.setter
    def ws_factory(self, factory: Any) -> None:
        factory.protocol = LimitedWebSocket
        self._ws_factory = factory

    @property
    def http_factory(self) -> Any:
        """The factory of connections. daphne sets it in `run`; the setter replaces it."""
        return self._http_factory

    @http_factory.setter
    def http_factory(self, factory: Any) -> None:
        self._http_factory = _LimitedFactory(self)

    def listen_success(self, port: Any) -> None:
        """Call `when_listening`, and remember the port for the shutdown."""
        super().listen_success(port)
        self.ports.append(port)
        address = port.getHost()
        if self.when_listening and hasattr(address, "port"):
            try:
                self.when_listening(address.host, address.port)
            except Exception as error:  # noqa: BLE001 (Twisted would treat it as a failure to listen)
                self.error = error
                self.stop()

    def listen_error(self, failure: Any) -> None:
        """Call `when_failed`. Another program may have started to listen since the check."""
        if self.when_failed:
            self.when_failed(failure.getErrorMessage())
        self.stop()

    async def shut_down(self, grace_seconds: float) -> None:
        """Accept no more connections, wait for running requests (at most `grace_seconds`), close WebSockets, stop."""
        if self.stopping:
            return
        self.stopping = True
        for port in self.ports:
            with contextlib.suppress(Exception):
                await defer.ensureDeferred(_stopped(port)).asFuture(asyncio.get_running_loop())
        for protocol in list(self.connections):
            if isinstance(protocol, WebSocketProtocol):
                with contextlib.suppress(Exception):
                    protocol.sendCloseFrame(code=1001, isReply=False)  # "going away": the page reconnects
        deadline = time.monotonic() + grace_seconds
        # Polled, because the set of running requests changes meanwhile.
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
        """Cancel running applications and wait for them. daphne's method fails on a connection without one."""
        tasks = [task for details in self.connections.values() if (task := details.get("application_instance"))]
        for task in tasks:
            task.cancel()
        waiting = defer.Deferred.fromFuture(asyncio.gather(*tasks, return_exceptions=True))
        waiting.addErrback(lambda failure: None)
        return waiting


class _LimitedFactory(HTTPFactory):
    """Creates connections with the limits of this module."""

    def protocol(self) -> Any:
        """Return the protocol of Twisted's factory with LimitedChannel."""
        return _GenericHTTPChannelProtocol(LimitedChannel())

    def buildProtocol(self, addr: Any) -> Any:  # noqa: N802
        protocol = super().buildProtocol(addr)
        protocol.requestFactory = LimitedRequest
        return protocol


async def _stopped(port: Any) -> None:
    await defer.maybeDeferred(port.stopListening)
