"""Which addresses messages may be sent to. Pure functions, standard library only.

A channel's address is given by a person who may not have access to the network of the server. Services that trust this
network, such as the metadata of a cloud, must not be reached by it. The networks are those of the IANA registries of
special-purpose addresses, written down because the properties of `ipaddress` differ between versions of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]


def _networks(text: str) -> Networks:
    return tuple(ip_network(network) for network in text.split())


# An address is of the first kind whose networks contain it.
ALWAYS_REFUSED = {
    "an address of cloud metadata": _networks(
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


def why_refused(address: str, allow_private: bool) -> str:
    """Return what a numeric address is if nothing may be sent to it; empty if it may. Raises ValueError for a name.

    An IPv6 address that contains an IPv4 one is judged by it. allow_private: allow loopback, private networks and
    carrier-grade NAT.
    """
    ip = _inner(ip_address(address.partition("%")[0]))
    for kind, networks in ALWAYS_REFUSED.items():
        if _is_in(ip, networks):
            return f"{kind}, which is always refused"
    for kind, networks in PRIVATE.items():
        if _is_in(ip, networks):
            return "" if allow_private else f"{kind}: turn on allow_private to send to it"
    is_reserved = isinstance(ip, IPv6Address) and ip not in GLOBAL_IPV6
    return "a reserved address, which is always refused" if is_reserved else ""


def _is_in(ip: Address, networks: Networks) -> bool:
    return any(ip in network for network in networks)


def _inner(ip: Address) -> Address:
    """Return the IPv4 address that packets to an IPv6 address end at, if it is mapped, of 6to4 or of NAT64."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip in SIX_TO_FOUR:
        return IPv4Address(int(ip) >> 80 & 0xFFFF_FFFF)
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in NAT64 else ip
