"""What counts as the person at this machine."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from llmmonitor.access.loopback import is_loopback, without_port
from tests.llmmonitor.access.asgi_requests import ELSEWHERE, send_request

pytestmark = pytest.mark.urls("tests.llmmonitor.access.access_urls")


class ARequestIsTheMachinesOwn:
    @pytest.mark.parametrize(
        ("client", "server", "host"),
        [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1:8899"),
            ("127.0.0.1", "127.0.0.1", "localhost:8899"),
            ("127.0.0.1", "127.0.0.1", "LOCALHOST"),
            ("::1", "::1", "[::1]:8899"),
            ("::1", "::1", "[::1]"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "127.0.0.1:8899"),
            ("127.3.2.1", "127.0.0.1", "127.0.0.1"),
        ],
    )
    def test_when_both_ends_and_the_host_are_loopback(self, client: str, server: str, host: str) -> None:
        assert is_loopback(client, server, host, ["accept", "user-agent"])

    @pytest.mark.parametrize(
        ("client", "server", "host"),
        [
            (ELSEWHERE, "127.0.0.1", "127.0.0.1:8899"),
            ("127.0.0.1", "192.168.1.5", "127.0.0.1:8899"),
            ("192.168.1.5", "192.168.1.5", "127.0.0.1:8899"),
            ("::ffff:192.168.1.5", "::1", "localhost"),
            (None, "127.0.0.1", "localhost"),
            ("127.0.0.1", None, "localhost"),
            (None, None, "localhost"),
            ("", "", ""),
        ],
    )
    def test_not_when_one_end_is_elsewhere_or_unknown(self, client: str | None, server: str | None, host: str) -> None:
        assert not is_loopback(client, server, host, [])

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example",
            "evil.example:8899",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8899",
            "localhost:80,evil.example",
            "localhost,evil.example",
            "[::1].evil.example",
            "[::1",
            "localhost:",
            "localhost:x",
            "192.168.1.5",
            "10.0.0.1",
            "",
        ],
    )
    def test_not_when_the_host_names_another(self, host: str) -> None:
        assert not is_loopback("127.0.0.1", "127.0.0.1", host, [])

    @pytest.mark.parametrize(
        "name",
        [
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-Forwarded-Anything",
            "X_FORWARDED_FOR",
            "Forwarded",
            "Via",
            "X-Real-IP",
            "CF-Connecting-IP",
            "True-Client-IP",
        ],
    )
    def test_not_when_a_proxy_stands_in_between(self, name: str) -> None:
        assert not is_loopback("127.0.0.1", "127.0.0.1", "localhost", ["accept", name])

    def test_and_a_host_without_a_port_is_its_name(self) -> None:
        assert [without_port(host) for host in ("localhost:1", "localhost", "[::1]:1", "[::1]")] == [
            "localhost",
            "localhost",
            "[::1]",
            "[::1]",
        ]


class TheApplication:
    """The same through Django, from the scope that a server makes."""

    @pytest.mark.parametrize(
        ("client", "server", "host"),
        [
            ("127.0.0.1", "127.0.0.1", "127.0.0.1:8899"),
            ("::1", "::1", "[::1]:8899"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", "localhost:8899"),
        ],
    )
    def test_lets_loopback_read_without_a_key(self, client: str, server: str, host: str) -> None:
        reply = send_request("GET", "/read", client=client, server=server, host=host)

        assert (reply.status, reply.json()) == (200, {"who": "loopback"})

    def test_asks_another_address_to_sign_in(self) -> None:
        reply = send_request("GET", "/read", client=ELSEWHERE)

        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "/login/" in reply.json()["detail"]

    @pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host"])
    def test_asks_whoever_comes_through_a_proxy_to_sign_in(self, name: str) -> None:
        assert send_request("GET", "/read", headers={name: "127.0.0.1"}).status == 401

    def test_asks_everybody_to_sign_in_where_loopback_is_not_trusted(self, settings: Settings) -> None:
        settings.LLMMONITOR = settings.LLMMONITOR.model_copy(update={"trust_loopback": False})

        assert send_request("GET", "/read").status == 401

    def test_believes_no_address_that_a_header_names(self) -> None:
        assert send_request("GET", "/read", client=ELSEWHERE, headers={"X-Forwarded-For": "127.0.0.1"}).status == 401

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8899", "127.0.0.1.evil.example", "localhost,evil"])
    def test_refuses_a_name_that_was_rebound_to_this_address(self, host: str) -> None:
        assert send_request("GET", "/read", host=host).status == 400
        assert send_request("GET", "/", host=host).status == 400

    @pytest.mark.urls("llmmonitor.urls")
    def test_says_what_to_set_for_a_name_that_is_ours(self) -> None:
        reply = send_request("GET", "/", host="monitor.example.com")

        assert (reply.status, reply.json()["code"]) == (400, "unknown_host")
        assert "LLMMONITOR_ALLOWED_HOSTS" in reply.json()["detail"]

    def test_takes_a_connection_over_a_unix_socket_for_no_ones(self) -> None:
        assert send_request("GET", "/read", client=None, server=None, host="localhost").status == 401
