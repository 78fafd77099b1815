"""Which addresses a webhook may be sent to, so that it cannot be used to reach what only this machine reaches.

Pure functions. The networks are those of the IANA registries of special-purpose addresses, written down because the
properties of Python's `ipaddress` differ between versions.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from alerts.channels.failure import SendFailed

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def _networks(text: str) -> Networks:
    return tuple(ip_network(network) for network in text.split())


# An address is of the first kind whose networks contain it.
ALWAYS_REFUSED = {
    "a metadata address of a cloud": _networks(
        "169.254.169.254 100.100.100.200 168.63.129.16 192.0.0.192 fd00:ec2::/32 fd20:ce::254"
    ),
    "an unspecified address": _networks("0.0.0.0/8 ::/128"),
    "a link-local address": _networks("169.254.0.0/16 fe80::/10"),
    "a multicast address": _networks("224.0.0.0/4 ff00::/8"),
    "a reserved address": _networks(
        "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 "
        "2001::/23 2001:db8::/32 3fff::/20 fec0::/10"
    ),
}
PRIVATE = {
    "a loopback address": _networks("127.0.0.0/8 ::1/128"),
    "a private address": _networks("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"),
    "an address of carrier-grade NAT": _networks("100.64.0.0/10"),
}
GLOBAL_IPV6 = ip_network("2000::/3")
SIX_TO_FOUR = ip_network("2002::/16")
NAT64 = ip_network("64:ff9b::/96")
MAX_SHOWN = 60


def refuse_unsafe(host: str, addresses: Sequence[str], allow_private: bool) -> None:
    """Raise SendFailed if any address of a host is not one to send to."""
    for text in addresses:
        if reason := refusal_of(text, allow_private):
            name = f"{host[:MAX_SHOWN]} is" if host == text else f"{host[:MAX_SHOWN]} has the address {text}, which is"
            raise SendFailed(f"{name} {reason}", is_final=True)


def refusal_of(text: str, allow_private: bool) -> str:
    """Return why an address is refused; empty if it is not. An IPv6 address that contains an IPv4 one is judged by it.

    allow_private: allow loopback, private networks and carrier-grade NAT.
    """
    address = _embedded(ip_address(text))
    for kind, networks in ALWAYS_REFUSED.items():
        if _is_in(address, networks):
            return f"{kind}, which is always refused"
    for kind, networks in PRIVATE.items():
        if _is_in(address, networks):
            return "" if allow_private else f"{kind}: set allow_private to send to it"
    if isinstance(address, IPv6Address) and address not in GLOBAL_IPV6:
        return "a reserved address, which is always refused"
    return ""


def _is_in(address: Address, networks: Networks) -> bool:
    return any(address in network for network in networks)


def _embedded(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 one that is mapped, of 6to4 or of NAT64; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in SIX_TO_FOUR:
        return IPv4Address(int(address) >> 80 & 0xFFFF_FFFF)
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else address
