"""Responses compressed with gzip for clients that accept it: pages, JSON, exports. Static files have their own.

Django's GZipMiddleware compresses each part of an asynchronous stream into a separate file, and browsers show only
the first; it also compresses on the event loop. Here a stream stays a stream: each part is compressed when it is sent.
As in Django, a file name of random length in the header hides the exact size of a response (the BREACH attack).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from gzip import GzipFile
from io import BytesIO
from typing import Any

MIN_BYTES = 1_000  # a shorter body fits into one packet anyway
LEVEL = 6
MAX_NAME_BYTES = 100
THREAD_BYTES = 32 * 2**10  # compressing a larger part would hold up the event loop for a millisecond or more
COMPRESSED_TYPES = re.compile(rb"text/|application/(json|x-ndjson|javascript|openmetrics-text|[\w.-]+\+json)\b")
REFUSED = re.compile(r";\s*q=0(\.0*)?\s*$")

Headers = list[tuple[bytes, bytes]]


def compress_responses(application: Any) -> Any:
    """Return an ASGI application that compresses the responses to GET and HEAD where the client accepts it."""

    async def compressing(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] in ("GET", "HEAD"):
            send = _Compression(send, accepts_gzip(scope["headers"]), scope["method"] == "HEAD").send
        await application(scope, receive, send)

    return compressing


def accepts_gzip(headers: Headers) -> bool:
    """Return whether `Accept-Encoding` names gzip, and not with the quality 0."""
    accepted = b",".join(value for name, value in headers if name == b"accept-encoding").decode("latin1").lower()
    return any(part.partition(";")[0].strip() == "gzip" and not REFUSED.search(part) for part in accepted.split(","))


class _Compression:
    """The response to one request."""

    def __init__(self, send: Any, is_accepted: bool, is_head: bool) -> None:
        self._send = send
        self._is_head = is_head  # the length of the body is then not known
        self._is_accepted = is_accepted
        self._start: dict[str, Any] | None = None  # kept until the first part of the body, which has its size
        self._buffer = BytesIO()
        self._file: GzipFile | None = None

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            await self._send(message)

    async def _send_body(self, body: bytes, more: bool) -> None:
        start, self._start = self._start, None
        headers = self._begin(start, body, more) if start is not None else []
        if self._file is not None:
            is_large = len(body) > THREAD_BYTES
            body = await asyncio.to_thread(self._pack, body, more) if is_large else self._pack(body, more)
            if not more and not self._is_head:
                headers.append((b"content-length", str(len(body)).encode()))
        if start is not None:
            await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    def _begin(self, start: dict[str, Any], body: bytes, more: bool) -> Headers:
        """Return the headers of the response with this first part, and decide whether it is compressed."""
        headers: Headers = list(start["headers"])
        known = {name.lower(): value for name, value in headers}
        is_compressible = COMPRESSED_TYPES.match(known.get(b"content-type", b"")) and b"content-encoding" not in known
        if not is_compressible or start["status"] in (204, 206, 304):
            return headers
        vary = known.get(b"vary")
        headers = [(name, value) for name, value in headers if name.lower() != b"vary"]
        headers.append((b"vary", vary + b", Accept-Encoding" if vary else b"Accept-Encoding"))
        # A stream has no length. A stream without a part is that of a HEAD.
        is_stream = b"content-length" not in known and (more or not body)
        if not self._is_accepted or not (is_stream or int(known.get(b"content-length", len(body))) >= MIN_BYTES):
            return headers
        name = "a" * (1 + secrets.randbelow(MAX_NAME_BYTES))
        self._file = GzipFile(name, "wb", LEVEL, self._buffer, mtime=0)
        return [*((n, value) for n, value in headers if n.lower() != b"content-length"), (b"content-encoding", b"gzip")]

    def _pack(self, body: bytes, more: bool) -> bytes:
        """Return what the compressed file has more of with this part of the body. It ends with the last part."""
        assert self._file is not None  # noqa: S101
        self._file.write(body)
        if not more:
            self._file.close()
        packed = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return packed
