"""Requests as a server hands them to the application: an ASGI scope whose addresses are the test's choice.

Django's own test client cannot say where the connection comes from and where it goes to, on which access depends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from django.test import Client

LOOPBACK = "127.0.0.1"
ELSEWHERE = "203.0.113.7"  # an address that documentation uses for "somebody"
HERE = "127.0.0.1:8899"
CSRF = "c" * 32


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@cache
def application() -> Any:
    return ASGIHandler()  # not get_asgi_application, which sets logging up anew, without caplog's handlers


def make_scope(
    method: str = "GET",
    path: str = "/",
    *,
    client: str | None = LOOPBACK,
    server: str | None = LOOPBACK,
    host: str | None = HERE,
    headers: Mapping[str, str] | None = None,
    kind: str = "http",
) -> dict[str, Any]:
    """A scope as daphne makes it. An address of None is a connection that has none."""
    path, _, query = path.partition("?")
    named = {"host": host, **(headers or {})}
    return {
        "type": kind,
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items() if value is not None],
        "client": (client, 51000) if client else None,
        "server": (server, 8899) if server else None,
    }


def send_request(
    method: str,
    path: str,
    *,
    body: bytes | Mapping[str, str | list[str]] = b"",
    headers: Mapping[str, str] | None = None,
    **where: Any,
) -> Reply:
    """One request and its whole answer. A mapping as body is a form; `where` goes to `make_scope`."""
    named = {name.lower(): value for name, value in (headers or {}).items()}
    if not isinstance(body, bytes):
        body = urlencode(body, doseq=True).encode()
        named.setdefault("content-type", "application/x-www-form-urlencoded")
    if body:
        named["content-length"] = str(len(body))
    # As Django's own client does: the test's transaction is to outlive the request.
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    try:
        return async_to_sync(_ask)(make_scope(method, path, headers=named, **where), body)
    finally:
        for signal in signals:
            signal.connect(close_old_connections)


async def _ask(scope: dict[str, Any], body: bytes) -> Reply:
    import asyncio

    sent: list[dict[str, Any]] = []
    given = False

    async def receive() -> dict[str, Any]:
        nonlocal given
        if given:
            await asyncio.Event().wait()  # until Django, done with the answer, stops listening for a disconnect
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application()(scope, receive, send)
    start = sent[0]
    headers: dict[str, str] = {}
    cookies: dict[str, str] = {}
    for raw_name, raw_value in start["headers"]:
        name, value = raw_name.decode().lower(), raw_value.decode()
        if name == "set-cookie":
            cookie, _, rest = value.partition("=")
            cookies[cookie] = rest
        else:
            headers[name] = value
    return Reply(start["status"], headers, cookies, b"".join(message.get("body", b"") for message in sent[1:]))


def bearer(token: str) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {token}"}


def session_of(user: User) -> dict[str, str]:
    """The headers of a browser in which `user` is signed in, and whose script sends the CSRF token."""
    browser = Client()
    browser.force_login(user)
    session = browser.cookies[settings.SESSION_COOKIE_NAME].value
    cookies = f"{settings.SESSION_COOKIE_NAME}={session}; {settings.CSRF_COOKIE_NAME}={CSRF}"
    return {"Cookie": cookies, "X-CSRFToken": CSRF}
