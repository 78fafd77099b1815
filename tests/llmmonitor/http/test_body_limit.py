"""A body that is too long, under a server that would pass on any."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmmonitor.http.body_limit import limit_bodies

LIMIT = 10


class Exchange:
    """One request to an application that reads the whole body and then responds with 200."""

    def __init__(self, *parts: bytes, headers: dict[str, str] | None = None) -> None:
        self.scope = {
            "type": "http",
            "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        }
        self.parts = [
            {"type": "http.request", "body": part, "more_body": place < len(parts) - 1}
            for place, part in enumerate(parts)
        ]
        self.seen: list[dict[str, Any]] = []  # by the application
        self.sent: list[dict[str, Any]] = []  # to the client

    async def run(self) -> Exchange:
        await limit_bodies(self._application, LIMIT)(self.scope, self._receive, self._send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    async def _receive(self) -> dict[str, Any]:
        return self.parts.pop(0)

    async def _send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    async def _application(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        while True:
            self.seen.append(await receive())
            if not self.seen[-1].get("more_body"):
                break
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})


class ABody:
    @pytest.mark.parametrize("parts", [(b"",), (b"x" * LIMIT,), (b"x" * 4, b"x" * 6)])
    async def test_of_the_limit_arrives_whole(self, parts: tuple[bytes, ...]) -> None:
        exchange = await Exchange(*parts).run()

        assert b"".join(message["body"] for message in exchange.seen) == b"".join(parts)
        assert (exchange.status, exchange.sent[1]["body"]) == (200, b"read")

    async def test_that_says_that_it_is_longer_is_refused_unread(self) -> None:
        exchange = await Exchange(b"x", headers={"Content-Length": str(LIMIT + 1)}).run()

        assert exchange.status == 413
        assert (exchange.seen, len(exchange.parts)) == ([], 1)

    async def test_that_turns_out_to_be_longer_is_refused_as_soon_as_it_does(self) -> None:
        exchange = await Exchange(b"x" * LIMIT, b"x", b"never read").run()

        assert exchange.status == 413
        assert [message["type"] for message in exchange.seen] == ["http.request", "http.disconnect"]
        assert len(exchange.parts) == 1
        assert len(exchange.sent) == 2  # and nothing of the application's response

    async def test_that_is_refused_is_told_why(self) -> None:
        exchange = await Exchange(b"x" * (LIMIT + 1)).run()

        problem = json.loads(exchange.sent[1]["body"])
        assert (problem["status"], problem["code"], problem["title"]) == (413, "too_large", "Request Entity Too Large")
        assert str(LIMIT) in problem["detail"]
        headers = dict(exchange.sent[0]["headers"])
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"content-length"] == str(len(exchange.sent[1]["body"])).encode()

    @pytest.mark.parametrize("length", ["", "x", "-5", "5"])
    async def test_is_counted_whatever_it_says_of_itself(self, length: str) -> None:
        assert (await Exchange(b"x" * (LIMIT + 1), headers={"content-length": length}).run()).status == 413
