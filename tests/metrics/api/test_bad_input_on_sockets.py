"""Bad input for a running server: malformed HTTP on a socket, and bad bodies and events.

Nothing of it is stored, the server does not fail, and it serves the next client.
"""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.server import UVICORN, MakeServer, Reply, Server

MEBIBYTE = 2**20
GOOD = {"model_name": "m", "prompt_tokens": 1}
JSON = {"Content-Type": "application/json"}
SERVERS: dict[str, dict[str, Any]] = {
    "daphne": {},
    "daphne without the fast lane": {"env": {"LLMMONITOR_FAST_LANE": "false"}},
    "uvicorn": {"command": UVICORN},
}
pytestmark = pytest.mark.parametrize("module_server", SERVERS.values(), indirect=True, ids=SERVERS, scope="module")


@pytest.fixture(autouse=True)
def server_keeps_working(module_server: Server) -> Iterator[None]:
    """After each test, check that it stored nothing, that an event can be stored, and that the log has no traceback."""
    before = total(module_server)
    yield
    assert total(module_server) == before, "bad input was stored"
    assert module_server.post("/track/inference", GOOD).json()["accepted"] == 1
    assert total(module_server) == before + 1
    assert "Traceback" not in module_server.output, module_server.output[-3_000:]


def total(server: Server) -> int:
    count: int = server.get("/metrics/summary?range=1h").json()["total_requests"]
    return count


class RawConnection:
    """A socket to the server, for requests that no HTTP client sends."""

    def __init__(self, server: Server) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        self.host = f"127.0.0.1:{server.port}"

    def __enter__(self) -> RawConnection:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()

    def head(self, *lines: str, path: str = "/track/inference") -> None:
        fixed = (f"POST {path} HTTP/1.1", f"Host: {self.host}", "Content-Type: application/json")
        self.send("\r\n".join((*fixed, *lines, "", "")).encode())

    def send(self, data: bytes) -> bool:
        """Send the data. Return False if the server has closed the connection."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def response(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the JSON body of the response."""
        reader = self.socket.makefile("rb")
        status = int(reader.readline().split()[1])
        headers = {}
        while line := reader.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if "content-length" in headers:
            return status, json.loads(reader.read(int(headers["content-length"])))
        body = b""
        while size := int(reader.readline() or b"0", 16):
            body += reader.read(size)
            reader.readline()
        return status, json.loads(body)

    def is_refused(self) -> bool:
        """Return whether the server responded with 400 or closed the connection."""
        try:
            head = self.socket.recv(64)
        except ConnectionResetError:
            return True
        return head == b"" or head.startswith(b"HTTP/1.1 400")

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def assert_refused(reply: Reply, status: int, code: str) -> None:
    assert reply.headers["Content-Type"] == "application/problem+json", (reply.status, reply.body)
    body = reply.json()
    assert (reply.status, body["status"], body["code"]) == (status, status, code), body


class ABodyOnTheWire:
    def test_that_is_shorter_than_content_length_is_not_stored(self, module_server: Server) -> None:
        with RawConnection(module_server) as connection:
            connection.head("Content-Length: 1000")
            connection.send(json.dumps(GOOD).encode())
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.is_closed()

    def test_whose_chunks_end_early_is_not_stored(self, module_server: Server) -> None:
        whole = json.dumps(GOOD).encode()
        with RawConnection(module_server) as connection:
            connection.head("Transfer-Encoding: chunked")
            connection.send(b"%x\r\n%b\r\n" % (len(whole), whole))
            connection.socket.shutdown(socket.SHUT_WR)
            assert connection.is_closed()

    def test_with_a_broken_chunk_is_not_stored(self, module_server: Server) -> None:
        with RawConnection(module_server) as connection:
            connection.head("Transfer-Encoding: chunked")
            connection.send(b"zz\r\nnonsense\r\n0\r\n\r\n")
            assert connection.is_refused()

    def test_of_17_mebibytes_is_refused_by_its_length(self, module_server: Server) -> None:
        with RawConnection(module_server) as connection:
            connection.head(f"Content-Length: {17 * MEBIBYTE}")
            # No byte of the body has been sent.
            status, problem = connection.response()
        assert (status, problem["code"]) == (413, "too_large")

    def test_of_17_mebibytes_in_chunks_is_refused_before_its_end(self, module_server: Server) -> None:
        chunk = b"%x\r\n%b\r\n" % (MEBIBYTE, b" " * MEBIBYTE)
        with RawConnection(module_server) as connection:
            connection.head("Transfer-Encoding: chunked")
            for _ in range(17):
                if not connection.send(chunk):
                    break
            status, problem = connection.response()
        assert (status, problem["code"]) == (413, "too_large")

    def test_that_is_slow_delays_no_other_request(self, module_server: Server) -> None:
        whole = json.dumps({**GOOD, "model_name": -1}).encode()
        slow = [RawConnection(module_server) for _ in range(20)]
        for connection in slow:
            connection.head(f"Content-Length: {len(whole)}")
            connection.send(whole[:5])
        started = time.monotonic()
        assert module_server.get("/health").status == 200
        assert module_server.post("/track/inference", {"model_name": ""}).status == 422
        waited = time.monotonic() - started
        for connection in slow:
            connection.send(whole[5:])
            status, answer = connection.response()
            assert (status, answer["rejected"][0]["field"]) == (422, "model_name")
            connection.socket.close()
        # Much longer than a response takes, and much shorter than the time limit of a slow body.
        assert waited < 20

    def test_of_a_client_that_disconnects_at_once_stores_nothing(self, module_server: Server) -> None:
        for _ in range(20):
            with RawConnection(module_server) as connection:
                connection.head("Content-Length: 100")

    def test_that_is_a_gzip_bomb_is_refused(self, module_server: Server) -> None:
        bomb = gzip.compress(b" " * 200 * MEBIBYTE, 1)
        reply = module_server.post("/track/inference", bomb, {**JSON, "Content-Encoding": "gzip"})
        assert_refused(reply, 413, "too_large")


