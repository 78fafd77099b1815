"""The base of the views that read."""

from __future__ import annotations

from rest_framework.views import APIView

from llmmonitor.access.permissions import CanRead
from llmmonitor.access.throttles import ReadThrottle


class ReadView(APIView):
    """A view for whoever may read."""

    permission_classes = [CanRead]
    throttle_classes = [ReadThrottle]
