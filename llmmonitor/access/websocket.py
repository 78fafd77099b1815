"""Check whether a WebSocket may be opened. Django's middleware does not run for WebSockets, so it is checked here.

A browser lets any page open a WebSocket to any address and sends its cookies. Without the check of the Origin, any page
could read the live stream of its visitor. A WebSocket outlives its handshake, so the consumer repeats the check every
few seconds: a revoked key or a logout then closes the WebSocket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from llmmonitor.access import rights
from llmmonitor.access.connection import connection_of_scope, header
from llmmonitor.access.identity import Identity, aidentify_scope
from llmmonitor.access.origin import is_foreign_origin

FORBIDDEN_STATUS = 403
SIGNED_OUT_CODE = 4401
NOT_ALLOWED_CODE = 4403


@dataclass(frozen=True)
class Denied:
    """Why the WebSocket is denied.

    With `status`, reject the handshake: close before accepting, and the server responds with 403. With `code`, accept
    and then close with the code, because a page can read the code only of an open WebSocket.
    """

    reason: str
    status: int | None = None
    code: int | None = None


async def acheck_handshake(scope: dict[str, Any]) -> Identity | Denied:
    """Return the identity that may open the WebSocket, or why it is denied. Queries the database in a thread."""
    return check_host_and_origin(scope) or check_right_to_read(await aidentify_scope(scope))


def check_host_and_origin(scope: dict[str, Any]) -> Denied | None:
    """Deny a Host that is not allowed (DNS rebinding) and a page of another site."""
    host = connection_of_scope(scope).host
    name, _ = split_domain_port(host)
    if not name or not validate_host(name, settings.ALLOWED_HOSTS):
        return Denied("The Host is not one of LLMMONITOR_ALLOWED_HOSTS.", status=FORBIDDEN_STATUS)
    origin = header(scope, b"origin")
    if origin is not None and is_foreign_origin(origin, host, settings.CORS_ALLOWED_ORIGINS):
        return Denied("The Origin is not one of LLMMONITOR_CORS_ORIGINS.", status=FORBIDDEN_STATUS)
    return None


def check_right_to_read(identity: Identity) -> Identity | Denied:
    """Return the identity if it may read."""
    if rights.READ in identity.rights:
        return identity
    if identity.is_authenticated:
        return Denied(f"Required: {rights.REQUIRED[rights.READ]}.", code=NOT_ALLOWED_CODE)
    return Denied(identity.error or "Signed out.", code=SIGNED_OUT_CODE)
