"""Messages by e-mail, as text and HTML, through the mail server of the settings of the server."""

from __future__ import annotations

from datetime import datetime
from email.utils import parseaddr
from typing import Annotated

from django.conf import settings as django_settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.template.loader import render_to_string
from django.utils import timezone
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from alerts.channels.email.content import content_of
from alerts.channels.email.server import deliver
from alerts.channels.failure import SendFailed
from alerts.channels.kind import ChannelKind
from alerts.channels.message import Message

MAX_ADDRESSES = 20
MAX_SUBJECT = 200
MAX_REFERENCES = 20


def _address(value: str) -> str:
    try:
        validate_email(value)
    except ValidationError:
        raise ValueError("must be an e-mail address, such as mara@example.com.") from None
    return value


class EmailSettings(BaseModel):
    """to: the addresses that get each message, together."""

    model_config = ConfigDict(extra="forbid")

    to: list[Annotated[str, AfterValidator(_address)]] = Field(
        min_length=1, max_length=MAX_ADDRESSES, title="Addresses", description="They get each message together."
    )


def send(settings: EmailSettings, message: Message) -> None:
    """Send the message. Raises SendFailed."""
    environment = django_settings.LLMMONITOR
    if not environment.smtp_url or not environment.email_from:
        raise SendFailed("set LLMMONITOR_SMTP_URL and LLMMONITOR_EMAIL_FROM to send e-mail", is_final=True)
    deliver(email_of(message, environment.email_from, settings.to, timezone.now()), environment.smtp_url)


def email_of(message: Message, sender: str, to: list[str], now: datetime) -> EmailMultiAlternatives:
    """Return the e-mail. The same message has the same Message-ID; those of an alert refer to the same one."""
    content = content_of(message, now)
    domain = parseaddr(sender)[1].rpartition("@")[2]
    alerts = dict.fromkeys(alert.alert for alert in message.alerts if alert.alert is not None)
    headers = {"Message-ID": f"<{message.id}@{domain}>", "Auto-Submitted": "auto-generated"}
    if alerts:
        headers["References"] = " ".join(f"<alert-{number}@{domain}>" for number in list(alerts)[:MAX_REFERENCES])
    email = EmailMultiAlternatives(
        subject=" ".join(content["title"].split())[:MAX_SUBJECT],
        body=render_to_string("alerts/email/message.txt", content),
        from_email=sender,
        to=to,
        headers=headers,
    )
    email.attach_alternative(render_to_string("alerts/email/message.html", content), "text/html")
    return email


def shown(settings: EmailSettings) -> str:
    """Return the first address, and how many more there are."""
    more = len(settings.to) - 1
    return f"{settings.to[0]} and {more} more" if more else settings.to[0]


ABOUT = "Figures, the last hour and a link to the chart, to up to 20 addresses."
KIND = ChannelKind("email", "E-mail", ABOUT, EmailSettings, send, shown)
