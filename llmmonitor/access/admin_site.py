"""The admin site, for the role admin only: its first page, and what its pages share."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.admin.widgets import AdminSplitDateTime
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.decorators import login_not_required
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.decorators import method_decorator

from llmmonitor.access import rights
from llmmonitor.access.identity import identify_request
from llmmonitor.http.problem_details import problem_response


class Task(NamedTuple):
    """What people come to do, with its place on the first page. A ModelAdmin with a `task` has a `task_count`."""

    order: int
    title: str
    sentence: str


class DateTimeWidget(AdminSplitDateTime):
    """Django's two fields for a time, each with a name for screen readers."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs)
        for widget, name in zip(self.widgets, ("Date", "Time"), strict=True):
            widget.attrs["aria-label"] = name


NAMED_TIMES: Any = {models.DateTimeField: {"form_class": forms.SplitDateTimeField, "widget": DateTimeWidget}}


class MonitorAdminSite(AdminSite):
    """Django's admin site, authorized by role."""

    site_header = site_title = "LLM Monitor"
    index_title = "Administration"
    site_url = settings.LOGIN_REDIRECT_URL  # with a slash at its end, also below a path prefix
    enable_nav_sidebar = False  # lists of measurements need the width

    def has_permission(self, request: HttpRequest) -> bool:
        """Return whether a logged-in admin sent the request. Loopback and API keys have no access."""
        identity = identify_request(request)
        return identity.kind == "user" and rights.MANAGE in identity.rights

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Render the first page: the tasks with their counts, then all other tables."""
        return super().index(request, self._tasks_and_tables(request) | (extra_context or {}))

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Render the page of an app: its tasks and its tables."""
        context = self._tasks_and_tables(request, app_label) | (extra_context or {})
        return super().app_index(request, app_label, context)

    def _tasks_and_tables(self, request: HttpRequest, app_label: str | None = None) -> dict[str, Any]:
        pages: dict[Any, Any] = {model: page for model, page in self._registry.items() if hasattr(page, "task")}
        tasks = [
            {
                "task": page.task,
                "count": page.task_count(),
                "opts": model._meta,
                "can_add": page.has_add_permission(request),
            }
            for model, page in sorted(pages.items(), key=lambda item: item[1].task.order)
            if app_label in (None, model._meta.app_label)
        ]
        apps = self.get_app_list(request, app_label)
        for app in apps:
            app["models"] = [entry for entry in app["models"] if entry["model"] not in pages]
        return {"tasks": tasks, "app_list": [app for app in apps if app["models"]]}

    @method_decorator(login_not_required)
    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Redirect to the login page, which is rate-limited and audited. Users and keys without the right get a 403."""
        if self.has_permission(request):
            return HttpResponseRedirect(reverse("admin:index"))
        if identify_request(request).kind == "key":
            return problem_response(
                403, "permission_denied", "The admin is for users. Programs with a key use the API."
            )
        if request.user.is_authenticated:
            return render(request, "access/not_admin.html", {"name": request.user.get_username()}, status=403)
        target = request.GET.get(REDIRECT_FIELD_NAME) or reverse("admin:index")
        return HttpResponseRedirect(f"{settings.LOGIN_URL}?{urlencode({REDIRECT_FIELD_NAME: target})}")

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Log out as `/logout/` does."""
        from llmmonitor.access.views import LogoutView

        response: HttpResponse = LogoutView.as_view()(request)
        return response


class ReadOnlyAdmin(ModelAdmin):
    """Admin pages of rows that only the server writes."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
