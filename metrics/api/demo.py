"""`/demo`: add and remove demo data, for users who have not sent data yet."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.utils.timezone import now
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from llmmonitor.access.permissions import CanDemo, CanRead
from llmmonitor.access.throttles import ReadThrottle
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import describe, describe_get
from metrics.api.openapi.response_schemas import PROBLEMS
from metrics.traffic.demo import control
from metrics.traffic.sender import Sender


def own_sender(request: HttpRequest) -> Sender:
    """A sender to this server, at the address of its own end of the connection. The Host header is not used as an
    address, because the client chooses it."""
    host, port = (*(getattr(request, "scope", {}).get("server") or ()), None, None)[:2]
    if not host or not port:  # a socket file, or a test
        host, port = "127.0.0.1", settings.LLMMONITOR.port
    address = f"[{host}]" if ":" in host else host
    return Sender(f"http://{address}:{port}", host=request.get_host())


class DemoView(APIView):
    """Demo data."""

    throttle_classes = [ReadThrottle]

    def get_permissions(self) -> list[BasePermission]:
        """Reading the state needs the right to read, everything else the right to change demo data."""
        return [CanRead() if self.request.method in ("GET", "HEAD", "OPTIONS") else CanDemo()]

    @describe_get("State of the demo data", schemas.DEMO)
    def get(self, request: Request) -> Response:
        """`{"present", "running", "removing", "stopped", "progress_percent", "incident"}`.

        `stopped`: demo data was sent until the server ended or sending failed. A POST continues it.
        """
        return Response(control.state().as_dict())

    @describe(request=None, responses={202: schemas.DEMO, **PROBLEMS}, summary="Add demo data")
    def post(self, request: Request) -> Response:
        """Add a week of demo data, the newest first, and send new data each second. Has no effect if that is running.

        Before the last day, there are a fourteenth of the requests.
        """
        return Response(control.start(own_sender(request._request), at=now()).as_dict(), status=202)

    @describe(responses={200: schemas.DEMO, 202: schemas.DEMO, **PROBLEMS}, summary="Remove demo data")
    def delete(self, request: Request) -> Response:
        """Stop sending and remove all demo data. Returns the number of rows, or 202 if the removal continues."""
        state = control.remove(at=now()).as_dict()
        return Response(state, status=202 if state.get("removing") else 200)
