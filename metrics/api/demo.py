"""`/demo`: example data on and off, for whoever wants to see the pages before sending anything."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from llmmonitor.access.permissions import CanDemo, CanRead
from llmmonitor.access.throttles import ReadThrottle
from metrics.api.views import now
from metrics.demo import control


class DemoView(APIView):
    """Example data."""

    throttle_classes: ClassVar[list[type[BaseThrottle]]] = [ReadThrottle]

    def get_permissions(self) -> list[BasePermission]:
        """Reading whether it runs is a read."""
        return [CanRead() if self.request.method in ("GET", "HEAD", "OPTIONS") else CanDemo()]

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="Is there demo data?")
    def get(self, request: Request) -> Response:
        """`{"present", "running", "progress_percent", "incident"}`."""
        return Response(control.state().as_dict())

    @extend_schema(request=None, responses={202: OpenApiTypes.OBJECT}, summary="Show demo data")
    def post(self, request: Request) -> Response:
        """Begin to fill in a day of example data, and go on sending. Asked twice, it runs once."""
        return Response(control.start(request.build_absolute_uri("/"), at=now()).as_dict(), status=202)

    @extend_schema(responses=OpenApiTypes.OBJECT, summary="Remove demo data")
    def delete(self, request: Request) -> Response:
        """Stop sending and remove all that is flagged as demo data; says how much that was."""
        return Response(control.remove(at=now()).as_dict())
