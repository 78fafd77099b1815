"""What a client that stalls, or sends without end, costs the server: bounded memory, seen over real sockets."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from websockets.sync.client import connect

from tests.support.server import Server, copy_prepared

MB = 2**20
BODY_LIMIT = 8 * MB
# First bytes of a WebSocket's frames (RFC 6455).
TEXT, CONTINUED, PING, FINAL = 0x01, 0x00, 0x09, 0x80
MESSAGE_FRAMES = 1_000  # (importing the server's own numbers would install Twisted's reactor here)
PINGS_PER_SECOND = 20
ROWS = 20_000
NOTE = {"note-" + str(number): "x" * 250 for number in range(5)}  # so that a row is about two kilobytes


@pytest.fixture(scope="module")
def server(prepared_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with 20,000 requests (40 MB as an export) of 40 models, and two machines of 64 GPUs."""
    data_dir = copy_prepared(prepared_data_dir, tmp_path_factory.mktemp("pressed") / "data")
    server = Server(data_dir, {"LLMMONITOR_MAX_BODY_BYTES": str(BODY_LIMIT)})
    try:
        server.start()
        for start in range(0, ROWS, 4_000):
            events = [
                {
                    "model_name": f"model-{number % 40}",
                    "prompt_tokens": 10,
                    "completion_tokens": 20,
                    "response_time_ms": 100.0,
                    "success": True,
                    "metadata": NOTE,
                }
                for number in range(start, start + 4_000)
            ]
            assert server.post("/track/inference", events).status == 200
        yield server
    finally:
        server.kill()


def post_machines(server: Server) -> None:
    """64 GPUs with names of 200 characters each on two machines: they make a tick of some 50 kB."""
    gpu = {"temperature": 50, "utilization_percent": 10, "memory_used_mb": 1, "memory_total_mb": 2, "name": "G" * 200}
    machines = [
        {"host": host, "cpu_percent": 1, "gpu_metrics": [{"gpu_id": one, **gpu} for one in range(64)]}
        for host in ("a", "b")
    ]
    assert server.post("/track/system", machines).status == 200


def small_socket(server: Server) -> socket.socket:
    """A connection on which little is under way: the kernel's own buffers would hide a client that does not read."""
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    one.connect(("127.0.0.1", server.port))
    return one


