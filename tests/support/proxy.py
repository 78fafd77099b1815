"""A small reverse proxy for tests. It adds the headers that docs/deployment.md requires, and may strip a prefix."""

from __future__ import annotations

import socket
import threading
from types import TracebackType
from typing import Self

MAX_HEAD_BYTES = 64 * 1024


class Proxy:
    """Forwards each connection to a port of 127.0.0.1. Paths that do not begin with `prefix` get its own 404."""

    def __init__(self, to_port: int, prefix: str, *, strips: bool) -> None:
        self._to_port = to_port
        self._prefix = prefix.encode()
        self._strips = strips
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.not_forwarded: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head, rest = _read_head(client)
            if not head:
                return
            method, target, version = head.split(b"\r\n", 1)[0].split(b" ")
            if not target.startswith(self._prefix + b"/"):
                self.not_forwarded.append(target.decode())
                client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            if self._strips:
                target = target.removeprefix(self._prefix)
            names = head.split(b"\r\n")[1:]
            is_upgrade = any(name.lower().startswith(b"upgrade:") for name in names)
            if not is_upgrade:  # one request for each connection, so that no further head has to be changed
                names = [name for name in names if not name.lower().startswith(b"connection:")] + [b"Connection: close"]
            names += [b"X-Forwarded-For: 203.0.113.7", b"X-Forwarded-Proto: http"]
            with socket.create_connection(("127.0.0.1", self._to_port)) as server:
                server.sendall(b"\r\n".join([b" ".join([method, target, version]), *names, b"", rest]))
                back = threading.Thread(target=_copy, args=(server, client), daemon=True)
                back.start()
                _copy(client, server)
                back.join()


def _read_head(client: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request without the empty line, and what was read of its body."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < MAX_HEAD_BYTES:
        part = client.recv(65536)
        if not part:
            return b"", b""
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Send everything from `source` to `target` until `source` ends."""
    try:
        while part := source.recv(65536):
            target.sendall(part)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return
