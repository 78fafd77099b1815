"""The Connect page, its data as JSON, and the key that it makes."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dashboard.connect import data
from dashboard.connect.snippets import DEFAULT, KINDS, SERVICE
from dashboard.connect.unused_keys import KEY_NAME
from dashboard.page_context import page_context
from llmmonitor.access.identity import identify_request
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import Scope
from llmmonitor.access.permissions import CanManage
from metrics import queries


def page_data(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the page's data, with the rights of the visitor."""
    return data.figures(now) | {
        "position": asdict(queries.position()),
        "can": sorted(identify_request(request).rights),
        "version": settings.VERSION,
    }


@never_cache
@require_safe
@ensure_csrf_cookie
def connect_page(request: HttpRequest) -> HttpResponse:
    """`/dashboard/connect/`: how to send the first event, and what sends events now."""
    page = page_data(request, timezone.now())
    chosen = request.GET.get("kind", DEFAULT)
    url, with_key = data.address_of(request), data.needs_key(request)
    context = {
        **page_context(request, "connect", None),
        "data": page,
        "chosen": chosen if chosen in KINDS else DEFAULT,
        "panels": data.panels(url, with_key),
        "url": url,
        "with_key": with_key,
        "service": SERVICE,
        "may_demo": "demo" in page["can"],
        "may_manage": "manage" in page["can"],
    }
    return render(request, "dashboard/connect.html", context)


@never_cache
@require_safe
def connect_data(request: HttpRequest) -> JsonResponse:
    """Return the data of the page: the same data as a reload would show."""
    return JsonResponse(page_data(request, timezone.now()))


@never_cache
@require_safe
def connect_figures(request: HttpRequest) -> JsonResponse:
    """Return the part of the data that changes."""
    return JsonResponse(data.figures(timezone.now()))


@never_cache
@require_safe
def connect_arrived(request: HttpRequest) -> JsonResponse:
    """Return the first event since the position in the query, and the position to ask with the next time."""
    searched, start = (_number(request.GET.get(name, "")) for name in ("request", "start"))
    return JsonResponse(data.arrival(queries.Position(searched, start), timezone.now()))


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0


class KeyView(APIView):
    """Makes a key that may send events. Its token is in the response, and is not stored."""

    permission_classes = (CanManage,)
    throttle_classes = ()
    schema = None

    def post(self, request: Request) -> Response:
        """Create a key of the visitor."""
        user = request._request.user if isinstance(request._request.user, User) else None
        key, token = create_key(KEY_NAME, [Scope.INGEST], at=timezone.now(), created_by=user)
        return Response({"id": key.pk, "token": token}, status=201, headers={"Cache-Control": "no-store"})


@never_cache
@require_safe
def start_page(request: HttpRequest) -> HttpResponseRedirect:
    """`/dashboard/start/`, where a login link leads: the Connect page while there is no event, then the Overview."""
    return HttpResponseRedirect(reverse("overview" if queries.has_events() else "connect"))
