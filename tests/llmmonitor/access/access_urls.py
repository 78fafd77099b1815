"""Addresses for tests of the door: one view for each right, a page, and the real login."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llmmonitor.access import permissions
from llmmonitor.access.throttles import IngestThrottle


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


async def async_page(request: HttpRequest) -> HttpResponse:
    return HttpResponse("a page")


class _View(APIView):
    def get(self, request: Request) -> Response:
        return Response({"who": request.user.kind if hasattr(request.user, "kind") else request.user.get_username()})

    post = delete = get


def _for(right: Any, **attributes: Any) -> Any:
    return type("View", (_View,), {"permission_classes": [right], **attributes}).as_view()


urlpatterns = [
    path("", page),
    path("async", async_page),
    path("read", _for(permissions.CanRead)),
    path("ingest", _for(permissions.CanIngest, throttle_classes=[IngestThrottle])),
    path("operate", _for(permissions.CanOperate)),
    path("demo", _for(permissions.CanDemo)),
    path("manage", _for(permissions.CanManage)),
    path("read-page", _for(permissions.CanRead, is_page=True)),
    path("", include("llmmonitor.access.urls")),
    path("admin/", admin.site.urls),
]
