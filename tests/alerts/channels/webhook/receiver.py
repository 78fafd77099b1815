"""A real HTTP server on loopback that keeps what it gets, and responds as a test sets it."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message as Headers
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from alerts.channels.webhook.settings import WebhookSettings

SECRET = "the secret of this receiver"


@dataclass
class Request:
    path: str
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


Answer = Callable[[BaseHTTPRequestHandler], None]


def status(number: int, **headers: str) -> Answer:
    """Answer with this status; `_` in the name of a header is `-`."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(number)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()

    return answer


ACCEPT = status(200)


@dataclass
class Receiver:
    """The requests so far. arrived: is notified of each. stopped: is set at the end, for answers that wait."""

    port: int
    scheme: str = "http"
    answer: Answer = ACCEPT
    requests: list[Request] = field(default_factory=list)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    stopped: threading.Event = field(default_factory=threading.Event)

    def settings(self, **fields: Any) -> WebhookSettings:
        """The settings of a channel that sends to it."""
        url = f"{self.scheme}://{fields.pop('host', '127.0.0.1')}:{self.port}/hook/t0ken?a=b"
        return WebhookSettings(**{"url": url, "signing_secret": SECRET, "allow_private": True, **fields})


@contextmanager
def running_receiver(tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver, until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with receiver.arrived:
                receiver.requests.append(Request(self.path, self.headers, body))
                receiver.arrived.notify_all()
            receiver.answer(self)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients that hang up are expected

    server = Server(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port, "https" if tls else "http")
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.stopped.set()
        server.shutdown()
        server.server_close()
