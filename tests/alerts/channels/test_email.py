"""E-mails: what a real mail server receives, and what happens when it does not."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from django.core.mail import EmailMultiAlternatives
from django.test import override_settings
from django.utils import timezone
from pydantic import ValidationError

from alerts.channels.email import EmailSettings, email_of, send, server, shown
from alerts.channels.failure import SendFailed
from alerts.channels.message import Message
from alerts.delivery.sending import deliver
from llmmonitor.environment import read_environment
from metrics.events import SystemEvent
from metrics.store.writing.transaction import Store
from tests import services
from tests.alerts.channels.mail_server import PASSWORD, MailServer
from tests.alerts.channels.messages import AT, PAGE, make_alert, make_message
from tests.alerts.delivery.receiver import add_channel
from tests.alerts.delivery.test_sending import add_message

pytestmark = pytest.mark.django_db

MARA, NOAH = "mara@example.com", "noah@example.com"
TO = EmailSettings(to=[MARA, NOAH])
MESSAGE = make_message(make_alert(description="Fans fail <first>.", runbook_url="https://wiki.test/cpu?a=1&b=2"))


def send_by(url: str, message: Message = MESSAGE, sender: str = "LLM Monitor <monitor@mail.test>") -> None:
    environment = read_environment().model_copy(update={"smtp_url": url, "email_from": sender})
    with override_settings(LLMMONITOR=environment):
        send(TO, message)


def received(by: MailServer, message: Message = MESSAGE) -> EmailMessage:
    send_by(f"smtp://127.0.0.1:{by.port}?starttls=false", message)
    return by.emails[-1]


def email_at(message: Message = MESSAGE) -> EmailMultiAlternatives:
    """The e-mail as it is made at AT, when the figures of the hour before are kept."""
    return email_of(message, "monitor@mail.test", TO.to, AT)


def failure(url: str) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        send_by(url)
    return caught.value


def text_of(email: EmailMessage) -> str:
    part = email.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


def html_of(email: EmailMessage) -> str:
    part = email.get_body(("html",))
    assert part is not None
    return str(part.get_content())


class _Page(HTMLParser):
    """The tags, the links and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name == "href"]

    def handle_data(self, data: str) -> None:
        self.text += f"{data.strip()}\n" if data.strip() else ""


class AnEmail:
    def test_names_the_alert_in_its_subject_and_goes_to_all_addresses_at_once(self, mail_server: MailServer) -> None:
        email = received(mail_server)

        assert email["Subject"].strip() == "▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)"
        assert (email["From"], email["To"]) == ("LLM Monitor <monitor@mail.test>", f"{MARA}, {NOAH}")
        assert mail_server.recipients == [[MARA, NOAH]]
        assert email["Auto-Submitted"] == "auto-generated"

    def test_that_is_sent_again_has_the_same_id_and_those_of_an_alert_refer_to_each_other(
        self, mail_server: MailServer
    ) -> None:
        first, again = received(mail_server), received(mail_server)
        end = received(mail_server, make_message(make_alert(state="resolved", ended_at=AT), make_alert(2)))

        assert first["Message-ID"] == again["Message-ID"] == "<8c2f-1@mail.test>"
        assert first["References"] == "<alert-1@mail.test>"
        assert end["References"] == "<alert-1@mail.test> <alert-2@mail.test>"

    def test_has_the_figures_as_text(self, mail_server: MailServer) -> None:
        title, figures, *_ = text_of(received(mail_server)).replace("\r", "").split("\n\n")

        assert title == "▲ High CPU Usage fires: gpu-1, 93.4 % (above 80 %)"
        assert figures == (
            "Value: 93.4 %\nCondition: above 80 %\nHost: gpu-1\nSeverity: warning\n"
            "Fires since: 2026-03-01 12:34:56 UTC\nFans fail <first>.\nRunbook: https://wiki.test/cpu?a=1&b=2\n"
            "Chart: http://monitor.test/dashboard/?alert=1"
        )

    def test_has_the_same_as_a_page_without_images_and_scripts(self, mail_server: MailServer) -> None:
        page = _Page(html_of(received(mail_server)))

        assert "Value\n93.4 %\nCondition\nabove 80 %\nHost\ngpu-1\n" in page.text
        assert "Fans fail <first>." in page.text
        assert page.links == ["http://monitor.test/dashboard/?alert=1", "https://wiki.test/cpu?a=1&b=2", PAGE]
        assert not page.tags & {"img", "script", "style", "link", "first"}

    def test_about_the_end_says_how_long_it_was(self, mail_server: MailServer) -> None:
        end = make_alert(state="resolved", started_at=AT - timedelta(minutes=12), ended_at=AT, value=70.0)
        text = text_of(received(mail_server, make_message(end)))

        assert "Fired at: 2026-03-01 12:22:56 UTC" in text
        assert "Duration: 12 minutes" in text

    def test_about_many_alerts_has_fifty_and_says_how_many_more(self) -> None:
        alerts = [make_alert(number, labels={"host": f"gpu-{number}"}) for number in range(1, 54)]
        email = email_at(make_message(*alerts))

        for content in (email.body, _Page(str(email.alternatives[0].content)).text):
            assert content.count("High CPU Usage fires") == 50
            assert "… and 3 more" in content
            assert content.count("each five minutes") == 5

    @pytest.mark.parametrize("kind", ["test", "heartbeat"])
    def test_without_alerts_says_what_it_is_for(self, mail_server: MailServer, kind: str) -> None:
        email = received(mail_server, make_message(kind=kind))

        assert len(text_of(email).strip().splitlines()) > 2
        assert email["References"] is None

    def test_has_no_line_break_in_its_subject(self, mail_server: MailServer) -> None:
        email = received(mail_server, make_message(make_alert(name="High\r\nBcc: eve@example.com\nCPU")))

        assert email["Subject"].strip().startswith("▲ High Bcc: eve@example.com CPU fires")
        assert email["Bcc"] is None


