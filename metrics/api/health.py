"""`/health` and `/health/ready`: whether the process runs, and whether all its parts work."""

from __future__ import annotations

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llmmonitor import __version__
from llmmonitor.access.identity import identify_request
from metrics import readiness
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import describe


class HealthView(APIView):
    """Liveness."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @describe(responses={200: schemas.HEALTH}, summary="Is the process running?", auth=[])
    def get(self, request: Request) -> Response:
        """200 while the process runs. The database is not accessed."""
        return Response({"status": "ok", "version": __version__})


class ReadyView(APIView):
    """Readiness: the result of checks that ran at most two seconds ago."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @describe(responses=dict.fromkeys((200, 503), schemas.READY), summary="Do all parts of the server work?", auth=[])
    def get(self, request: Request) -> Response:
        """200 if every part works, else 503. Clients that may read get the status of each part."""
        report = readiness.current_report()
        shown = report if "read" in identify_request(request._request).rights else {"status": report["status"]}
        return Response(shown, status=200 if report["status"] == "ok" else 503)
