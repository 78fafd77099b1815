"""The moment by which a message is accepted or has failed, and the end of a connection at it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol


class Connection(Protocol):
    """What has a socket, such as a connection of `http.client` or `smtplib`."""

    sock: Any


class Deadline:
    """A moment by which all must be done."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        """Seconds until then, at least 0.01, so that they can be a time limit."""
        return max(0.01, self._at - time.monotonic())

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self._at


@contextmanager
def ended_at(deadline: Deadline, connection: Connection) -> Iterator[None]:
    """End a connection at the deadline, also if the other side sends a byte now and then."""
    sock = connection.sock

    def end() -> None:
        with suppress(OSError, AttributeError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(deadline.remaining, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
