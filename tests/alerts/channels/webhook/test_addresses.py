"""A webhook cannot be used to reach what only the server reaches."""

from __future__ import annotations

import pytest

from alerts.channels.failure import SendFailed
from alerts.channels.message import Message
from alerts.channels.webhook import KIND
from alerts.channels.webhook.settings import WebhookSettings
from tests.alerts.channels.webhook.conftest import Names
from tests.alerts.channels.webhook.receiver import Receiver, status

LOOPBACK, PRIVATE, METADATA = "a loopback address", "a private address", "an address of cloud metadata"


def refusal(url: str, message: Message, allow_private: bool = False) -> str:
    with pytest.raises(SendFailed) as caught:
        KIND.send(WebhookSettings(url=url, allow_private=allow_private), message)
    assert caught.value.is_final
    return str(caught.value)


class AHost:
    @pytest.mark.parametrize(
        "host",
        ["127.0.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "①②⑦.0.0.1"],
    )
    def test_in_any_form_of_ipv4_is_refused(self, message: Message, host: str) -> None:
        assert refusal(f"http://{host}/", message) == f"127.0.0.1 is {LOOPBACK}: turn on allow_private to send to it"

    def test_in_ipv6_is_refused(self, message: Message) -> None:
        assert LOOPBACK in refusal("http://[::ffff:127.0.0.1]/", message)

    def test_whose_name_has_such_an_address_is_refused(self, message: Message, names: Names) -> None:
        names.addresses["inside.test"] = [["10.0.0.5"]]

        assert refusal("https://inside.test/", message) == (
            f"inside.test has the address 10.0.0.5, {PRIVATE}: turn on allow_private to send to it"
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
