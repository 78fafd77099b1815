"""`/demo`: example data on and off, for whoever wants to see the pages before sending anything."""

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
    """Reaches the server that this request reached: at its own end of the connection, never by the name in the Host
    header, which whoever asks may choose."""
    host, port = (*(getattr(request, "scope", {}).get("server") or ()), None, None)[:2]
    if not host or not port:  # a socket file, or a test
        host, port = "127.0.0.1", settings.LLMMONITOR.port
    address = f"[{host}]" if ":" in host else host
    return Sender(f"http://{address}:{port}", host=request.get_host())


class DemoView(APIView):
    """Example data."""

    throttle_classes = [ReadThrottle]

    def get_permissions(self) -> list[BasePermission]:
        """Reading whether it runs is a read."""
        return [CanRead() if self.request.method in ("GET", "HEAD", "OPTIONS") else CanDemo()]

    @describe_get("Is there demo data?", schemas.DEMO)
    def get(self, request: Request) -> Response:
        """`{"present", "running", "progress_percent", "incident"}`."""
        return Response(control.state().as_dict())

    @describe(request=None, responses={202: schemas.DEMO, **PROBLEMS}, summary="Show demo data")
    def post(self, request: Request) -> Response:
        """Begin to fill in a day of example data, and go on sending. Asked twice, it runs once."""
        return Response(control.start(own_sender(request._request), at=now()).as_dict(), status=202)

    @describe(responses={200: schemas.DEMO, 202: schemas.DEMO, **PROBLEMS}, summary="Remove demo data")
    def delete(self, request: Request) -> Response:
        """Stop sending and remove all that is flagged as demo data; says how much, or that it goes on (202)."""
        state = control.remove(at=now()).as_dict()
        return Response(state, status=202 if state.get("removing") else 200)
