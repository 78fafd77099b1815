"""Decide whether a request comes from this machine itself. Such a request needs no key.

All four conditions must hold: the client's address is loopback; the server's address of the connection is loopback; the
Host header is a loopback name (this stops DNS rebinding, where a web page points its own name to 127.0.0.1); and no
header shows a proxy (a proxy on this machine connects from loopback for clients anywhere). A connection without
addresses, such as a Unix socket, is not loopback.

In tests, Django's client connects from 127.0.0.1 to "testserver", which is not loopback. Use
`Client(SERVER_NAME="localhost")`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

# Only proxies send these headers. Names are compared in lower case, with "-" instead of "_".
PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
PROXY_PREFIXES = ("x-forwarded", "x-envoy-", "x-original-")
HOST_PATTERN = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:,\s]+)(?::[0-9]+)?")


def is_loopback(client: str | None, server: str | None, host: str, header_names: Iterable[str]) -> bool:
    """Return whether a connection from address `client` to address `server` comes from this machine itself."""
    return (
        is_loopback_name(client)
        and is_loopback_name(server)
        and is_loopback_name(without_port(host))
        and not any(is_proxy_header(name) for name in header_names)
    )


@lru_cache(maxsize=256)
def is_loopback_name(name: str | None) -> bool:
    """Return whether the name is `localhost`, an address in 127.0.0.0/8 or ::1 (with or without brackets)."""
    if not name:
        return False
    if name.lower() == "localhost":
        return True
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        address = ip_address(name)
    except ValueError:
        return False
    # A dual-stack socket reports an IPv4 client as ::ffff:127.0.0.1.
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback


@lru_cache(maxsize=256)
def is_proxy_header(name: str) -> bool:
    """Return whether only proxies set this header."""
    lower = name.lower().replace("_", "-")
    return lower in PROXY_HEADERS or lower.startswith(PROXY_PREFIXES)


def without_port(host: str) -> str:
    """Return the name in a Host header, such as `localhost` for `localhost:8899`; an invalid header unchanged."""
    match = HOST_PATTERN.fullmatch(host)
    return match[1] if match else host
