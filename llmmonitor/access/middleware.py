"""The access middleware: no page without the right to read, and no change requested by a page of another site.

By default, every view requires the right to read and counts as a read for the rate limit. Views marked with
`login_not_required` are exempt, as in Django's LoginRequiredMiddleware. Views of REST framework check access themselves
and respond with 401, 403 and 429 as problem details. If such a view has `is_page = True`, it is checked here, so that a
browser is redirected to the login page. Django checks the Host header (`ALLOWED_HOSTS`).
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render

from llmmonitor.access import rights
from llmmonitor.access.identity import Identity, call_inline_or_in_thread, identify_request, needs_database
from llmmonitor.access.origin import SAFE_METHODS, is_cross_site_change
from llmmonitor.access.permissions import denial
from llmmonitor.access.throttles import page_wait_seconds, wrong_key_wait_seconds
from llmmonitor.http.problem_details import problem_response

View = Callable[..., Any]


class AccessMiddleware:
    """Runs on the event loop under ASGI and in the request's thread under WSGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
            # Django would call a synchronous hook in a thread for each request.
            self.process_view: Callable[..., Any] = self._aprocess_view
        else:
            self.process_view = self._process_view

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Reject a cross-site change, or call the next middleware."""
        if self.is_async:
            return self._acall(request)
        response: HttpResponseBase = reject_cross_site_change(request) or self.get_response(request)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = reject_cross_site_change(request) or await self.get_response(request)
        return response

    def _process_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        return authorize_page(request, identify_request(request)) if is_checked_here(view) else None

    async def _aprocess_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        if not is_checked_here(view):
            return None
        return await call_inline_or_in_thread(
            not needs_thread(request), self._process_view, request, view, args, kwargs
        )


def reject_cross_site_change(request: HttpRequest) -> HttpResponse | None:
    """Return a 403 for a change that a page of another site requests, else None."""
    if request.method in SAFE_METHODS or not is_cross_site_change(
        request.method or "",
        request.META.get("HTTP_ORIGIN"),
        request.META.get("HTTP_SEC_FETCH_SITE"),
        request.get_host(),
        settings.CORS_ALLOWED_ORIGINS,
    ):
        return None
    return problem_response(
        403,
        "foreign_origin",
        "A page of another site sent this request. LLMMONITOR_CORS_ORIGINS lists the origins that may call the API.",
    )


def is_checked_here(view: View) -> bool:
    """Return whether the middleware checks access to the view, rather than the view itself."""
    return bool(getattr(view, "login_required", True) or getattr(getattr(view, "cls", None), "is_page", False))


def needs_thread(request: HttpRequest) -> bool:
    """Return whether the check needs the database or Redis, so that it must not run on the event loop."""
    if settings.LLMMONITOR.redis_url:
        return True
    return needs_database(request.META.get("HTTP_AUTHORIZATION"), settings.SESSION_COOKIE_NAME in request.COOKIES)


def authorize_page(request: HttpRequest, identity: Identity) -> HttpResponse | None:
    """Return None if the page may be shown, else the response that denies it: login, 401, 403 or 429."""
    at = time.time()
    if rights.READ in identity.rights:
        return throttled_response(page_wait_seconds(request, identity, at))
    if identity.error:
        return throttled_response(wrong_key_wait_seconds(request, at)) or problem_response(
            401, "authentication_failed", identity.error, {"WWW-Authenticate": "Bearer"}
        )
    if identity.kind == "key":
        return problem_response(403, "permission_denied", denial(identity, rights.READ))
    if identity.kind == "user":
        return render(request, "access/no_role.html", {"name": identity.name}, status=403)
    # A script that fetches data cannot use the login page. Only newer browsers send this header.
    is_fetch = request.META.get("HTTP_SEC_FETCH_DEST", "document") not in ("document", "iframe")
    if is_fetch or request.method not in SAFE_METHODS:
        return problem_response(401, "not_authenticated", denial(identity, rights.READ), {"WWW-Authenticate": "Bearer"})
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")


def throttled_response(wait_seconds: int) -> HttpResponse | None:
    """Return a 429 with Retry-After; None for 0 seconds."""
    if not wait_seconds:
        return None
    return problem_response(
        429, "throttled", f"Too many requests. Try again in {wait_seconds} s.", {"Retry-After": str(wait_seconds)}
    )
