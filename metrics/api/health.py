"""`/health` and `/health/ready`: alive, and really working."""

from __future__ import annotations

import time
from typing import Any

from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llmmonitor import __version__
from llmmonitor.access.identity import identify_request
from metrics.api import answer_schema, readiness
from metrics.api.description import describe

KEPT_SECONDS = 2.0

# When it is out of date (on the monotonic clock) and what it says. Of this process alone: another's may work.
_report: tuple[float, dict[str, Any]] | None = None


class HealthView(APIView):
    """Alive: the process answers. Asks nothing of the store."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @describe(responses={200: answer_schema.HEALTH}, summary="Is the process alive?", auth=[])
    def get(self, request: Request) -> Response:
        """Always 200 while the process answers."""
        return Response({"status": "ok", "version": __version__})


class ReadyView(APIView):
    """Ready: a real query was answered and a real write was possible, at most two seconds ago."""

    authentication_classes = ()
    permission_classes = [AllowAny]
    throttle_classes = ()

    @describe(responses=dict.fromkeys((200, 503), answer_schema.READY), summary="Does it work?", auth=[])
    def get(self, request: Request) -> Response:
        """200 when every part works, else 503; the parts are shown to those who may read."""
        report = _newest_report()
        shown = report if "read" in identify_request(request._request).rights else {"status": report["status"]}
        return Response(shown, status=200 if report["status"] == "ok" else 503)


def _newest_report() -> dict[str, Any]:
    global _report
    kept = _report
    if kept is None or time.monotonic() >= kept[0]:
        report = readiness.check()
        _report = kept = time.monotonic() + KEPT_SECONDS, report
    return kept[1]
