"""An ASGI client of Django's handler behind the limit on bodies. It sends what Django's test client cannot.

With `lane`, the fast lane is between the two.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.cache import caches

from llmmonitor.http.body_limit import limit_bodies
from llmmonitor.http.request_ids import with_request_ids
from llmmonitor.http.response_times import with_response_times
from metrics.api.fast_lane import KINDS, fast_lane

JSON = "application/json"
PROBLEM = "application/problem+json"
ADDRESS = ("127.0.0.1", 8899)


@dataclass
class Reply:
    """A response."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    @property
    def type(self) -> str:
        return self.headers.get("content-type", "").split(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """Assert that the response is this problem, in the form of all problems. Return its body."""
        assert self.type == PROBLEM, (self.status, self.headers, self.body[:500])
        body: dict[str, Any] = self.json()
        assert (self.status, body["status"], body["code"]) == (status, status, code), body
        assert body["type"] == "about:blank"
        assert body["title"]
        assert body["detail"]
        if status in (429, 503):
            assert 1 <= int(self.headers["retry-after"]) <= 3
        return body


class AsgiClient:
    """A client on this machine. It is not signed in, unless `headers` have credentials.

    seen_by_django: the paths of the requests that have reached Django.
    """

    def __init__(self, *, lane: bool = False, **headers: str) -> None:
        django = get_asgi_application()
        self.seen_by_django: list[str] = []

        async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
            self.seen_by_django.append(scope["path"])
            await django(scope, receive, send)

        limited = limit_bodies(fast_lane(application) if lane else application, settings.LLMMONITOR.max_body_bytes)
        self._application = with_response_times(with_request_ids(limited))
        self._headers = {"host": "127.0.0.1:8899"}
        if lane:
            for path in KINDS:  # the lane uses the headers of an earlier response of Django
                self.post(path, b"").problem(400, "empty_body")
            caches["throttle"].clear()
            self.seen_by_django.clear()
        self._headers |= headers

    def get(self, path: str, **params: Any) -> Reply:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any, content_type: str | None = JSON, **headers: str) -> Reply:
        return self.request("POST", path, body, content_type=content_type, headers=headers)

    def request(self, method: str, path: str, body: Any = b"", **more: Any) -> Reply:
        return asyncio.run(self.arequest(method, path, body, **more))

    async def arequest(self, method: str, path: str, body: Any = b"", **more: Any) -> Reply:
        async with self.open(method, path, body, **more) as (reply, chunks):
            async for chunk in chunks:
                reply.body += chunk
            return reply

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        body: Any = b"",
        *,
        params: dict[str, Any] | None = None,
        content_type: str | None = None,
        headers: dict[str, str] | None = None,
        cut_off: bool = False,
        scope: dict[str, Any] | None = None,
    ) -> AsyncIterator[tuple[Reply, AsyncIterator[bytes]]]:
        """Send a request. Return the head of the response and an iterator that reads its body.

        The application cannot send more of the body than the iterator has read. `body`: bytes, a list of bytes (sent in
        chunks, without Content-Length) or data for JSON. `cut_off`: disconnect before the end of the body. `scope`:
        items of the ASGI scope; headers are added to the others.
        """
        chunked = isinstance(body, list) and bool(body) and all(isinstance(part, bytes) for part in body)
        parts: list[bytes] = body if chunked else [body if isinstance(body, bytes) else orjson.dumps(body)]
        all_headers = self._headers | ({} if content_type is None else {"content-type": content_type})
        all_headers |= {name.replace("_", "-"): value for name, value in (headers or {}).items()}
        if not chunked:
            all_headers.setdefault("content-length", str(len(parts[0])))
        split = urlsplit(path)
        more = dict(scope or {})
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": split.path,
            "raw_path": quote(split.path).encode(),
            "query_string": (split.query or urlencode(params or {}, doseq=True)).encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin1")) for name, value in all_headers.items()]
            + more.pop("headers", []),
            "client": ("127.0.0.1", 50_000),
            "server": ADDRESS,
        } | more
        request_messages = _messages(parts, cut_off)
        finished = asyncio.Event()
        sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1)

        async def receive() -> dict[str, Any]:
            for message in request_messages:
                return message
            await finished.wait()
            return {"type": "http.disconnect"}

        async def run() -> None:
            try:
                await self._application(scope, receive, sent.put)
            finally:
                await sent.put({"type": "end"})

        task = asyncio.create_task(run())
        reply = Reply()

        async def chunks() -> AsyncIterator[bytes]:
            if not reply.status:
                return  # no response was started
            while (message := await sent.get())["type"] != "end":
                yield message.get("body", b"")
                if not message.get("more_body"):
                    reply.complete = True
                    return

        try:
            start = await sent.get()
            if start["type"] != "end":
                reply.status = start["status"]
                reply.headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
            yield reply, chunks()
        finally:
            finished.set()
            while not task.done():
                try:
                    await asyncio.wait_for(sent.get(), 0.02)
                except TimeoutError:
                    continue
            await task


def _messages(parts: Iterable[bytes], cut_off: bool) -> Iterator[dict[str, Any]]:
    parts = list(parts)
    for index, part in enumerate(parts):
        yield {"type": "http.request", "body": part, "more_body": cut_off or index < len(parts) - 1}
    if cut_off:
        yield {"type": "http.disconnect"}
