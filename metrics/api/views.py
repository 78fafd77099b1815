"""The base of the views that read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

from rest_framework.permissions import BasePermission
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from llmmonitor.access.permissions import CanRead
from llmmonitor.access.throttles import ReadThrottle


def now() -> datetime:
    """The only clock of the reading views."""
    return datetime.now(UTC)


class ReadView(APIView):
    """A view for whoever may read."""

    permission_classes: ClassVar[list[type[BasePermission]]] = [CanRead]
    throttle_classes: ClassVar[list[type[BaseThrottle]]] = [ReadThrottle]
