"""A server on loopback that speaks the wire formats of providers of models.

What it does with a request depends on the words in the model's name: `error429`, `error500`, `dropped` (the connection
is closed in the middle of the response), `slow` (the first token after 0.2 s). Each format has a module of its own,
`format_openai.py` and so on, with a function `respond(handler, body)`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import format_anthropic
import format_huggingface
import format_ollama
import format_openai
import format_rest

SLOW_SECONDS = 0.2
TOKEN_SECONDS = 0.02  # between two parts of a stream
HEADERS = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "149984"}

Respond = Callable[["Handler", dict[str, Any]], None]
# The end of a path -> how it is answered.
FORMATS: dict[str, Respond] = {
    **format_openai.PATHS,
    **format_anthropic.PATHS,
    **format_ollama.PATHS,  # `/api/generate`, before `/generate`
    **format_huggingface.PATHS,
    **format_rest.PATHS,
}


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        self.server.bodies.append(body)  # type: ignore[attr-defined]
        path = self.path.split("?")[0]
        respond = next((respond for end, respond in FORMATS.items() if path.endswith(end)), None)
        if respond is None:
            self.json(404, {"error": {"message": f"no such path: {path}"}})
        else:
            respond(self, body)

    def json(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        """Respond with JSON, which may be written already."""
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(
        self,
        parts: Iterable[bytes],
        model: str,
        content_type: str = "text/event-stream",
        headers: dict[str, str] | None = None,
    ) -> None:
        """Respond with parts that arrive one after the other; `dropped` ends after two of them."""
        self.send_response(200)
        own = {"Content-Type": content_type, "Transfer-Encoding": "chunked"}
        for name, value in {**HEADERS, **own, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        for number, part in enumerate(parts):
            if number == 2 and "dropped" in model:
                self.close_connection = True
                self.connection.close()
                return
            if number == 1 and "slow" in model:
                time.sleep(SLOW_SECONDS)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(TOKEN_SECONDS)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: Any) -> None:
        """Print nothing."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, *args: Any) -> None:
        """Print nothing: clients close connections in these tests."""


class Provider:
    """The running server. url: without a path. bodies: of the requests that it has received."""

    def __init__(self, handler: type[Handler] = Handler) -> None:
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.bodies: list[dict[str, Any]] = []
        self._server.bodies = self.bodies  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
