"""REST framework permissions, one for each right. 401 where signing in would help, 403 where it was not enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from llmmonitor.access import rights
from llmmonitor.access.identity import Identity, identify_request

if TYPE_CHECKING:  # importing it reads the settings, which name this module
    from rest_framework.views import APIView


class _Can(BasePermission):
    right: ClassVar[str]

    def has_permission(self, request: Request, view: APIView) -> bool:
        """True, or raises NotAuthenticated (401) or PermissionDenied (403) with what would be enough."""
        identity = identify_request(request._request)
        if self.right in identity.can:
            return True
        detail = refusal(identity, self.right)
        if identity.is_authenticated:
            raise PermissionDenied(detail)
        raise NotAuthenticated(detail)


def refusal(identity: Identity, right: str) -> str:
    """Why this identity may not, and what would be enough."""
    enough = rights.ENOUGH[right]
    match identity.kind:
        case "key":
            return f"The key {identity.name!r} may not do this; it takes {enough}."
        case "user":
            return f"{identity.name} may not do this; it takes {enough}."
    return f"Sign in at /login/, or send a key as `Authorization: Bearer llmm_…`: it takes {enough}."


class CanRead(_Can):
    """Pages, GET of the API, live stream, exports."""

    right = rights.READ


class CanIngest(_Can):
    """Sending events."""

    right = rights.INGEST


class CanOperate(_Can):
    """Acknowledge, silence, annotate, dismiss: for the views of alerts and annotations, once they are built."""

    right = rights.OPERATE


class CanDemo(_Can):
    """Demo data on and off."""

    right = rights.DEMO


class CanManage(_Can):
    """Everything that changes configuration: for the views of rules, channels, keys and prices, once they are built."""

    right = rights.MANAGE
