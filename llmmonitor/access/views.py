"""Signing in and out."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.contrib.auth.views import LogoutView as DjangoLogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from llmmonitor.access.loginlink import redeem
from llmmonitor.access.noting import note
from llmmonitor.access.problems import problem_response
from llmmonitor.access.throttles import login_wait_seconds, refused_wait_seconds

BACKEND = "llmmonitor.access.roles.RoleBackend"


class LoginView(DjangoLoginView):
    """The login page. `next` leads to an address of this server or is not followed."""

    template_name = "access/login.html"
    redirect_authenticated_user = False

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Checks name and password, some times a minute for one address and one name."""
        wait_seconds = login_wait_seconds(request, request.POST.get("username", ""), time.time())
        if wait_seconds:
            return too_many_attempts(request, wait_seconds, target=self.get_redirect_url())
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """The form again, and a line in the audit log."""
        note(self.request, "failed to sign in", actor=str(form.data.get("username", "")))
        response: HttpResponse = super().form_invalid(form)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Signs in and goes on to `next`."""
        note(self.request, "signed in", actor=form.get_user().get_username())
        response: HttpResponse = super().form_valid(form)
        return response


@method_decorator(login_not_required, name="dispatch")
class LogoutView(DjangoLogoutView):
    """Signs out, by POST."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ends the session and leads to the login."""
        if request.user.is_authenticated:
            note(request, "signed out")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


@login_not_required
@never_cache
@require_GET
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """Signs in whoever holds a fresh link, and leads to `/`."""
    response = follow_link(request, token)
    response["Referrer-Policy"] = "no-referrer"  # the address holds the token, spent as it may be
    return response


def follow_link(request: HttpRequest, token: str) -> HttpResponse:
    """What opening a link is answered."""
    if is_ahead_of_click(request):
        return problem_response(403, "prefetch", "A login link is opened, not fetched ahead.")
    user = redeem(token, timezone.now())
    if user is not None:
        login(request, user, backend=BACKEND)
        note(request, "signed in by link")
    elif not request.user.is_authenticated:  # else it is a second click on the link that signed them in
        wait_seconds = refused_wait_seconds(request, time.time())
        if wait_seconds:
            return too_many_attempts(request, wait_seconds)
        message = "This link was used before or is older than 15 minutes; manage.py login-link prints another."
        return login_page(request, 410, message)
    return HttpResponseRedirect(resolve_url("/"))


def login_page(request: HttpRequest, status: int, message: str, target: str = "") -> HttpResponse:
    """The login page with a message, empty as it was at first."""
    context = {"form": AuthenticationForm(request), "message": message, "next": target}
    return render(request, "access/login.html", context, status=status)


def too_many_attempts(request: HttpRequest, wait_seconds: int, target: str = "") -> HttpResponse:
    """The login page for one who has to wait."""
    page = login_page(request, 429, f"Too many attempts. Try again in {wait_seconds} s.", target)
    page["Retry-After"] = str(wait_seconds)
    return page


def is_ahead_of_click(request: HttpRequest) -> bool:
    """Whether a browser loads this before anybody clicked, or as a part of some page: it says so in these headers."""
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or request.headers.get("X-Moz") or ""
    return "prefetch" in purpose or request.headers.get("Sec-Fetch-Dest", "document") != "document"


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's view for a form without its token: the login again, or a problem."""
    if request.path == resolve_url("login"):
        message = "The page was open for too long, or cookies are off. Please try again."
        if request.headers.get("Origin", "").startswith("https:") and not request.is_secure():
            message = "This server does not know that it is reached over HTTPS. Start it with LLMMONITOR_TLS=true."
        return login_page(request, 403, message, target=request.POST.get("next", ""))
    return problem_response(403, "csrf_failed", f"{reason or 'The form carries no valid token.'} Load the page again.")
