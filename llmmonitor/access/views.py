"""The views of login and logout."""

from __future__ import annotations

import time
from typing import Any

from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView as DjangoLoginView
from django.contrib.auth.views import LogoutView as DjangoLogoutView
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from llmmonitor.access.audit import log_action
from llmmonitor.access.login_link import redeem
from llmmonitor.access.throttles import login_wait_seconds, wrong_key_wait_seconds
from llmmonitor.http.problem_details import problem_response

BACKEND = "llmmonitor.access.roles.RoleBackend"


class LoginView(DjangoLoginView):
    """Django's login view, rate-limited and audited. `next` is ignored if it leads to another site."""

    template_name = "access/login.html"
    redirect_authenticated_user = False

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Check the rate limit, then the name and the password."""
        wait_seconds = login_wait_seconds(request, request.POST.get("username", ""), time.time())
        if wait_seconds:
            return too_many_attempts(request, wait_seconds, target=self.get_redirect_url())
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Record the failed login and show the form again."""
        log_action(self.request, "failed to sign in", actor=str(form.data.get("username", "")))
        response: HttpResponse = super().form_invalid(form)
        return response

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Record the login, log in and redirect to `next`."""
        log_action(self.request, "signed in", actor=form.get_user().get_username())
        response: HttpResponse = super().form_valid(form)
        return response


@method_decorator(login_not_required, name="dispatch")
class LogoutView(DjangoLogoutView):
    """Django's logout view, audited."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Record the logout, end the session and redirect to the login page."""
        if request.user.is_authenticated:
            log_action(request, "signed out")
        response: HttpResponse = super().post(request, *args, **kwargs)
        return response


@login_not_required
@never_cache
@require_GET  # not HEAD, because a link logs in once
def login_link(request: HttpRequest, token: str) -> HttpResponse:
    """Log in the user of a valid link and redirect to the start page."""
    response = follow_link(request, token)
    response["Referrer-Policy"] = "no-referrer"  # the URL contains the token
    return response


def follow_link(request: HttpRequest, token: str) -> HttpResponse:
    """Return the response to opening a login link."""
    if is_prefetch(request):
        return problem_response(403, "prefetch", "Open the login link in a browser. It cannot be prefetched.")
    user = redeem(token, timezone.now())
    if user is not None:
        login(request, user, backend=BACKEND)
        log_action(request, "signed in by link")
    elif not request.user.is_authenticated:  # otherwise, the link was opened twice by the user that it logged in
        wait_seconds = wrong_key_wait_seconds(request, time.time())
        if wait_seconds:
            return too_many_attempts(request, wait_seconds)
        message = "This link was already used or is older than 15 minutes. Run manage.py login-link to print another."
        return login_page(request, 410, message)
    return HttpResponseRedirect(settings.LOGIN_LINK_REDIRECT_URL)


def login_page(request: HttpRequest, status: int, message: str, target: str = "") -> HttpResponse:
    """Return the login page with an empty form and a message."""
    context = {"form": AuthenticationForm(request), "message": message, "next": target}
    return render(request, "access/login.html", context, status=status)


def too_many_attempts(request: HttpRequest, wait_seconds: int, target: str = "") -> HttpResponse:
    """Return the login page as a 429 with Retry-After."""
    page = login_page(request, 429, f"Too many attempts. Try again in {wait_seconds} s.", target)
    page["Retry-After"] = str(wait_seconds)
    return page


def is_prefetch(request: HttpRequest) -> bool:
    """Return whether the headers show that a browser loads this in advance, or as a part of a page."""
    purpose = request.headers.get("Sec-Purpose") or request.headers.get("Purpose") or request.headers.get("X-Moz") or ""
    return "prefetch" in purpose or request.headers.get("Sec-Fetch-Dest", "document") != "document"


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Respond to a failed CSRF check (`CSRF_FAILURE_VIEW`): the login page again, or a problem."""
    if request.path == settings.LOGIN_URL:
        message = "The page was open for too long, or cookies are disabled. Please try again."
        if request.headers.get("Origin", "").startswith("https:") and not request.is_secure():
            message = "This page was opened over HTTPS, but the server expects HTTP. Set LLMMONITOR_TLS=true."
        return login_page(request, 403, message, target=request.POST.get("next", ""))
    return problem_response(403, "csrf_failed", f"{reason or 'The form has no valid CSRF token.'} Reload the page.")
