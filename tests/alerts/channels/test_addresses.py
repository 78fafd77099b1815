"""Which addresses are public."""

from __future__ import annotations

import pytest

from alerts.channels.addresses import why_not_public

NOT_PUBLIC = {
    "127.0.0.1": "loopback",
    "127.8.9.1": "loopback",
    "::1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::127.0.0.1": "loopback",
    "10.0.0.5": "private",
    "172.16.0.1": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "private",
    "0.0.0.0": "private",  # noqa: S104 (an address, not a binding)
    "::": "private",
    "255.255.255.255": "private",
    "fd12::1": "private",
    "fec0::1": "private",
    "64:ff9b::a00:5": "private",
    "2002:a00:5::": "private",
    "::ffff:10.0.0.5": "private",
    "169.254.1.1": "link-local",
    "fe80::1%eth0": "link-local",
    "169.254.169.254": "metadata",
    "64:ff9b::a9fe:a9fe": "metadata",
    "168.63.129.16": "metadata",
    "100.100.100.200": "metadata",
    "fd00:ec2::254": "metadata",
    "224.0.0.1": "multicast",
    "ff02::1": "multicast",
}


@pytest.mark.parametrize(("address", "kind"), NOT_PUBLIC.items())
def test_an_address_that_is_not_public_is_named(address: str, kind: str) -> None:
    assert kind in why_not_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_is_not(address: str) -> None:
    assert why_not_public(address) == ""


def test_a_name_is_no_address() -> None:
    with pytest.raises(ValueError, match="example"):
        why_not_public("example.com")
