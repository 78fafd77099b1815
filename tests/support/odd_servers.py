"""Servers that misbehave, on real sockets: `with odd_server(refuse(503)) as server: LLMMonitor(url=server.url)`."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

Answer = Callable[[socket.socket], None]


class OddServer:
    """Reads requests, and lets `answer` respond on their connection. It may be changed at any time."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.bodies: list[tuple[str, bytes]] = []  # path and body of each request
        self.came = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def events(self, path: str = "/track/inference") -> list[Any]:
        """The events of all bodies that were posted to the path."""
        with self.came:
            bodies = [body for posted, body in self.bodies if posted == path]
        plain = [gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in bodies]
        return [json.loads(line) for body in plain for line in body.splitlines() if line != b"[]"]

    def wait_for(self, requests: int, seconds: float = 30) -> bool:
        with self.came:
            return self.came.wait_for(lambda: len(self.bodies) >= requests, seconds)

    def close(self) -> None:
        self._listener.close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError, ValueError), connection, connection.makefile("rb") as reader:
            while line := reader.readline():
                length = 0
                while (header := reader.readline()) not in (b"\r\n", b""):
                    name, _, value = header.decode().partition(":")
                    length = int(value) if name.lower() == "content-length" else length
                body = reader.read(length)
                with self.came:
                    self.bodies.append((line.decode().split()[1], body))
                    self.came.notify_all()
                self.answer(connection)


@contextmanager
def odd_server(answer: Answer) -> Iterator[OddServer]:
    server = OddServer(answer)
    try:
        yield server
    finally:
        server.close()


def response(status: int, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Odd", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def refuse(status: int, *headers: str) -> Answer:
    """As LLM Monitor refuses."""
    body = json.dumps({"status": status, "detail": f"no, {status}"}).encode()
    return lambda connection: connection.sendall(response(status, body, *headers))


def accept(connection: socket.socket) -> None:
    """As LLM Monitor accepts everything."""
    connection.sendall(response(200, b'{"status": "ok", "accepted": 1, "rejected": []}'))


def never(connection: socket.socket) -> None:
    """Nothing: the connection stays open."""


def html(connection: socket.socket) -> None:
    connection.sendall(response(200, b"<html>Log in to the network</html>", "Content-Type: text/html"))


def odd_json(connection: socket.socket) -> None:
    connection.sendall(response(200, b'{"accepted": "many", "rejected": 5, "detail": {"a": []}}'))


def garbage(connection: socket.socket) -> None:
    connection.sendall(b"\x00\xff\x16\x03 garbage\r\n\r\n\r\n")
    connection.close()


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65_536)


def hang_up(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)
