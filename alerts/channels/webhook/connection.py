"""A connection to the checked address of a receiver."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from alerts.channels.deadline import Deadline
from alerts.channels.failure import SendFailed
from alerts.channels.webhook.target import Target

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection


# Its warnings on invalid responses have the whole address, which is often a secret.
logging.getLogger("urllib3.connection").setLevel(logging.ERROR)


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
        result = results.get(timeout=deadline.remaining)
    except Empty:
        raise SendFailed(f"the name {host} was not resolved within {deadline.seconds:g} s") from None
    if isinstance(result, Exception) or not result:
        raise SendFailed(f"the name {host} was not resolved: {getattr(result, 'strerror', None) or 'no address'}")
    return result


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


def _connection(target: Target, address: str) -> HTTPConnection:
    from urllib3.connection import HTTPConnection, HTTPSConnection

    if target.scheme == "https":
        return HTTPSConnection(address, target.port, server_hostname=target.host)
    return HTTPConnection(address, target.port)


def _addresses(host: str, port: int) -> list[str]:
    results = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in results))
