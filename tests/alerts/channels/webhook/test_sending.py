"""A message is one signed request, which is accepted, tried again or given up."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from alerts.channels.failure import SendFailed
from alerts.channels.message import Message
from alerts.channels.payload import as_dict
from alerts.channels.webhook import KIND, connection, sending
from tests import services
from tests.alerts.channels.webhook.conftest import Names
from tests.alerts.channels.webhook.receiver import SECRET, Answer, Receiver, status

DOCUMENTATION = Path(__file__).resolve().parents[4] / "docs" / "alerts.md"


def failure_of(receiver: Receiver, message: Message, **settings: Any) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        KIND.send(receiver.settings(**settings), message)
    return caught.value


def documented() -> str:
    """The section on webhooks."""
    return re.split(r"\n#{2,3} ", DOCUMENTATION.read_text().split("\n### Webhook\n")[1])[0]


def is_genuine(*arguments: Any) -> bool:
    """The example of the documentation."""
    match = re.search(r"```python\n(.*?)```", documented(), re.DOTALL)
    assert match
    example: dict[str, Any] = {}
    exec(match[1], example)  # noqa: S102
    return bool(example["is_genuine"](*arguments))


class ARequest:
    def test_has_the_documented_json_of_the_message(self, receiver: Receiver, message: Message) -> None:
        KIND.send(receiver.settings(), message)

        [request] = receiver.requests
        assert request.path == "/hook/t0ken?a=b"
        assert request.json == as_dict(message)
        assert request.headers["Content-Type"] == "application/json"
        fields = {*request.json, *request.json["alerts"][0]}
        assert {name for name in fields if f"`{name}`" not in documented()} == set()

    def test_names_its_message_and_the_host(self, receiver: Receiver, message: Message) -> None:
        KIND.send(receiver.settings(), message)

        headers = receiver.requests[0].headers
        assert headers["LLMMonitor-Message-Id"] == message.id
        assert headers["Host"] == f"127.0.0.1:{receiver.port}"
        assert headers["User-Agent"].startswith("LLM-Monitor/")

    def test_is_signed_as_documented(self, receiver: Receiver, message: Message) -> None:
        KIND.send(receiver.settings(), message)

        [request] = receiver.requests
        assert is_genuine(SECRET, request.headers, request.body)
        assert not is_genuine(SECRET, request.headers, request.body + b" ")
        assert not is_genuine("another secret", request.headers, request.body)
        request.headers.replace_header("LLMMonitor-Timestamp", str(int(time.time()) - 1))
        assert not is_genuine(SECRET, request.headers, request.body)

    def test_is_not_signed_without_a_secret(self, receiver: Receiver, message: Message) -> None:
        KIND.send(receiver.settings(signing_secret=""), message)

        assert "LLMMonitor-Signature" not in receiver.requests[0].headers

    def test_has_the_headers_of_the_channel_and_the_body_of_its_template(
        self, receiver: Receiver, message: Message
    ) -> None:
        headers = {"Authorization": "Bearer x", "content-type": "text/plain", "User-Agent": "me"}
        KIND.send(receiver.settings(headers=headers, body="{{ alerts.0.name }}: {{ alerts.0.value }}"), message)

        [request] = receiver.requests
        assert request.body == b'High "CPU": 93.25'
        assert {name: request.headers.get_all(name) for name in headers} == {
            name: [value] for name, value in headers.items()
        }
        assert is_genuine(SECRET, request.headers, request.body)

    def test_whose_template_makes_too_much_of_many_alerts_is_not_sent(
        self, receiver: Receiver, message: Message
    ) -> None:
        body = "{% for alert in alerts %}{{ alerts|json }}{% endfor %}"
        many, headers = replace(message, alerts=message.alerts * 1_000), {"Content-Type": "text/plain"}
        failure = failure_of(receiver, many, body=body, headers=headers)

        assert failure.is_final
        assert str(failure).startswith("the template of the body cannot be used: its loops make more than")
        assert receiver.requests == []

    def test_does_not_use_a_proxy_of_the_environment(
        self, receiver: Receiver, message: Message, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{services.free_port()}")
        KIND.send(receiver.settings(), message)

        assert len(receiver.requests) == 1

    def test_goes_to_the_next_address_if_the_first_does_not_accept_a_connection(
        self, receiver: Receiver, message: Message, names: Names
    ) -> None:
        names.addresses["receiver.test"] = [["::1", "127.0.0.1"]]
        KIND.send(receiver.settings(host="receiver.test"), message)

        assert receiver.requests[0].headers["Host"] == f"receiver.test:{receiver.port}"


class AnAnswer:
    @pytest.mark.parametrize("number", [200, 202, 204])
    def test_of_200_to_299_accepts_the_message(self, receiver: Receiver, message: Message, number: int) -> None:
        receiver.answer = status(number)
        KIND.send(receiver.settings(), message)

    @pytest.mark.parametrize(
        ("number", "reason"),
        [
            (408, "responded with 408 Request Timeout"),
            (429, "responded with 429 Too Many Requests"),
            (500, "responded with 500 Internal Server Error"),
            (503, "responded with 503 Service Unavailable"),
            (599, "responded with 599"),
        ],
    )
    def test_of_a_receiver_that_is_busy_or_broken_is_not_final(
        self, receiver: Receiver, message: Message, number: int, reason: str
    ) -> None:
        receiver.answer = status(number)
        failure = failure_of(receiver, message)

        assert (str(failure), failure.is_final, failure.retry_after_seconds) == (reason, False, None)

    @pytest.mark.parametrize("number", [400, 401, 404, 410])
    def test_that_refuses_is_final(self, receiver: Receiver, message: Message, number: int) -> None:
        receiver.answer = status(number, Retry_After="1")

        assert failure_of(receiver, message).is_final

    @pytest.mark.parametrize(
        ("text", "seconds"), [("120", 120), ("99999999999", 999_999_999), ("-5", None), ("soon", None), ("", None)]
    )
    def test_may_ask_for_a_pause_in_seconds(
        self, receiver: Receiver, message: Message, text: str, seconds: float | None
    ) -> None:
        receiver.answer = status(429, Retry_After=text)

        assert failure_of(receiver, message).retry_after_seconds == seconds

    def test_may_ask_for_a_pause_until_a_time(self, receiver: Receiver, message: Message) -> None:
        receiver.answer = status(503, Retry_After=format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True))
        assert failure_of(receiver, message).retry_after_seconds == pytest.approx(3600, abs=60)

        receiver.answer = status(503, Retry_After=format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True))
        assert failure_of(receiver, message).retry_after_seconds is None

    @pytest.mark.parametrize("number", [301, 302, 307, 308])
    def test_that_redirects_is_final_and_names_the_host(
        self, receiver: Receiver, message: Message, number: int
    ) -> None:
        receiver.answer = status(number, Location="http://169.254.169.254/latest/secret")
        failure = failure_of(receiver, message)

        assert failure.is_final
        assert "redirects to http://169.254.169.254/… are not followed" in str(failure)
        assert len(receiver.requests) == 1

    def test_of_100_mb_is_not_read(self, receiver: Receiver, message: Message) -> None:
        rest = []

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.end_headers()
            try:
                for number in range(100):
                    rest.append(number)
                    handler.wfile.write(bytes(1_000_000))
            finally:
                receiver.stopped.set()

        receiver.answer = answer
        KIND.send(receiver.settings(), message)

        assert receiver.stopped.wait(30)
        assert len(rest) < 100


def hangs(receiver: Receiver) -> Answer:
    return lambda handler: receiver.stopped.wait(60) and None


def dribbles(receiver: Receiver) -> Answer:
    """Send a byte of a header now and then, without an end."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.flush_headers()
        while not receiver.stopped.wait(0.02):
            handler.wfile.write(b"x")

    return answer


