"""REST framework's authentication classes, in the order of the settings: API key, session, loopback.

`identity.py` identifies the request; these classes translate its result.
"""

from __future__ import annotations

import time
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from llmmonitor.access.identity import Identity, identify_request
from llmmonitor.access.throttles import wrong_key_wait_seconds


class APIKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer llmm_…`. An invalid credential gets 401, also from loopback."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """Return the identity of the key; None without a credential. Raises AuthenticationFailed or Throttled."""
        identity = identify_request(request._request)
        if identity.error:
            wait_seconds = wrong_key_wait_seconds(request._request, time.time())
            if wait_seconds:
                raise Throttled(wait_seconds)
            raise AuthenticationFailed(identity.error)
        return (identity, identity) if identity.kind == "key" else None

    def authenticate_header(self, request: Request) -> str:
        """Return the WWW-Authenticate header of a 401."""
        return "Bearer"


class UserAuthentication(BaseAuthentication):
    """A login session. Unsafe methods need the CSRF token, as in Django's forms."""

    def authenticate(self, request: Request) -> tuple[Any, Identity] | None:
        """Return the user of the session; None without one. Raises PermissionDenied for a missing CSRF token."""
        identity = identify_request(request._request)
        if identity.kind != "user":
            return None
        check_csrf(request._request)
        return request._request.user, identity


class LoopbackAuthentication(BaseAuthentication):
    """A request from this machine without a credential."""

    def authenticate(self, request: Request) -> tuple[Identity, Identity] | None:
        """Return the identity of loopback, or None."""
        identity = identify_request(request._request)
        return (identity, identity) if identity.kind == "loopback" else None


class _CsrfCheck(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


def _unused_view(request: HttpRequest) -> HttpResponse:
    raise NotImplementedError


def check_csrf(request: HttpRequest) -> None:
    """Raise PermissionDenied if an unsafe request of a logged-in user lacks its CSRF token."""
    check = _CsrfCheck(_unused_view)
    check.process_request(request)
    reason = check.process_view(request, _unused_view, (), {})
    if reason:
        raise PermissionDenied(
            f"{reason} Send the value of the cookie llmmonitor_csrf as the header X-CSRFToken, or use an API key.",
            code="csrf_failed",
        )
