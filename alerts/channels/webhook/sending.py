"""Sends a message: one request, one response, of which only the status and the headers are read."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPException

from django.conf import settings as django_settings

from alerts.channels.addresses import why_refused
from alerts.channels.deadline import Deadline, ended_at
from alerts.channels.failure import SendFailed
from alerts.channels.kind import SEND_SECONDS
from alerts.channels.message import Message
from alerts.channels.payload import payload_of
from alerts.channels.webhook import template
from alerts.channels.webhook.connection import connect, resolve
from alerts.channels.webhook.headers import JSON, with_defaults
from alerts.channels.webhook.loops import TooLong
from alerts.channels.webhook.responses import failure_of
from alerts.channels.webhook.settings import WebhookSettings
from alerts.channels.webhook.signature import identifying_headers


def send(settings: WebhookSettings, message: Message) -> None:
    """Post the message. Raises SendFailed unless the receiver accepts it within SEND_SECONDS."""
    deadline, now = Deadline(SEND_SECONDS), datetime.now(UTC)
    body = _body_of(settings, message)
    agent = f"LLM-Monitor/{django_settings.VERSION}"
    headers = with_defaults(settings.header_values, {"User-Agent": agent, "Content-Type": JSON})
    headers |= identifying_headers(message.id, settings.signing_secret.get_secret_value(), int(now.timestamp()), body)
    status, response_headers = _post(settings, body, headers, deadline)
    if failure := failure_of(status, response_headers, settings.url.get_secret_value(), now):
        raise failure


def _body_of(settings: WebhookSettings, message: Message) -> bytes:
    try:
        return template.render(settings.body, message) if settings.body else payload_of(message)
    except TooLong as error:
        raise SendFailed(f"the template of the body cannot be used: {error}", is_final=True) from None


def _post(
    settings: WebhookSettings, body: bytes, headers: Mapping[str, str], deadline: Deadline
) -> tuple[int, Mapping[str, str]]:
    """Return the status and the headers of the response. Its content is not read."""
    from urllib3.exceptions import HTTPError

    target = settings.target
    addresses = resolve(target.host, target.port, deadline)
    _refuse(target.host, addresses, settings.allow_private)
    try:
        with closing(connect(target, addresses, deadline)) as connection, ended_at(deadline, connection):
            sent = {**headers, "Host": target.authority, "Connection": "close"}
            connection.request("POST", target.path, body, sent, preload_content=False)
            with closing(connection.getresponse()) as response:
                if deadline.has_passed:
                    raise TimeoutError  # the end of the connection looks like the end of the headers
                return response.status, response.headers
    except (OSError, HTTPError, HTTPException) as error:
        raise SendFailed(_in_words(error, target.authority, deadline)) from None


def _refuse(host: str, addresses: Sequence[str], allow_private: bool) -> None:
    """Raise SendFailed if any address of the host is one that nothing may be sent to."""
    for address in addresses:
        if why := why_refused(address, allow_private):
            is_what = f"is {why}" if host == address else f"has the address {address}, {why}"
            raise SendFailed(f"{host} {is_what}", is_final=True)


def _in_words(error: Exception, host: str, deadline: Deadline) -> str:
    """Return why there is no response, without the details of the request, which has secrets."""
    if deadline.has_passed or isinstance(error, TimeoutError):
        return f"{host} did not respond within {deadline.seconds:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate of {host} is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS connection to {host}: {error.reason or 'it was closed'}"
    cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
    reason = getattr(cause, "strerror", None) or "the connection was closed without a valid response"
    return f"no response from {host}: {reason}"
