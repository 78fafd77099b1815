"""The gate in front of every view: no page without `read`, no change from somebody else's page.

Closed by default: what is not marked (`login_not_required`, as Django's own login view is) needs the right to read, and
counts as a read for the rate limit. Views of REST framework answer for themselves, with 401, 403 and 429 as problems;
one that a browser shows as a page sets `is_page = True` and gets the redirect to the login, too. The Host header is
checked by Django (`ALLOWED_HOSTS`).
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
from llmmonitor.access.identity import Identity, identify_request, needs_database, on_loop_if
from llmmonitor.access.origin import SAFE_METHODS, is_foreign_call
from llmmonitor.access.permissions import refusal
from llmmonitor.access.problems import problem_response
from llmmonitor.access.throttles import page_wait_seconds, refused_wait_seconds

View = Callable[..., Any]


class AccessMiddleware:
    """See the module. Runs on the event loop or on a thread, whichever the server is."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
            # Django would call a sync hook on a thread, once a request.
            self.process_view: Callable[..., Any] = self._aprocess_view
        else:
            self.process_view = self._process_view

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answers itself, or passes on."""
        if self.is_async:
            return self._acall(request)
        response: HttpResponseBase = refuse_foreign_call(request) or self.get_response(request)
        return response

    async def _acall(self, request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase = refuse_foreign_call(request) or await self.get_response(request)
        return response

    def _process_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        return authorize_page(request, identify_request(request)) if is_gated(view) else None

    async def _aprocess_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        if not is_gated(view):
            return None
        return await on_loop_if(not needs_thread(request), self._process_view, request, view, args, kwargs)


def refuse_foreign_call(request: HttpRequest) -> HttpResponse | None:
    """A 403 for a change that somebody else's page asks for; None for everything else."""
    if request.method in SAFE_METHODS or not is_foreign_call(
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
        "This call comes from a page of another site. LLMMONITOR_CORS_ORIGINS lists the origins that may call.",
    )


def is_gated(view: View) -> bool:
    """Whether the middleware answers for the view, rather than the view for itself."""
    return bool(getattr(view, "login_required", True) or getattr(getattr(view, "cls", None), "is_page", False))


def needs_thread(request: HttpRequest) -> bool:
    """Whether the gate's answer takes a database or a cache that is not in memory."""
    if settings.LLMMONITOR.redis_url:
        return True
    return needs_database(request.META.get("HTTP_AUTHORIZATION"), settings.SESSION_COOKIE_NAME in request.COOKIES)


def authorize_page(request: HttpRequest, identity: Identity) -> HttpResponse | None:
    """None for those who may read; else the login, or why signing in was not enough."""
    at = time.time()
    if rights.READ in identity.can:
        return too_many(page_wait_seconds(request, identity, at))
    if identity.refused:
        return too_many(refused_wait_seconds(request, at)) or problem_response(
            401, "authentication_failed", identity.refused, {"WWW-Authenticate": "Bearer"}
        )
    if identity.kind == "key":
        return problem_response(403, "permission_denied", refusal(identity, rights.READ))
    if identity.kind == "user":
        return render(request, "access/no_role.html", {"name": identity.name}, status=403)
    # A script that fetches data has no use for the login page; only browsers send this header, and old ones do not.
    is_fetched = request.META.get("HTTP_SEC_FETCH_DEST", "document") not in ("document", "iframe")
    if is_fetched or request.method not in SAFE_METHODS:
        return problem_response(
            401, "not_authenticated", refusal(identity, rights.READ), {"WWW-Authenticate": "Bearer"}
        )
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")


def too_many(wait_seconds: int) -> HttpResponse | None:
    """A 429 that says when to come back; None for 0 seconds."""
    if not wait_seconds:
        return None
    return problem_response(
        429, "throttled", f"Too many calls. Try again in {wait_seconds} s.", {"Retry-After": str(wait_seconds)}
    )
