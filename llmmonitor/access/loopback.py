"""Is this request from the person at this machine? Decided for each request, from what the connection itself shows.

All four must hold: the client's address is loopback, the server's address of the same connection is loopback, the Host
header names loopback (a page on the web that rebinds its own name to 127.0.0.1 fails here), and no header says that a
proxy stands in between (a proxy on this machine connects from loopback for the whole world). A connection without
addresses, such as one over a unix socket, is not loopback.

In tests: Django's client comes from 127.0.0.1 to a server called "testserver", which is not loopback;
`Client(SERVER_NAME="localhost")` is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

# Each of these is added by proxies only. Names are compared in lower case with "-" for "_".
PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"})
HOST_FORM = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:,\s]+)(?::[0-9]+)?")
PROXY_PREFIXES = ("x-forwarded", "x-envoy-", "x-original-")


def is_loopback(client: str | None, server: str | None, host: str, header_names: Iterable[str]) -> bool:
    """Whether a connection from `client` to `server` (addresses), with this Host header, is the machine's own."""
    return (
        is_loopback_name(client)
        and is_loopback_name(server)
        and is_loopback_name(without_port(host))
        and not any(is_proxy_header(name) for name in header_names)
    )


def is_loopback_name(name: str | None) -> bool:
    """Whether it is `localhost` or an address in 127.0.0.0/8 or ::1 (IPv6 with or without brackets)."""
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
    # A socket that listens on both families shows an IPv4 client as ::ffff:127.0.0.1.
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback


def is_proxy_header(name: str) -> bool:
    """Whether only a proxy would have set this header."""
    lower = name.lower().replace("_", "-")
    return lower in PROXY_HEADERS or lower.startswith(PROXY_PREFIXES)


def without_port(host: str) -> str:
    """The name of a Host header, `localhost` of `localhost:8899`; the whole of one that has no such form."""
    found = HOST_FORM.fullmatch(host)
    return found[1] if found else host
