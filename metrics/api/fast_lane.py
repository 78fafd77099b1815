"""The fast lane: posts to `/track/*` are handled in front of Django.

Django's middleware, URLs and views cost more than the ingest of one event. A post that is plain in every respect is
handled here by the functions that the views use, and the response has the headers of an earlier response of Django. All
other requests, and those that would be denied, are passed to Django with their bodies. So this module has no rule and
no error text of its own. `LLMMONITOR_FAST_LANE=false` turns it off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.core.exceptions import SynchronousOnlyOperation
from django.http.request import split_domain_port, validate_host

from llmmonitor.access import rights
from llmmonitor.access.connection import connection_of_scope
from llmmonitor.access.identity import Identity, identify_scope, needs_database
from llmmonitor.access.throttles import IngestThrottle
from llmmonitor.http.path_prefix import path_below_prefix
from llmmonitor.http.response_times import ROUTE
from metrics.api.renderers import dump
from metrics.api.sender import sender_of
from metrics.events import Kind
from metrics.ingest.body import JSON_TYPES, LINE_TYPES
from metrics.ingest.post import aingest

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

MAX_BODY_BYTES = 2**20  # Django keeps a larger body on disk until it is complete
KINDS = {f"/track/{kind}": kind for kind in Kind}
CONTENT_TYPES = frozenset(
    f"{media_type}{charset}".encode()
    for media_type in JSON_TYPES | LINE_TYPES
    for charset in ("", ";charset=utf-8", "; charset=utf-8", "; charset=UTF-8")
)
# A request with another header is passed to Django: Cookie, Origin, Sec-Fetch-Site, Expect, Transfer-Encoding,
# Content-Encoding. The headers that nginx, Caddy, Traefik, Envoy and the load balancers of AWS add are listed, because
# keys are sent through proxies; `identify_scope` checks those that name the sender of a request.
PLAIN_HEADERS = frozenset(
    [
        b"host", b"content-type", b"content-length", b"authorization", b"user-agent", b"accept", b"accept-encoding",
        b"accept-language", b"connection", b"keep-alive", b"traceparent", b"tracestate", b"x-forwarded-for",
        b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port", b"x-forwarded-server", b"x-real-ip",
        b"forwarded", b"via", b"x-request-id", b"x-amzn-trace-id", b"x-envoy-expected-rq-timeout-ms",
        b"x-envoy-external-address", b"x-envoy-internal", b"x-envoy-attempt-count",
    ]
)  # fmt: skip


def fast_lane(application: Any) -> Any:
    """Return an ASGI application that handles plain posts and passes other requests to `application`.

    Return `application` itself if the lane is off, or if Redis has the keys and the counters of the rate limit, because
    an event loop must not wait for it.
    """
    if not settings.LLMMONITOR.fast_lane or settings.LLMMONITOR.redis_url:
        return application
    # (path, whether a key was sent) -> headers of Django's response to a plain post. `Vary` depends on the key.
    django_headers: dict[tuple[str, bool], Headers] = {}

    async def handle(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        path = path_below_prefix(scope)
        kind = KINDS.get(path)
        headers = dict(scope["headers"])
        identity = _identity(scope, headers) if kind and scope["method"] == "POST" else None
        if kind is None or identity is None:
            await application(scope, receive, send)
            return
        like = path, b"authorization" in headers
        if like not in django_headers:
            await application(scope, receive, _keeping_headers(send, like, django_headers))
            return
        messages, body = await _read(receive, int(headers[b"content-length"]))
        again = _again(messages, receive)
        if body is None or IngestThrottle().count(identity, connection_of_scope(scope).client):
            await application(scope, again, send)
            return
        try:
            response = await aingest(
                kind, body, headers[b"content-type"].decode(), None, sender=sender_of(identity, kind)
            )
        except Exception:  # noqa: BLE001 - a failed commit stores nothing; the view reports the error
            await application(scope, again, send)
            return
        content = dump(response.payload)
        changed = {b"Content-Type": response.content_type.encode(), b"Content-Length": str(len(content)).encode()}
        all_headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        all_headers += [(name, changed.get(name, value)) for name, value in django_headers[like]]
        scope[ROUTE] = f"track-{kind}"
        await send({"type": "http.response.start", "status": response.status, "headers": all_headers})
        await send({"type": "http.response.body", "body": content})

    return handle


def _identity(scope: dict[str, Any], headers: dict[bytes, bytes]) -> Identity | None:
    """Return the sender of a plain request that may send events. Return None if Django has to decide."""
    length = headers.get(b"content-length", b"")
    if (
        len(headers) < len(scope["headers"])
        or not headers.keys() <= PLAIN_HEADERS
        or headers.get(b"content-type") not in CONTENT_TYPES
        or not (length.isdigit() and int(length) <= MAX_BODY_BYTES)
        or scope.get("query_string")
        or scope.get("root_path", "") != settings.LLMMONITOR.path_prefix
    ):
        return None
    # As HttpRequest.get_host, which raises DisallowedHost.
    domain, _ = split_domain_port(headers.get(b"host", b"").decode("latin1"))
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return None
    authorization = headers.get(b"authorization")
    try:
        if needs_database(authorization.decode("latin1") if authorization else None, has_session=False):
            return None
        identity = identify_scope(scope)
    except SynchronousOnlyOperation:  # the cached key has just expired
        return None
    return identity if rights.INGEST in identity.rights else None


def _keeping_headers(send: Send, like: tuple[str, bool], kept: dict[tuple[str, bool], Headers]) -> Send:
    """Return a `send` that keeps the headers of a response that ingest has written."""

    async def send_and_keep(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] in (200, 400, 422):
            headers: Headers = message["headers"]
            if not any(name.lower() == b"set-cookie" for name, _ in headers):
                kept[like] = headers
        await send(message)

    return send_and_keep


async def _read(receive: Receive, length: int) -> tuple[list[Message], bytes | None]:
    """Return the messages of the request, and its body; None if it does not have the length that its header names."""
    messages: list[Message] = []
    while True:
        message = await receive()
        messages.append(message)
        if message["type"] != "http.request":
            return messages, None
        if not message.get("more_body"):
            body = b"".join(part.get("body", b"") for part in messages)
            return messages, body if len(body) == length else None


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Return a `receive` that returns the messages again before it calls the other."""
    waiting = iter(messages)

    async def receive_again() -> Message:
        return next(waiting, None) or await receive()

    return receive_again
