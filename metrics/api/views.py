"""The base of the views that read."""

from __future__ import annotations

from datetime import UTC, datetime

from rest_framework.views import APIView

from llmmonitor.access.permissions import CanRead
from llmmonitor.access.throttles import ReadThrottle


def now() -> datetime:
    """The only clock of the reading views."""
    return datetime.now(UTC)


class ReadView(APIView):
    """A view for whoever may read."""

    permission_classes = [CanRead]
    throttle_classes = [ReadThrottle]