def hangs_up(receiver: Receiver) -> Answer:
    return lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)


class AReceiverWithoutAnAnswer:
    @pytest.mark.parametrize("behaviour", [hangs, dribbles])
    def test_within_the_time_limit_is_tried_again(
        self, receiver: Receiver, message: Message, behaviour: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SEND_SECONDS", 0.5)
        receiver.answer = behaviour(receiver)
        failure = failure_of(receiver, message)

        assert str(failure) == f"127.0.0.1:{receiver.port} did not respond within 0.5 s"
        assert not failure.is_final

    def test_that_is_http_is_tried_again_and_its_address_is_not_logged(
        self, receiver: Receiver, message: Message, caplog: pytest.LogCaptureFixture
    ) -> None:
        receiver.answer = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
        assert "without a valid response" in str(failure_of(receiver, message))

        receiver.answer = lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header\r\n\r\n")
        KIND.send(receiver.settings(), message)
        assert "t0ken" not in caplog.text

    def test_because_the_connection_is_closed_is_tried_again(self, receiver: Receiver, message: Message) -> None:
        receiver.answer = hangs_up(receiver)
        failure = failure_of(receiver, message)

        assert "the connection was closed without a valid response" in str(failure)
        assert not failure.is_final

    def test_because_nothing_listens_is_tried_again(self, message: Message) -> None:
        failure = failure_of(Receiver(services.free_port()), message)

        assert "Connection refused" in str(failure)
        assert "t0ken" not in str(failure)
        assert not failure.is_final

    def test_because_its_name_is_unknown_is_tried_again(self, message: Message, names: Names) -> None:
        failure = failure_of(Receiver(80), message, host="no.test")

        assert str(failure) == "the name no.test was not resolved: Name or service not known"
        assert not failure.is_final

    def test_because_its_name_is_not_resolved_in_time_is_tried_again(
        self, receiver: Receiver, message: Message, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sending, "SEND_SECONDS", 0.1)
        monkeypatch.setattr(connection, "_addresses", lambda host, port: receiver.stopped.wait(60) and [])
        failure = failure_of(receiver, message, host="slow.test")

        assert str(failure) == "the name slow.test was not resolved within 0.1 s"
        assert not failure.is_final
