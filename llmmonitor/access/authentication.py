"""REST framework's side of identity: a key, a session, loopback, in this order. `identity.py` has decided before."""

from __future__ import annotations

import time
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from llmmonitor.access.identity import Identity, identify_request
from llmmonitor.access.throttles import refused_wait_seconds


class APIKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer llmm_…`. A presented credential decides: a wrong one is 401, wherever it comes from."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """The key's identity; None where no key was sent. Raises AuthenticationFailed, Throttled after too many."""
        identity = identify_request(request._request)
        if identity.refused:
            wait_seconds = refused_wait_seconds(request._request, time.time())
            if wait_seconds:
                raise Throttled(wait_seconds)
            raise AuthenticationFailed(identity.refused)
        return (identity, identity) if identity.kind == "key" else None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 says in WWW-Authenticate."""
        return "Bearer"


class PersonAuthentication(BaseAuthentication):
    """A person's session. What changes something needs the CSRF token, as in any of Django's forms."""

    def authenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """The signed-in user; None without one. Raises PermissionDenied when the CSRF token is missing or wrong."""
        identity = identify_request(request._request)
        if identity.kind != "user":
            return None
        check_csrf(request._request)
        return request._request.user, identity


class LoopbackAuthentication(BaseAuthentication):
    """Nobody signed in, on this machine."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """The identity of loopback, or None."""
        identity = identify_request(request._request)
        return (identity, identity) if identity.kind == "loopback" else None


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _never_called(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


def check_csrf(request: HttpRequest) -> None:
    """Raises PermissionDenied when an unsafe request of a signed-in person lacks its CSRF token."""
    check = _CsrfCheck(_never_called)
    check.process_request(request)
    reason = check.process_view(request, _never_called, (), {})
    if reason:
        _refuse(str(reason))


def _refuse(reason: str) -> NoReturn:
    raise PermissionDenied(
        f"{reason} Send the value of the cookie llmmonitor_csrf as the header X-CSRFToken, or use an API key.",
        code="csrf_failed",
    )
