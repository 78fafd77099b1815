"""A webhook cannot be used to reach what only the server reaches."""

from __future__ import annotations

import pytest

from alerts.channels.failure import SendFailed
from alerts.channels.message import Message
from alerts.channels.webhook import KIND
from alerts.channels.webhook.addresses import refusal_of
from alerts.channels.webhook.settings import WebhookSettings
from tests.alerts.channels.webhook.conftest import Names
from tests.alerts.channels.webhook.receiver import Receiver, status

LOOPBACK, PRIVATE, CGNAT = "a loopback address", "a private address", "an address of carrier-grade NAT"
METADATA, LINK_LOCAL, MULTICAST = "a metadata address of a cloud", "a link-local address", "a multicast address"
UNSPECIFIED, RESERVED = "an unspecified address", "a reserved address"


def refusal(url: str, message: Message, allow_private: bool = False) -> str:
    with pytest.raises(SendFailed) as caught:
        KIND.send(WebhookSettings(url=url, allow_private=allow_private), message)
    assert caught.value.is_final
    return str(caught.value)


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
        assert refusal_of(address, False) == f"{kind}: set allow_private to send to it"
        assert refusal_of(address, True) == ""

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
        assert refusal_of(address, False) == refusal_of(address, True) == f"{kind}, which is always refused"

    @pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "2002:{}::1"])
    @pytest.mark.parametrize(
        ("ipv4", "kind"),
        [("127.0.0.1", LOOPBACK), ("10.0.0.1", PRIVATE), ("169.254.169.254", METADATA), ("0.0.0.1", UNSPECIFIED)],
    )
    def test_of_ipv6_with_such_an_ipv4_one_in_it_is_refused(self, form: str, ipv4: str, kind: str) -> None:
        parts = [int(part) for part in ipv4.split(".")]
        hexadecimal = "{:02x}{:02x}:{:02x}{:02x}".format(*parts)

        assert refusal_of(form.format(hexadecimal), False).startswith(kind)

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
        assert refusal_of(address, False) == refusal_of(address, True) == ""


class AHost:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "①②⑦.0.0.1"],
    )
    def test_in_any_form_of_ipv4_is_refused(self, message: Message, host: str) -> None:
        assert refusal(f"http://{host}/", message) == f"127.0.0.1 is {LOOPBACK}: set allow_private to send to it"

    def test_in_ipv6_is_refused(self, message: Message) -> None:
        assert LOOPBACK in refusal("http://[::ffff:127.0.0.1]/", message)

    def test_whose_name_has_such_an_address_is_refused(self, message: Message, names: Names) -> None:
        names.addresses["inside.test"] = [["10.0.0.5"]]

        assert refusal("https://inside.test/", message) == (
            f"inside.test has the address 10.0.0.5, which is {PRIVATE}: set allow_private to send to it"
        )

    def test_with_one_such_address_among_others_is_refused(self, message: Message, names: Names) -> None:
        names.addresses["both.test"] = [["8.8.8.8", "169.254.169.254"]]

        assert METADATA in refusal("http://both.test/", message, allow_private=True)

    def test_that_changes_its_address_after_the_check_gets_nothing_at_the_new_one(
        self, receiver: Receiver, message: Message, names: Names
    ) -> None:
        names.addresses["rebinds.test"] = [["127.0.0.1"], ["169.254.169.254"]]
        KIND.send(receiver.settings(host="rebinds.test"), message)

        assert len(receiver.requests) == 1
        assert names.asked == ["rebinds.test"]

    def test_that_redirects_to_such_an_address_is_not_followed(self, receiver: Receiver, message: Message) -> None:
        receiver.answer = status(307, Location=f"http://localhost:{receiver.port}/inside")
        with pytest.raises(SendFailed, match="not followed"):
            KIND.send(receiver.settings(), message)

        assert len(receiver.requests) == 1

    def test_of_this_machine_gets_the_message_if_private_addresses_are_allowed(
        self, receiver: Receiver, message: Message
    ) -> None:
        assert LOOPBACK in refusal(f"http://127.0.0.1:{receiver.port}/", message)
        KIND.send(receiver.settings(), message)

        assert len(receiver.requests) == 1
