"""Hands an e-mail to the mail server of `LLMMONITOR_SMTP_URL`, within SEND_SECONDS."""

from __future__ import annotations

import smtplib
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend

from alerts.channels.deadline import Deadline, ended_at
from alerts.channels.failure import SendFailed
from alerts.channels.kind import SEND_SECONDS

PORTS = {"smtp": 587, "smtps": 465}
MAX_REASON = 300
PERMANENT = range(500, 600)  # replies of a server that would be the same the next time
LEAST_SECONDS = 0.1

# address -> reply of the server: its code and its text
Refused = dict[str, tuple[int, bytes]]


class _AcceptedForSome(Exception):
    """The server has accepted the message, but not for these addresses."""

    def __init__(self, refused: Refused) -> None:
        self.refused = refused
        super().__init__()


class _Connection(smtplib.SMTP):
    """A connection that waits for the replies of the server until SEND_SECONDS after its beginning, all together."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._deadline = Deadline(SEND_SECONDS)
        super().__init__(*arguments, **options)

    def getreply(self) -> tuple[int, bytes]:
        """Return the reply to a command."""
        if not self.sock:
            return super().getreply()
        self.sock.settimeout(max(LEAST_SECONDS, self._deadline.remaining))
        with ended_at(self._deadline, self):  # a time limit of the socket begins again with each byte
            try:
                reply = super().getreply()
            except smtplib.SMTPServerDisconnected:
                if not self._deadline.has_passed:
                    raise
        if self._deadline.has_passed:
            raise TimeoutError("timed out")
        return reply

    def sendmail(self, *arguments: Any, **options: Any) -> Refused:
        """Send a message. Raises _AcceptedForSome if an address was refused, which the method returns otherwise."""
        if refused := super().sendmail(*arguments, **options):
            raise _AcceptedForSome(refused)
        return {}


class _TLSConnection(_Connection, smtplib.SMTP_SSL):
    """The same, with TLS from the beginning."""


class _Backend(EmailBackend):
    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _TLSConnection if self.use_ssl else _Connection


def deliver(email: EmailMessage, url: str) -> None:
    """Hand the message to the mail server. Raises SendFailed with the reply of the server."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    email.connection = _Backend(
        host=host,
        port=parts.port or PORTS[parts.scheme],
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        use_ssl=parts.scheme == "smtps",
        use_tls=parts.scheme == "smtp" and parts.query != "starttls=false",
        timeout=SEND_SECONDS,
    )
    try:
        email.send()
    except _AcceptedForSome as error:
        # Not tried again: the other addresses would get the message each time.
        raise SendFailed(
            f"{host} has refused {_replies(error.refused)}; others get the message", is_final=True
        ) from None
    except smtplib.SMTPRecipientsRefused as error:
        is_final = all(code in PERMANENT for code, _ in error.recipients.values())
        raise SendFailed(f"{host} has refused {_replies(error.recipients)}", is_final=is_final) from None
    except smtplib.SMTPResponseException as error:
        reason = f"{host} has replied {_reply(error.smtp_code, error.smtp_error)}"
        raise SendFailed(reason, is_final=error.smtp_code in PERMANENT) from None
    except smtplib.SMTPNotSupportedError as error:
        reason = f"{host}: {error} LLMMONITOR_SMTP_URL with ?starttls=false sends without encryption."
        raise SendFailed(reason, is_final=True) from None
    except (OSError, smtplib.SMTPException) as error:
        raise SendFailed(f"{host} cannot be used: {str(error)[:MAX_REASON] or type(error).__name__}") from None


def _replies(refused: Refused) -> str:
    return "; ".join(f"{address} ({_reply(*reply)})" for address, reply in refused.items())[:MAX_REASON]


def _reply(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return " ".join(f"{code} {words}".split())[:MAX_REASON]
