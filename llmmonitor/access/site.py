"""The admin site: for the admin role alone, behind the one login page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.admin import AdminSite
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.decorators import method_decorator

from llmmonitor.access import rights
from llmmonitor.access.identity import identify_request
from llmmonitor.access.problems import problem_response


class MonitorAdminSite(AdminSite):
    """Django's admin, with roles for permissions."""

    site_header = site_title = "LLM Monitor"
    index_title = "Administration"
    enable_nav_sidebar = False  # lists of measurements need the width

    def has_permission(self, request: HttpRequest) -> bool:
        """Only admins. Loopback is nobody here, and a key that is sent along decides: its sender is no person."""
        identity = identify_request(request)
        return identity.kind == "user" and rights.MANAGE in identity.can

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Leads to the login page, which is throttled and logged; tells those who are signed in what they lack."""
        if self.has_permission(request):
            return HttpResponseRedirect("/admin/")
        if identify_request(request).kind == "key":
            detail = "The administration is a page for people; programs with a key use the API."
            return problem_response(403, "permission_denied", detail)
        if request.user.is_authenticated:
            return render(request, "access/not_admin.html", {"name": request.user.get_username()}, status=403)
        target = request.GET.get(REDIRECT_FIELD_NAME, "/admin/")
        return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({REDIRECT_FIELD_NAME: target})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """As everywhere: noted, and to the login page."""
        from llmmonitor.access.views import LogoutView

        response: HttpResponse = LogoutView.as_view()(request)
        return response
