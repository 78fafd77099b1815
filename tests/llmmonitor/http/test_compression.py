"""Responses are compressed for clients that accept it, and streams stay streams."""

from __future__ import annotations

import gzip
import http.client
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from llmmonitor.http.compression import MIN_BYTES, accepts_gzip, compress_responses
from tests.support.server import UVICORN, Server

LONG = b"a line of text\n" * 200
GZIP = {"accept-encoding": "gzip, deflate, br"}


class Reply:
    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.parts: list[bytes] = []

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)


async def ask(
    parts: list[bytes],
    headers: dict[str, str] | None = None,
    *,
    method: str = "GET",
    status: int = 200,
    content_type: str = "text/html; charset=utf-8",
    **of_response: str,
) -> Reply:
    """Return the response of an application that sends these parts."""
    of_response = {"content-type": content_type} | {name.replace("_", "-"): v for name, v in of_response.items()}

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        raw = [(name.encode(), value.encode()) for name, value in of_response.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        for number, part in enumerate(parts):
            await send({"type": "http.response.body", "body": part, "more_body": number < len(parts) - 1})

    reply = Reply()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            reply.parts.append(message["body"])

    raw = [(name.encode(), value.encode()) for name, value in (GZIP if headers is None else headers).items()]
    await compress_responses(application)({"type": "http", "method": method, "headers": raw}, None, send)
    return reply


class AResponse:
    @pytest.mark.parametrize(
        "content_type",
        [
            "text/html",
            "application/json",
            "text/csv; charset=utf-8",
            "application/x-ndjson",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
            "application/problem+json",
            "application/vnd.oai.openapi+json; charset=utf-8",
        ],
    )
    async def test_is_compressed_if_the_client_accepts_it(self, content_type: str) -> None:
        reply = await ask([LONG], content_type=content_type, content_length=str(len(LONG)), vary="Cookie")
        assert (reply.headers["content-encoding"], reply.headers["vary"]) == ("gzip", "Cookie, Accept-Encoding")
        assert gzip.decompress(reply.body) == LONG
        assert len(reply.body) == int(reply.headers["content-length"]) < len(LONG) / 2

    @pytest.mark.parametrize(
        ("accepted", "is_accepted"),
        [
            ("gzip", True),
            ("GZIP;q=0.5", True),
            ("br, gzip ;q=1.0", True),
            ("gzip;q=0", False),
            ("gzip; q=0.000", False),
            ("gzip;q=0.001", True),
            ("br", False),
            ("x-gzipped", False),
            ("", False),
        ],
    )
    def test_is_not_compressed_for_others(self, accepted: str, is_accepted: bool) -> None:
        assert accepts_gzip([(b"accept-encoding", accepted.encode())]) == is_accepted

    @pytest.mark.parametrize(
        "response",
        [
            {"parts": [b"x" * (MIN_BYTES - 1)]},
            {"parts": [LONG], "content_type": "font/woff2"},
            {"parts": [LONG], "content_encoding": "br"},
            {"parts": [b""], "status": 204, "content_length": "5000"},
            {"parts": [LONG], "status": 206},
            {"parts": [LONG], "method": "POST"},
            {"parts": [LONG], "headers": {}},
        ],
    )
    async def test_that_is_short_or_packed_or_partial_is_sent_as_it_is(self, response: dict[str, Any]) -> None:
        reply = await ask(**response)
        assert reply.body == b"".join(response["parts"])
        assert reply.headers.get("content-encoding") == response.get("content_encoding")

    async def test_has_no_size_that_reveals_its_content(self) -> None:
        assert len({len((await ask([LONG])).body) for _ in range(30)}) > 3

    async def test_to_head_has_the_headers_of_one_to_get(self) -> None:
        for parts, length in (([LONG], {"content_length": str(len(LONG))}), ([LONG, LONG, b""], {})):
            got, head = await ask(parts, **length), await ask(parts if length else [b""], method="HEAD", **length)
            assert got.headers.keys() - {"content-length"} == head.headers.keys() - {"content-length"}


class AStream:
    async def test_is_one_compressed_file_that_is_sent_in_parts(self) -> None:
        parts = [bytes(str(number), "ascii") * 20_000 for number in range(100, 110)]
        reply = await ask([*parts, b""], content_type="text/csv")
        assert "content-length" not in reply.headers
        assert len(reply.parts) == len(parts) + 1
        decompress = zlib.decompressobj(wbits=31)  # stops at the end of the first file, as a browser does
        assert decompress.decompress(reply.body) == b"".join(parts)
        assert (decompress.eof, decompress.unused_data) == (True, b"")

    async def test_sends_each_part_before_it_takes_the_next(self) -> None:
        events: list[str] = []

        async def rows() -> AsyncIterator[bytes]:
            for number in range(3):
                events.append(f"read {number}")
                yield LONG

        async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/csv")]})
            async for part in rows():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        async def send(message: dict[str, Any]) -> None:
            events.append("sent")

        scope = {"type": "http", "method": "GET", "headers": [(b"accept-encoding", b"gzip")]}
        await compress_responses(application)(scope, None, send)
        assert events == ["read 0", "sent", "sent", "read 1", "sent", "read 2", "sent", "sent"]


@pytest.mark.parametrize("module_server", [{}, {"command": UVICORN}], indirect=True, ids=["daphne", "uvicorn"])
class TheServer:
    @pytest.mark.parametrize("path", ["/", "/schema", "/metrics/summary", "/export/inference.csv", "/docs", "/nothing"])
    def test_compresses_pages_json_and_exports(self, module_server: Server, path: str) -> None:
        if path.startswith("/export"):
            events = [{"model_name": f"m-{number % 7}", "request_id": str(number)} for number in range(3_000)]
            assert module_server.post("/track/inference", events).status == 200
            path += "?from=2020-01-01T00:00:00Z"
        plain = module_server.get(path)
        packed = module_server.get(path, GZIP)
        assert packed.headers["Vary"].split(", ")[-1] == "Accept-Encoding"
        if len(plain.body) < MIN_BYTES:
            assert packed.headers["Content-Encoding"] is None
            return
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(packed.body) < len(plain.body) / 1.5
        if path.startswith("/export"):
            assert gzip.decompress(packed.body) == plain.body
            assert plain.body.count(b"\n") > 3_000

    def test_leaves_posts_alone(self, module_server: Server) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", module_server.port, timeout=60)
        body = b"[" + b",".join([b'{"model_name": ""}'] * 100) + b"]"
        connection.request("POST", "/track/inference", body, {"Content-Type": "application/json", **GZIP})
        reply = connection.getresponse()
        assert (reply.status, reply.getheader("Content-Encoding")) == (422, None)
        assert len(reply.read()) > MIN_BYTES
        connection.close()
