"""A connection to the checked address of a receiver, and its end at a deadline."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from alerts.channels.failure import SendFailed
from alerts.channels.webhook.target import Target

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection


# Its warnings on invalid responses have the whole address, which is often a secret.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


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


def resolve(host: str, port: int, deadline: Deadline) -> list[str]:
    """Return the IP addresses of a host, in the order in which to try them. Raises SendFailed."""
    results: SimpleQueue[list[str] | Exception] = SimpleQueue()

    def look_up() -> None:
        try:
            results.put(_addresses(host, port))
        except (OSError, UnicodeError) as error:
            results.put(error)

    # The system's resolver has time limits of its own, which are longer.
    threading.Thread(target=look_up, daemon=True).start()
    try:
        found = results.get(timeout=deadline.remaining)
    except Empty:
        raise SendFailed(f"the name {host} was not resolved within {deadline.seconds:g} s") from None
    if isinstance(found, Exception) or not found:
        raise SendFailed(f"the name {host} was not resolved: {getattr(found, 'strerror', None) or 'no address'}")
    return found


def connect(target: Target, addresses: Sequence[str], deadline: Deadline) -> HTTPConnection:
    """Return a connection to the first address that accepts one. Raises OSError, or an error of urllib3.

    The name is not resolved again. TLS checks the certificate for the name. No proxy is used.
    """
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    for number, address in enumerate(addresses, 1):
        connection = _connection(target, address)
        connection.timeout = deadline.remaining / (len(addresses) - number + 1)
        try:
            connection.connect()
        except BaseException as error:
            connection.close()
            if number == len(addresses) or not isinstance(error, ConnectTimeoutError | NewConnectionError):
                raise
        else:
            connection.timeout = deadline.remaining
            return connection
    raise ValueError("no address")


@contextmanager
def ended_at(deadline: Deadline, connection: HTTPConnection) -> Iterator[None]:
    """End a connection at the deadline, also if the receiver sends a byte now and then."""
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


def _connection(target: Target, address: str) -> HTTPConnection:
    from urllib3.connection import HTTPConnection, HTTPSConnection

    if target.scheme == "https":
        return HTTPSConnection(address, target.port, server_hostname=target.host)
    return HTTPConnection(address, target.port)


def _addresses(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
