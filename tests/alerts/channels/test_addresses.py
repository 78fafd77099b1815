"""Which addresses messages may be sent to."""

from __future__ import annotations

import pytest

from alerts.channels.addresses import why_refused

LOOPBACK, PRIVATE, CGNAT = "a loopback address", "a private address", "an address of carrier-grade NAT"
METADATA, LINK_LOCAL, MULTICAST = "an address of cloud metadata", "a link-local address", "a multicast address"
UNSPECIFIED, RESERVED = "an unspecified address", "a reserved address"


class AnAddress:
    @pytest.mark.parametrize(
        ("address", "kind"),
        [
            ("127.0.0.1", LOOPBACK),
            ("127.255.255.254", LOOPBACK),
            ("::1", LOOPBACK),
            ("10.1.2.3", PRIVATE),
            ("172.16.0.1", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.168.1.1", PRIVATE),
            ("fd12:3456::1", PRIVATE),
            ("fc00::1", PRIVATE),
            ("100.64.0.1", CGNAT),
            ("100.127.255.255", CGNAT),
        ],
    )
    def test_that_is_not_public_is_refused_unless_private_ones_are_allowed(self, address: str, kind: str) -> None:
        assert why_refused(address, False) == f"{kind}: turn on allow_private to send to it"
        assert why_refused(address, True) == ""

    @pytest.mark.parametrize(
        ("address", "kind"),
        [
            ("169.254.169.254", METADATA),
            ("100.100.100.200", METADATA),
            ("168.63.129.16", METADATA),
            ("192.0.0.192", METADATA),
            ("fd00:ec2::254", METADATA),
            ("fd20:ce::254", METADATA),
            ("169.254.0.1", LINK_LOCAL),
            ("fe80::1", LINK_LOCAL),
            ("fe80::1%1", LINK_LOCAL),
            ("0.0.0.0", UNSPECIFIED),  # noqa: S104
            ("0.1.2.3", UNSPECIFIED),
            ("::", UNSPECIFIED),
            ("224.0.0.1", MULTICAST),
            ("ff02::1", MULTICAST),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", RESERVED),
            ("192.0.2.1", RESERVED),
            ("198.18.0.1", RESERVED),
            ("2001:db8::1", RESERVED),
            ("2001::1", RESERVED),
            ("fec0::1", RESERVED),
            ("::127.0.0.1", RESERVED),
            ("64:ff9b:1::1", RESERVED),
            ("5f00::1", RESERVED),
        ],
    )
    def test_that_no_receiver_has_is_always_refused(self, address: str, kind: str) -> None:
        assert why_refused(address, False) == why_refused(address, True) == f"{kind}, which is always refused"

    @pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::1"])
    @pytest.mark.parametrize(
        ("ipv4", "kind"),
        [("127.0.0.1", LOOPBACK), ("10.0.0.1", PRIVATE), ("169.254.169.254", METADATA), ("0.0.0.1", UNSPECIFIED)],
    )
    def test_of_ipv6_with_such_an_ipv4_one_in_it_is_refused(self, form: str, ipv4: str, kind: str) -> None:
        parts = [int(part) for part in ipv4.split(".")]
        hexadecimal = "{:02x}{:02x}:{:02x}{:02x}".format(*parts)

        assert why_refused(form.format(hexadecimal), False).startswith(kind)

    @pytest.mark.parametrize(
        "address",
        [
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "2606:4700::1111",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ],
    )
    def test_that_is_public_is_allowed(self, address: str) -> None:
        assert why_refused(address, False) == why_refused(address, True) == ""


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="example"):
        why_refused("example.com", True)
