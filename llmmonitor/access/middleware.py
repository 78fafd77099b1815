"""The gate in front of every view: no page without `read`, no change from somebody else's page.

Closed by default: what is not marked (`login_not_required`, as Django's own login view is) needs the right to read. Views
of REST framework answer for themselves, with 401 and 403 as problems; one that a browser shows as a page sets
`is_page = True` and gets the redirect to the login, too. The Host header is checked by Django (`ALLOWED_HOSTS`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render

from llmmonitor.access import rights
from llmmonitor.access.identity import Identity, aidentify_request, identify_request
from llmmonitor.access.origin import SAFE_METHODS, is_foreign_call
from llmmonitor.access.permissions import refusal
from llmmonitor.access.problems import problem_response

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
        return answer_at_the_gate(request, identify_request(request)) if is_gated(view) else None

    async def _aprocess_view(self, request: HttpRequest, view: View, args: Any, kwargs: Any) -> HttpResponseBase | None:
        return answer_at_the_gate(request, await aidentify_request(request)) if is_gated(view) else None


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


def answer_at_the_gate(request: HttpRequest, identity: Identity) -> HttpResponse | None:
    """None for those who may read; else the login, or why signing in was not enough."""
    if rights.READ in identity.can:
        return None
    if identity.refused:
        return problem_response(401, "authentication_failed", identity.refused, {"WWW-Authenticate": "Bearer"})
    if identity.kind == "key":
        return problem_response(403, "permission_denied", refusal(identity, rights.READ))
    if identity.kind == "user":
        return render(request, "access/no_role.html", {"name": identity.name}, status=403)
    if request.method not in SAFE_METHODS:
        return problem_response(
            401, "not_authenticated", refusal(identity, rights.READ), {"WWW-Authenticate": "Bearer"}
        )
    return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({'next': request.get_full_path()})}")