def rss(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


class AnExportThatIsNotRead:
    def test_waits_in_the_database_and_not_in_memory(self, server: Server) -> None:
        with contextlib.ExitStack() as open_sockets:
            server.get("/export/inference.ndjson?range=1h&model=model-1")  # what exports load, they have loaded
            before = rss(server)
            stalled = [open_sockets.enter_context(small_socket(server)) for _ in range(2)]
            for one in stalled:
                one.sendall(b"GET /export/inference.ndjson?range=1h HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert one.recv(1) == b"H"
            until = time.monotonic() + 2
            grown = 0
            while time.monotonic() < until:
                grown = max(grown, rss(server) - before)
                assert server.get("/health").status == 200  # others are served meanwhile
                time.sleep(0.1)
            assert grown < 30 * MB  # of 80: chunks on their way, and the page caches of two connections

            # And it is whole when it is read after all.
            stalled[1].close()
            rows = 0
            with stalled[0].makefile("rb") as response:
                for line in response:
                    rows += line.startswith(b"{")
                    if line == b"0\r\n":
                        break
            assert rows == ROWS


class ALivePageThatDoesNotRead:
    def test_loses_ticks_learns_how_many_and_costs_no_memory(self, server: Server) -> None:
        before = rss(server)
        # It reads one message ahead and then no more, and does not wait for the reply to its close frame.
        slowly: dict[str, Any] = {"max_queue": 1, "max_size": None, "close_timeout": 0.1}
        with contextlib.ExitStack() as stack:
            slow = [stack.enter_context(connect(server.ws_url, sock=small_socket(server), **slowly)) for _ in range(10)]
            with connect(server.ws_url, max_size=None) as quick:
                for _ in range(14):
                    post_machines(server)
                    quick.recv(20)
            assert rss(server) - before < 40 * MB
            messages = [json.loads(slow[0].recv(20)) for _ in range(14)]
            ticks = [message for message in messages if "seq" in message]  # the others are changes of alerts
            (first,) = [number for number, tick in enumerate(ticks) if "dropped" in tick][:1]
            assert ticks[first]["seq"] - ticks[first - 1]["seq"] >= ticks[first]["dropped"] + 1 >= 2


class AnAnswerToALivePage:
    def test_may_be_larger_than_what_the_page_may_send(self, server: Server) -> None:
        post_machines(server)
        with connect(server.ws_url, max_size=None) as live:
            first = json.loads(live.recv(20))
            for _ in range(3):
                live.recv(20)
            live.send(json.dumps({"type": "resume", "seq": first["seq"]}))
            while (response := str(live.recv(20))).startswith(('{"type":"tick"', '{"type":"alert')):
                pass
        assert len(response) > 100_000
        assert len(json.loads(response)["ticks"]) >= 2


@pytest.fixture
def live(server: Server) -> Iterator[socket.socket]:
    """A connection to the live stream with its handshake done, for frames that no client library makes."""
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(
            b"GET /ws/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 101")
        yield client


def frame(kind: int, payload: bytes = b"") -> bytes:
    """A frame as clients send it, masked with zeros. `kind`: its first byte."""
    return bytes([kind, 0x80 | len(payload)]) + bytes(4) + payload


class APing:
    def ends(self, live: socket.socket, pings: int) -> bool:
        """Return whether this many pings at once end the connection; False if ticks continue."""
        received = b""
        with contextlib.suppress(ConnectionError):
            live.sendall(pings * frame(PING | FINAL))
            while more := live.recv(65_536):
                received += more
                if received.count(b'{"type":"tick"') > 2:
                    return False
        return True

    def test_is_answered(self, live: socket.socket) -> None:
        assert not self.ends(live, PINGS_PER_SECOND)

    def test_too_many_of_them_end_the_connection(self, live: socket.socket) -> None:
        assert self.ends(live, 2 * PINGS_PER_SECOND + 1)  # a second may end among them


class AMessageInPieces:
    def is_answered(self, live: socket.socket, pieces: int, piece: bytes = b"") -> bool:
        """Return whether the server accepts a ping of this many frames; False if it ends the connection."""
        ping = b'{"type":"ping"}'
        received = b""
        with contextlib.suppress(ConnectionError):
            live.sendall(frame(TEXT, piece) + (pieces - 2) * frame(CONTINUED, piece))
            live.sendall(frame(CONTINUED | FINAL, ping))
            while b'"pong"' not in received and (more := live.recv(65_536)):
                received += more
        return b'"pong"' in received

    @pytest.mark.parametrize("piece", [b"", b" "])
    def test_without_end_ends_the_connection(self, live: socket.socket, piece: bytes) -> None:
        assert not self.is_answered(live, MESSAGE_FRAMES + 1, piece)

    def test_is_taken_when_they_are_few_each_time(self, live: socket.socket) -> None:
        assert self.is_answered(live, MESSAGE_FRAMES, b" ")
        assert self.is_answered(live, MESSAGE_FRAMES)


class ABody:
    def head(self, *lines: str) -> bytes:
        head = ["POST /track/inference HTTP/1.1", "Host: localhost", "Content-Type: application/json", *lines]
        return ("\r\n".join(head) + "\r\n\r\n").encode()

    def test_that_says_it_is_too_long_is_refused_before_it_is_sent(self, server: Server) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(self.head(f"Content-Length: {BODY_LIMIT + 1}"))
            response = client.recv(4096)
        assert response.startswith(b"HTTP/1.1 413")
        assert b"too_large" in response

    def test_without_a_length_is_refused_when_it_turns_out_too_long(self, server: Server) -> None:
        before = rss(server)
        piece = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(self.head("Transfer-Encoding: chunked"))
            with contextlib.suppress(ConnectionError):
                for _ in range(10 * BODY_LIMIT // 0x40000):
                    client.sendall(piece)
            response = b""
            with contextlib.suppress(ConnectionError):
                response = client.recv(4096)
        assert response.startswith(b"HTTP/1.1 413") or not response
        assert rss(server) - before < 30 * MB
        assert server.get("/health").status == 200

    def test_that_stays_within_the_bound_is_taken(self, server: Server) -> None:
        body = json.dumps([{"model_name": "bounded", "response_time_ms": 1.0}]).encode()
        padded = body + b" " * (BODY_LIMIT - len(body))
        assert server.post("/track/inference", padded).status == 200
        assert server.post("/track/inference", padded + b" ").status == 413


class ARequestWithTooMuchBeforeItsBody:
    @pytest.mark.parametrize(
        ("sent", "status"),
        [
            (b"GET /" + b"x" * 17_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
            (b"GET /" + b"x" * 5_000_000, 414),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 17_000 + b"\r\n\r\n", 431),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 5_000_000, 431),
            (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + 200 * (b"X-Header: " + b"x" * 90 + b"\r\n") + b"\r\n", 431),
        ],
        ids=["line", "endless line", "header", "endless header", "headers"],
    )
    def test_is_told_so(self, server: Server, sent: bytes, status: int) -> None:
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(sent)
            with client.makefile("rb") as stream:
                response = stream.read()  # to its end, with which the connection ends
        head, _, body = response.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"Connection: close" in head
        assert json.loads(body)["status"] == status
        assert "16384 bytes" in json.loads(body)["detail"]


class AHeader:
    @pytest.mark.parametrize(
        "sent",
        [b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5_000, b"GET /" + b"x" * 200_000, b"\x16\x03\x01" * 1000, b"\r\n" * 9],
    )
    def test_without_end_or_sense_ends_the_connection_or_is_refused(self, server: Server, sent: bytes) -> None:
        client = socket.create_connection(("127.0.0.1", server.port), 20)
        with client, contextlib.suppress(ConnectionError):
            client.sendall(sent + b"\r\n\r\n")
            response = client.recv(4096)
            assert not response or response.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
        assert server.get("/health").status == 200
