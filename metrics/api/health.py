"""`/health` and `/health/ready`: alive, and really working."""

from __future__ import annotations

from typing import Any

from django.core.cache import caches
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llmmonitor import __version__
from llmmonitor.access.identity import identify_request
from metrics import readiness
from metrics.api import answer_schema

CACHE_SECONDS = 2


class HealthView(APIView):
    """Alive: the process answers. Asks nothing of the store."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @extend_schema(responses={200: answer_schema.HEALTH}, summary="Is the process alive?", auth=[])
    def get(self, request: Request) -> Response:
        """Always 200 while the process answers."""
        return Response({"status": "ok", "version": __version__})


class ReadyView(APIView):
    """Ready: a real query was answered and a real write was possible, at most two seconds ago."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @extend_schema(responses=dict.fromkeys((200, 503), answer_schema.READY), summary="Does it work?", auth=[])
    def get(self, request: Request) -> Response:
        """200 when every part works, else 503; the parts are shown to those who may read."""
        cache = caches["default"]
        report: dict[str, Any] | None = cache.get("readiness")
        if report is None:
            report = readiness.check()
            cache.set("readiness", report, CACHE_SECONDS)
        shown = report if "read" in identify_request(request._request).can else {"status": report["status"]}
        return Response(shown, status=200 if report["status"] == "ok" else 503)