@pytest.mark.store
class TheTable:
    def test_has_the_last_hour_of_the_group_of_the_alert(self) -> None:
        samples = [
            SystemEvent(timestamp=AT - timedelta(minutes=minutes), host=host, cpu_percent=percent)
            for minutes in range(60)
            for host, percent in (("gpu-1", 90 - minutes), ("gpu-2", 5))
        ]
        Store(clock=lambda: AT).commit(samples)
        rows = email_at().body.partition("Mean CPU, each five minutes (UTC):\n")[2].splitlines()[:12]
        assert rows[0] == "  11:35  33 %"
        assert rows[-1] == "  12:30  88 %"
        assert len(rows) == 12

    def test_without_data_says_so(self) -> None:
        assert "No data in this hour." in email_at().body

    def test_of_a_metric_that_no_longer_exists_is_left_out(self) -> None:
        assert "five minutes" not in email_at(make_message(make_alert(metric="system.gone"))).body


class TheMailServer:
    def test_gets_the_password_after_starttls(self, starttls_server: MailServer) -> None:
        send_by(f"smtp://monitor:{quote(PASSWORD, safe='')}@127.0.0.1:{starttls_server.port}")

        assert len(starttls_server.emails) == 1

    def test_that_refuses_the_password_gets_no_message(self, starttls_server: MailServer) -> None:
        failed = failure(f"smtp://monitor:wr0ng@127.0.0.1:{starttls_server.port}")

        assert "535" in str(failed)
        assert "wr0ng" not in str(failed)
        assert failed.is_final

    def test_gets_messages_over_tls(self, tls_server: MailServer) -> None:
        send_by(f"smtps://127.0.0.1:{tls_server.port}")

        assert len(tls_server.emails) == 1

    def test_whose_certificate_is_not_trusted_gets_no_message(
        self, tls_server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SSL_CERT_FILE")

        assert "certificate" in str(failure(f"smtps://127.0.0.1:{tls_server.port}"))

    def test_without_starttls_gets_no_message_unless_it_may(self, mail_server: MailServer) -> None:
        failed = failure(f"smtp://127.0.0.1:{mail_server.port}")

        assert "?starttls=false" in str(failed)
        assert failed.is_final
        assert mail_server.emails == []

    @pytest.mark.parametrize(("reply", "is_final"), [("550 No such user", True), ("451 Try later", False)])
    def test_that_refuses_all_addresses_is_tried_again_only_for_a_temporary_reason(
        self, mail_server: MailServer, reply: str, is_final: bool
    ) -> None:
        mail_server.refused = {MARA: reply, NOAH: reply}
        failed = failure(f"smtp://127.0.0.1:{mail_server.port}?starttls=false")

        assert str(failed) == f"127.0.0.1 has refused {MARA} ({reply}); {NOAH} ({reply})"
        assert failed.is_final is is_final

    def test_that_refuses_some_addresses_is_not_tried_again(self, mail_server: MailServer) -> None:
        mail_server.refused = {MARA: "451 Try later"}
        failed = failure(f"smtp://127.0.0.1:{mail_server.port}?starttls=false")

        assert str(failed) == f"127.0.0.1 has refused {MARA} (451 Try later); others get the message"
        assert failed.is_final
        assert mail_server.recipients == [[NOAH]]

    @pytest.mark.parametrize(("reply", "is_final"), [("554 Spam", True), ("452 Disk full", False)])
    def test_that_refuses_the_message_is_tried_again_only_for_a_temporary_reason(
        self, mail_server: MailServer, reply: str, is_final: bool
    ) -> None:
        mail_server.data_reply = reply
        failed = failure(f"smtp://127.0.0.1:{mail_server.port}?starttls=false")

        assert str(failed) == f"127.0.0.1 has replied {reply}"
        assert failed.is_final is is_final

    def test_that_does_not_answer_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "SEND_SECONDS", 0.5)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            failed = failure(f"smtp://127.0.0.1:{silent.getsockname()[1]}")

        assert "timed out" in str(failed)
        assert not failed.is_final

    def test_whose_replies_take_too_long_together_is_tried_again(
        self, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server, "SEND_SECONDS", 1.0)
        mail_server.delay = 0.6
        failed = failure(f"smtp://127.0.0.1:{mail_server.port}?starttls=false")

        assert "timed out" in str(failed)
        assert not failed.is_final

    def test_that_sends_a_byte_now_and_then_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "SEND_SECONDS", 0.5)
        is_over = threading.Event()

        def dribble() -> None:
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.sendall(b"220 ready\r\n")
                while not is_over.wait(0.05):
                    connection.sendall(b"2")

        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=dribble)
            thread.start()
            failed = failure(f"smtp://127.0.0.1:{listening.getsockname()[1]}?starttls=false")
            is_over.set()
            thread.join()

        assert "timed out" in str(failed)
        assert not failed.is_final

    def test_that_is_not_there_is_tried_again(self) -> None:
        failed = failure(f"smtp://127.0.0.1:{services.free_port()}")

        assert "refused" in str(failed)
        assert not failed.is_final

    def test_must_be_set(self) -> None:
        with pytest.raises(SendFailed, match="set LLMMONITOR_SMTP_URL and LLMMONITOR_EMAIL_FROM") as caught:
            send(TO, MESSAGE)

        assert caught.value.is_final


class AStoredMessage:
    def test_is_delivered_with_its_id(self, mail_server: MailServer) -> None:
        add_channel(kind="email", settings={"to": [MARA]})
        stored = add_message(at=timezone.now())
        environment = read_environment().model_copy(
            update={"smtp_url": f"smtp://127.0.0.1:{mail_server.port}?starttls=false", "email_from": "m@mail.test"}
        )
        with override_settings(LLMMONITOR=environment):
            assert deliver("ops") == 1

        [email] = mail_server.emails
        assert email["Message-ID"] == f"<{stored.pk}@mail.test>"
        assert "Hot fires: h, 95 % (above 90 %)" in text_of(email)
        assert "Chart: http://127.0.0.1:8899/" in text_of(email)


class TheAddresses:
    @pytest.mark.parametrize("to", [[], [MARA] * 21, ["mara"], ["mara@example.com\nBcc: eve@example.com"]])
    def test_are_checked(self, to: list[str]) -> None:
        with pytest.raises(ValidationError):
            EmailSettings(to=to)

    def test_are_shown_with_their_number(self) -> None:
        assert (shown(TO), shown(EmailSettings(to=[MARA]))) == (f"{MARA} and 1 more", MARA)
