"""The names of this machine, for `ALLOWED_HOSTS` and for URLs. The settings import it, so it must not import Django."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address

ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


def default_allowed_hosts(host: str) -> list[str]:
    """Return the entries of `ALLOWED_HOSTS` for a server that listens on `host`.

    Loopback names are always included. If the server listens on every address, all addresses and the host name of this
    machine are included; a DNS rebinding attack cannot use them as its own name. The addresses are read once, at start.
    """
    names = ["localhost", "127.0.0.1", "[::1]"]
    if host not in ANY_ADDRESS:
        return [*names, _host_name(host)]
    import psutil

    addresses = [
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys([*names, *map(_host_name, addresses), socket.gethostname().lower()]))


def url_of(host: str, port: int) -> str:
    """Return the URL that a browser on this machine opens, without a trailing slash."""
    return f"http://{'127.0.0.1' if host in ANY_ADDRESS else _host_name(host)}:{port}"


def _host_name(address: str) -> str:
    try:
        return f"[{address}]" if isinstance(ip_address(address), IPv6Address) else address
    except ValueError:
        return address.lower()
