"""Identify the sender of a request, for pages, the API and WebSockets.

The order is fixed: an `Authorization` header, then a session, then loopback, else anonymous. An invalid key is
therefore rejected on loopback, too. An expired session is ignored.
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
from llmmonitor.access.connection import Connection, connection_of, connection_of_scope, header
from llmmonitor.access.keys import CachedKey, find_key, is_cached
from llmmonitor.access.loopback import is_loopback
from llmmonitor.access.roles import role_of
from llmmonitor.infra.databases import close_failed_connections

P = ParamSpec("P")
T = TypeVar("T")
Kind = Literal["user", "key", "loopback", "anonymous"]


@dataclass(frozen=True)
class Identity:
    """The sender of a request and the rights of the sender. `error` describes an invalid credential."""

    kind: Kind
    name: str
    rights: frozenset[str]
    id: int | None = None  # of the user or the key
    error: str = ""

    @property
    def is_authenticated(self) -> bool:
        """Whether it is a user or a key. REST framework and Django read this attribute of a user."""
        return self.kind in ("user", "key")

    @property
    def is_anonymous(self) -> bool:
        """The opposite of `is_authenticated`, as in Django's user model."""
        return not self.is_authenticated


ANONYMOUS = Identity("anonymous", "", rights.NO_RIGHTS)


def identify(
    connection: Connection,
    *,
    session_user: Callable[[], User | None],
    key_of: Callable[[str, datetime], CachedKey | None],
    at: datetime,
) -> Identity:
    """Return the identity behind a connection. The two callables are called only if their result is needed."""
    if connection.authorization is not None:
        return _identify_key(connection.authorization, key_of, at)
    user = session_user()
    if user is not None:
        return Identity("user", user.get_username(), rights.of_role(role_of(user)), id=user.pk)
    if settings.LLMMONITOR.trust_loopback and is_loopback(
        connection.client, connection.server, connection.host, connection.header_names
    ):
        return Identity("loopback", "loopback", rights.LOOPBACK)
    return ANONYMOUS


def _identify_key(authorization: str, key_of: Callable[[str, datetime], CachedKey | None], at: datetime) -> Identity:
    token = bearer_token(authorization)
    if token is None:
        return Identity("anonymous", "", rights.NO_RIGHTS, error="Send the key as `Authorization: Bearer llmm_…`.")
    key = key_of(token, at)
    if key is None:
        return Identity("anonymous", "", rights.NO_RIGHTS, error="This key is unknown, revoked or expired.")
    return Identity("key", key.name, rights.of_scopes(key.scopes), id=key.id)


def bearer_token(authorization: str) -> str | None:
    """Return the token of an `Authorization: Bearer` header; None for any other scheme."""
    scheme, _, token = authorization.strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


def identify_request(request: HttpRequest) -> Identity:
    """Identify the sender of a Django request, once per request. May query the database."""
    identity: Identity | None = getattr(request, "_llmmonitor_identity", None)
    if identity is None:
        identity = identify(
            connection_of(request), session_user=lambda: _request_user(request), key_of=find_key, at=timezone.now()
        )
        request._llmmonitor_identity = identity  # type: ignore[attr-defined]
    return identity


def _request_user(request: HttpRequest) -> User | None:
    # Not `request.user`, which REST framework overwrites.
    if not hasattr(request, "session"):
        return None
    user = get_user(request)
    return user if isinstance(user, User) and user.is_active else None


def identify_scope(scope: dict[str, Any]) -> Identity:
    """Identify the sender of an ASGI scope, HTTP or WebSocket. May query the database."""
    return identify(
        connection_of_scope(scope),
        session_user=lambda: _scope_user(scope),
        key_of=find_key,
        at=timezone.now(),
    )


async def aidentify_scope(scope: dict[str, Any]) -> Identity:
    """Identify the sender of an ASGI scope. Uses a thread only for a session or for a key that is not cached."""
    inline = not needs_database(header(scope, b"authorization"), _session_key(scope) is not None)
    return await call_inline_or_in_thread(inline, _identify_scope_on_open_connection, scope)


async def call_inline_or_in_thread(inline: bool, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` on the event loop if `inline`, else in a thread, and return its result.

    If the call on the event loop needs the database after all, because a cache entry has just expired, Django raises
    SynchronousOnlyOperation, and the function is called a second time, in a thread.
    """
    if inline:
        try:
            return function(*args, **kwargs)
        except SynchronousOnlyOperation:
            pass
    return await sync_to_async(function)(*args, **kwargs)


def _identify_scope_on_open_connection(scope: dict[str, Any]) -> Identity:
    # All WebSockets share one long-lived thread and its database connection, which Django closes only after requests.
    # If it has failed, it would fail for all of them.
    close_failed_connections()
    return identify_scope(scope)


def needs_database(authorization: str | None, has_session: bool) -> bool:
    """Return whether identifying the sender needs the database or Redis."""
    if authorization is None:
        return has_session
    token = bearer_token(authorization)
    if token is None:
        return False
    return bool(settings.LLMMONITOR.redis_url) or not is_cached(token)


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
