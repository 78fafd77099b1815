"""What the Connect page reads while it waits for an event, and the key that it makes."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseRedirect, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from dashboard.connect import page
from dashboard.connect.unused_keys import KEY_NAME
from llmmonitor.access.keys import create_key
from llmmonitor.access.models import Scope
from llmmonitor.access.permissions import CanManage
from metrics import queries


@never_cache
@require_safe
def connect_arrived(request: HttpRequest) -> JsonResponse:
    """Return the first event since the position in the query, and the position for the next call."""
    searched, start = (_number(request.GET.get(name, "")) for name in ("request", "start"))
    return JsonResponse(page.arrival(queries.Position(searched, start), timezone.now()))


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
    return HttpResponseRedirect(reverse("overview-page" if queries.has_events() else "connect-page"))
