"""The names that the server answers to without being told: its own. Imported by the settings, so no Django here."""

from __future__ import annotations

import socket
from ipaddress import IPv6Address, ip_address

ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on


def own_host_names(host: str) -> list[str]:
    """What a Host header may name, as entries of `ALLOWED_HOSTS`, when the server listens on `host`.

    Loopback always. When it listens on every address: each address of this machine and its host name, none of which a
    foreign page can make its own name resolve as. Addresses are read once, at the start.
    """
    names = ["localhost", "127.0.0.1", "[::1]"]
    if host not in ANY_ADDRESS:
        return [*names, _as_host(host)]
    import psutil

    addresses = [
        entry.address.partition("%")[0]
        for entries in psutil.net_if_addrs().values()
        for entry in entries
        if entry.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys([*names, *map(_as_host, addresses), socket.gethostname().lower()]))


def _as_host(address: str) -> str:
    try:
        return f"[{address}]" if isinstance(ip_address(address), IPv6Address) else address
    except ValueError:
        return address.lower()