EVENTS: list[tuple[bytes | Any, int, str]] = [
    (b'{"model_name": "m", "prompt_tok', 400, "bad_json"),
    (b'{"model_name": "m", "response_time_ms": nan}', 400, "bad_json"),
    (b"[]", 400, "empty_batch"),
    (b"", 400, "empty_body"),
    ([GOOD] * 10_001, 413, "too_many_events"),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"timestamp": "1970-01-01T00:00:00Z"}, "timestamp"),
    ({"timestamp": "2100-01-01T00:00:00Z"}, "timestamp"),
    ({"model_name": "x" * 10_000}, "model_name"),
    ({"model_name": "a\0b"}, "model_name"),
]


class APost:
    @pytest.mark.parametrize(
        ("body", "status", "code"), EVENTS, ids=[case[2] + str(n) for n, case in enumerate(EVENTS)]
    )
    def test_that_cannot_be_read_is_a_problem(self, module_server: Server, body: Any, status: int, code: str) -> None:
        assert_refused(module_server.post("/track/inference", body), status, code)

    @pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
    def test_of_another_type_is_refused(self, module_server: Server, content_type: str) -> None:
        reply = module_server.post("/track/inference", GOOD, {"Content-Type": content_type})
        assert_refused(reply, 415, "unsupported_media_type")

    def test_without_a_type_is_refused(self, module_server: Server) -> None:
        body = json.dumps(GOOD).encode()
        with RawConnection(module_server) as connection:
            connection.send(
                b"POST /track/inference HTTP/1.1\r\nHost: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (connection.host.encode(), len(body), body)
            )
            status, problem = connection.response()
        assert (status, problem["code"]) == (415, "unsupported_media_type")

    def test_with_two_types_is_refused(self, module_server: Server) -> None:
        body = json.dumps(GOOD).encode()
        with RawConnection(module_server) as connection:
            connection.head("Content-Type: application/json", f"Content-Length: {len(body)}")
            connection.send(body)
            status, problem = connection.response()
        assert (status, problem["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize(("fields", "field"), WRONG, ids=[f"{case[1]}{n}" for n, case in enumerate(WRONG)])
    def test_with_a_wrong_field_names_it(self, module_server: Server, fields: dict[str, Any], field: str) -> None:
        reply = module_server.post("/track/inference", {**GOOD, **fields})
        assert reply.status == 422
        assert [rejection["field"] for rejection in reply.json()["rejected"]] == [field]

    def test_with_one_wrong_event_among_a_thousand_stores_the_others(
        self, make_server: MakeServer, module_server: Server
    ) -> None:
        server = make_server()
        events: list[dict[str, Any]] = [{**GOOD, "request_id": f"r{n}"} for n in range(1_000)]
        events[413]["model_name"] = -1
        answer = server.post("/track/inference", events).json()
        assert answer["accepted"] == 999
        assert [(rejection["index"], rejection["field"]) for rejection in answer["rejected"]] == [(413, "model_name")]
        assert total(server) == 999

    def test_through_a_proxy_is_refused_without_a_key(self, module_server: Server) -> None:
        reply = module_server.post("/track/inference", GOOD, {"X-Forwarded-For": "203.0.113.9"})
        assert_refused(reply, 401, "not_authenticated")

    def test_of_a_page_elsewhere_is_refused(self, module_server: Server) -> None:
        reply = module_server.post("/track/inference", GOOD, {"Origin": "https://evil.example"})
        assert_refused(reply, 403, "foreign_origin")
