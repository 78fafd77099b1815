"""Messages to an Apprise service: to a real receiver of `json://`, and what is refused."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError

from alerts.channels import apprise
from alerts.channels.apprise import AppriseSettings, send, shown, text_of, type_of
from alerts.channels.apprise.sender import Guard
from alerts.channels.failure import SendFailed
from tests.alerts.channels.messages import AT, PAGE, make_alert, make_message

MESSAGE = make_message(make_alert(description="Fans fail first."))


@dataclass
class Target:
    """A service that keeps what is posted to it, and answers with `status`."""

    port: int = 0
    status: int = 200
    posts: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/t0kenvalue"


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(made.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


def settings(url: str, **fields: Any) -> AppriseSettings:
    return AppriseSettings.model_validate({"url": url, **fields})


def failure(of: AppriseSettings) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        send(of, MESSAGE)
    return caught.value


class TheService:
    def test_gets_the_title_the_text_and_the_type(self, target: Target) -> None:
        send(settings(target.url, allow_private=True), MESSAGE)

        [post] = target.posts
        assert (post["title"], post["message"], post["type"]) == (
            "▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)",
            "Fans fail first.\nhttp://monitor.test/dashboard/?alert=1",
            "warning",
        )

    def test_that_refuses_it_is_named_without_the_secrets_of_its_address(self, target: Target) -> None:
        target.status = 503
        failed = failure(settings(f"{target.url}?optional=yes&retry=3", allow_private=True))

        assert str(failed).startswith("json://… has not accepted the message: ")
        assert "503" in str(failed)
        assert "t0kenvalue" not in str(failed)
        assert not failed.is_final
        assert len(target.posts) == 1

    def test_that_hangs_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            hanging = settings(f"json://127.0.0.1:{silent.getsockname()[1]}", allow_private=True)
            monkeypatch.setattr(apprise, "SEND_SECONDS", 3)
            failed = failure(hanging)

        assert "within 3 s" in str(failed)
        assert not failed.is_final

    def test_in_the_network_of_the_server_is_refused_unless_it_is_allowed(self, target: Target) -> None:
        failed = failure(settings(target.url))

        assert str(failed) == "the address leads to 127.0.0.1, a loopback address: turn on allow_private to send to it"
        assert failed.is_final
        assert target.posts == []

    @pytest.mark.parametrize(
        ("url", "address"),
        [
            ("json://localhost:{port}", "a loopback address"),
            ("json://2130706433:{port}", "127.0.0.1, a loopback address"),
            ("json://[::1]:{port}", "::1, a loopback address"),
            ("jsons://169.254.169.254", "169.254.169.254, an address of cloud metadata"),
            ("mailto://user:password@example.com?smtp=127.0.0.1", "127.0.0.1, a loopback address"),
            ("rsyslog://localhost", "a loopback address"),
        ],
    )
    def test_is_refused_however_the_address_is_written(self, target: Target, url: str, address: str) -> None:
        assert address in str(failure(settings(url.format(port=target.port))))
        assert target.posts == []


class AConnection:
    """Checked where it is made, so that neither a redirect nor another answer of the name server leads elsewhere."""

    def test_to_a_name_is_refused_if_one_of_its_addresses_is_not_public(self, monkeypatch: pytest.MonkeyPatch) -> None:
        addresses = [(0, 0, 0, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.5")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments: addresses)
        guard = Guard(allow_private=False)
        with pytest.raises(PermissionError):
            guard("socket.connect", (None, ("rebound.example", 80)))

        assert guard.refused == "10.0.0.5, a private address: turn on allow_private to send to it"

    def test_to_a_public_address_is_not(self) -> None:
        guard = Guard(allow_private=False)
        guard("socket.connect", (None, ("8.8.8.8", 443)))

        assert guard.refused == ""

    @pytest.mark.parametrize("event", [("socket.connect", (None, "/run/docker.sock")), ("subprocess.Popen", ("sh",))])
    def test_to_this_machine_is_refused_also_if_private_addresses_are_allowed(self, event: Any) -> None:
        with pytest.raises(PermissionError):
            Guard(allow_private=True)(*event)


class TheAddress:
    @pytest.mark.parametrize(
        ("url", "reason"),
        [
            ("SYSLOG://", "must not be syslog://, which shows messages on the machine of the server."),
            ("dbus://", "must not be dbus://"),
            ("nosuch://x", "is not recognized by Apprise"),
            ("hello", "is not recognized by Apprise"),
            ("hooks.example.com/abcdefgh", "is not recognized by Apprise"),
            ("file:///etc/passwd", "is not recognized by Apprise"),
            ("discord://1234567/abcdefgh?template=/etc/passwd", "is not recognized by Apprise: Could not load Discord"),
        ],
    )
    def test_is_checked(self, url: str, reason: str) -> None:
        with pytest.raises(ValidationError) as caught:
            settings(url)

        assert reason in str(caught.value)
        assert "abcdefgh" not in str(caught.value)

    def test_is_shown_as_its_schema(self) -> None:
        assert shown(settings("ntfys://example.com/secret-topic")) == "ntfys://…"


class TheType:
    def test_is_that_of_the_most_severe_alert_that_fires(self) -> None:
        ended = make_alert(2, state="resolved", ended_at=AT)

        assert type_of(make_message(make_alert(1, severity="critical"), make_alert(3), ended)) == "failure"
        assert type_of(make_message(make_alert(1, severity="info"), ended)) == "info"
        assert type_of(make_message(ended)) == "success"
        assert type_of(make_message(kind="heartbeat")) == "info"


class TheText:
    def test_of_several_alerts_has_a_line_for_each(self) -> None:
        assert text_of(make_message(make_alert(1), make_alert(2, labels={"host": "gpu-2"}))) == (
            "▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)\n"
            f"▲ High CPU Usage fires: gpu-2, 93.4 % (above 80 %)\n{PAGE}"
        )
