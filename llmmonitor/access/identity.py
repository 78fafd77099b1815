"""Who is asking, and what may they do? One answer for pages, API, WebSocket and whatever stands in front of Django.

The order is fixed: a presented `Authorization` decides, then a live session, then loopback, else nobody. A wrong key is
therefore refused on loopback, too; an expired session is no credential, so its owner is whoever they are without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any, Literal, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib import auth
from django.contrib.auth.middleware import get_user
from django.contrib.auth.models import User
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest, parse_cookie
from django.utils import timezone

from llmmonitor.access import rights
from llmmonitor.access.keys import KnownKey, find_key, is_cached
from llmmonitor.access.loopback import is_loopback
from llmmonitor.access.roles import role_of
from llmmonitor.infra.databases import close_failed_connections

P = ParamSpec("P")
T = TypeVar("T")
Kind = Literal["user", "key", "loopback", "anonymous"]


@dataclass(frozen=True)
class Identity:
    """Who it is and what they may do. `refused` says what is wrong with a credential that was presented."""

    kind: Kind
    name: str
    can: frozenset[str]
    id: int | None = None  # of the user or the key
    refused: str = ""

    @property
    def is_authenticated(self) -> bool:
        """Whether a person or a key stands behind it. REST framework and Django ask users this."""
        return self.kind in ("user", "key")

    @property
    def is_anonymous(self) -> bool:
        """The opposite, as Django's users have it."""
        return not self.is_authenticated


ANONYMOUS = Identity("anonymous", "", rights.NOTHING)


@dataclass(frozen=True)
class Connection:
    """What a request shows of where it comes from."""

    client: str | None
    server: str | None
    host: str
    header_names: tuple[str, ...]
    authorization: str | None


def identify(
    connection: Connection,
    *,
    session_user: Callable[[], User | None],
    key_of: Callable[[str, datetime], KnownKey | None],
    at: datetime,
) -> Identity:
    """The identity behind a connection. The two callables are asked only when what they know is needed."""
    if connection.authorization is not None:
        return _behind(connection.authorization, key_of, at)
    user = session_user()
    if user is not None:
        return Identity("user", user.get_username(), rights.of_role(role_of(user)), id=user.pk)
    if settings.LLMMONITOR.trust_loopback and is_loopback(
        connection.client, connection.server, connection.host, connection.header_names
    ):
        return Identity("loopback", "loopback", rights.LOOPBACK)
    return ANONYMOUS


def _behind(authorization: str, key_of: Callable[[str, datetime], KnownKey | None], at: datetime) -> Identity:
    token = bearer_token(authorization)
    if token is None:
        return Identity("anonymous", "", rights.NOTHING, refused="Send the key as `Authorization: Bearer llmm_…`.")
    key = key_of(token, at)
    if key is None:
        return Identity("anonymous", "", rights.NOTHING, refused="This key is unknown, revoked or expired.")
    return Identity("key", key.name, rights.of_scopes(key.scopes), id=key.id)


def bearer_token(authorization: str) -> str | None:
    """The token of a Bearer header; None for any other form."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


# From a Django request.


def identify_request(request: HttpRequest) -> Identity:
    """Who sent a Django request. Worked out once a request; may ask the database."""
    found: Identity | None = getattr(request, "_llmmonitor_identity", None)
    if found is None:
        found = identify(
            connection_of(request), session_user=lambda: _request_user(request), key_of=find_key, at=timezone.now()
        )
        request._llmmonitor_identity = found  # type: ignore[attr-defined]
    return found


def connection_of(request: HttpRequest) -> Connection:
    """What a Django request shows. Under ASGI from the scope, whose addresses are the connection's own."""
    scope = getattr(request, "scope", None)
    if scope is not None:
        return connection_of_scope(scope)
    meta = request.META
    return Connection(
        client=meta.get("REMOTE_ADDR"),
        server=meta.get("SERVER_NAME"),
        host=meta.get("HTTP_HOST") or meta.get("SERVER_NAME", ""),
        header_names=tuple(name.removeprefix("HTTP_") for name in meta if name.startswith("HTTP_")),
        authorization=meta.get("HTTP_AUTHORIZATION"),
    )


def _request_user(request: HttpRequest) -> User | None:
    # Not `request.user`: REST framework writes its own idea of the user there.
    if not hasattr(request, "session"):
        return None
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None


# From an ASGI scope.


def identify_scope(scope: dict[str, Any]) -> Identity:
    """Who is behind an ASGI scope, HTTP or WebSocket. May ask the database."""
    return identify(
        connection_of_scope(scope),
        session_user=lambda: _scope_user(scope),
        key_of=find_key,
        at=timezone.now(),
    )


async def aidentify_scope(scope: dict[str, Any]) -> Identity:
    """See identify_scope. Leaves the event loop only for one who shows a session or a key that is not cached."""
    possible = not needs_database(header(scope, b"authorization"), _session_key(scope) is not None)
    return await on_loop_if(possible, _identify_scope_anew, scope)


async def on_loop_if(possible: bool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The function's answer: worked out here on the event loop when that looks possible, else on a thread.

    It may prove impossible: what was in the cache a moment ago has expired, and Django's guard lets no query run on a
    loop. Then it is asked again on a thread. (So the function may be called twice.)
    """
    if possible:
        try:
            return function(*args, **kwargs)
        except SynchronousOnlyOperation:
            pass
    return await sync_to_async(function)(*args, **kwargs)


def _identify_scope_anew(scope: dict[str, Any]) -> Identity:
    # WebSockets share one thread that outlives them all: a connection that failed would fail for each of them for ever.
    close_failed_connections()
    return identify_scope(scope)


def needs_database(authorization: str | None, has_session: bool) -> bool:
    """Whether to say who it is takes more than the connection and the cache in memory."""
    if authorization is None:
        return has_session
    token = bearer_token(authorization)
    if token is None:
        return False
    return bool(settings.LLMMONITOR.redis_url) or not is_cached(token)


def connection_of_scope(scope: dict[str, Any]) -> Connection:
    """What an ASGI scope shows of its connection. A unix socket has no addresses."""
    client, server = scope.get("client"), scope.get("server")
    return Connection(
        client=str(client[0]) if client else None,
        server=str(server[0]) if server else None,
        # As Django does it: a client of old that sends no Host means the address it connected to.
        host=header(scope, b"host") or (str(server[0]) if server else ""),
        header_names=tuple(name.decode("latin1") for name, _ in scope.get("headers", ())),
        authorization=header(scope, b"authorization"),
    )


def header(scope: dict[str, Any], name: bytes) -> str | None:
    """A header's value; several of one name are joined, as HTTP says, so that none of them hides behind another."""
    values = [value.decode("latin1") for found, value in scope.get("headers", ()) if found.lower() == name]
    return ",".join(values) if values else None


def _session_key(scope: dict[str, Any]) -> str | None:
    cookies = header(scope, b"cookie")
    return parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME) if cookies else None


def _scope_user(scope: dict[str, Any]) -> User | None:
    key = _session_key(scope)
    if not key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    user = auth.get_user(request)
    return user if isinstance(user, User) and user.is_active else None
