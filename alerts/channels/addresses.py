"""Which addresses a message may be sent to only where the channel allows it. Pure functions, standard library only.

A channel's address is given by a person who may not have access to the network of the server. Services that trust this
network, such as the metadata of a cloud, must not be reached by it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# Those of the clouds that are not in a private network, or that deserve their name.
METADATA = frozenset(
    ip_address(text) for text in ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254")
)
NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))  # the last 32 bits are an IPv4 address


def why_not_public(address: str) -> str:
    """Return what a numeric address is, such as `a loopback address`; empty for a public one. Raises ValueError."""
    ip = _inner(ip_address(address.partition("%")[0]))
    if ip in METADATA:
        return "an address of cloud metadata"
    if ip.is_loopback:
        return "a loopback address"
    if ip.is_link_local:
        return "a link-local address"
    if ip.is_multicast:
        return "a multicast address"
    is_site_local = isinstance(ip, IPv6Address) and ip.is_site_local
    return "a private address" if is_site_local or not ip.is_global else ""


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that packets to an IPv6 address end at, if it contains one."""
    if isinstance(ip, IPv4Address):
        return ip
    if any(ip in network for network in NAT64) or (ip.packed[:12] == bytes(12) and int(ip) > 1):
        return IPv4Address(ip.packed[12:])
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else ip)
