"""May this WebSocket be opened? Django's middleware does not see WebSockets, so its checks are made here.

Browsers let any page open a WebSocket to any address and send cookies along: the Origin is checked, or every page on
the web could read the live stream of its visitor. A socket outlives the request that opened it: whoever keeps it open
asks again every few seconds, so that a revoked key and a person who signed out stop here, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from llmmonitor.access import rights
from llmmonitor.access.identity import Identity, aidentify_scope, connection_of_scope, header
from llmmonitor.access.origin import is_foreign_origin

FORBIDDEN_STATUS = 403
SIGNED_OUT_CODE = 4401
NOT_ALLOWED_CODE = 4403


@dataclass(frozen=True)
class Denied:
    """Why not.

    With `status`, refuse the handshake (close before accepting: the server answers 403); with `code`, accept and close
    with it, because a browser's page learns the code only from an open socket.
    """

    reason: str
    status: int | None = None
    code: int | None = None


async def acheck_handshake(scope: dict[str, Any]) -> Identity | Denied:
    """Who opens the socket, or why they may not. For the event loop; what asks the database leaves it."""
    return refuse_place(scope) or refuse_identity(await aidentify_scope(scope))


def refuse_place(scope: dict[str, Any]) -> Denied | None:
    """Refuses a Host that is not ours (a name rebound to this address) and a page of somebody else."""
    host = connection_of_scope(scope).host
    name, _ = split_domain_port(host)
    if not name or not validate_host(name, settings.ALLOWED_HOSTS):
        return Denied("The Host is not one of LLMMONITOR_ALLOWED_HOSTS.", status=FORBIDDEN_STATUS)
    origin = header(scope, b"origin")
    if origin is not None and is_foreign_origin(origin, host, settings.CORS_ALLOWED_ORIGINS):
        return Denied("The page is of another site; LLMMONITOR_CORS_ORIGINS lists who may.", status=FORBIDDEN_STATUS)
    return None


def refuse_identity(identity: Identity) -> Identity | Denied:
    """Passes on who may read."""
    if rights.READ in identity.can:
        return identity
    if identity.is_authenticated:
        return Denied(f"It takes {rights.ENOUGH[rights.READ]}.", code=NOT_ALLOWED_CODE)
    return Denied(identity.refused or "Signed out.", code=SIGNED_OUT_CODE)
