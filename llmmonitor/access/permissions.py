"""REST framework's permission classes, one for each right of `rights.py`.

A denied request gets 401 if no credential was sent, so that logging in may help, else 403.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from llmmonitor.access import rights
from llmmonitor.access.identity import Identity, identify_request

if TYPE_CHECKING:  # at run time, this import would be circular: it loads the settings, which import this module
    from rest_framework.views import APIView


class _HasRight(BasePermission):
    right: ClassVar[str]

    def has_permission(self, request: Request, view: APIView) -> bool:
        """Return True, or raise NotAuthenticated (401) or PermissionDenied (403)."""
        identity = identify_request(request._request)
        if self.right in identity.rights:
            return True
        detail = denial(identity, self.right)
        if identity.is_authenticated:
            raise PermissionDenied(detail)
        raise NotAuthenticated(detail)


def denial(identity: Identity, right: str) -> str:
    """Return the sentence that explains why access is denied and what is required."""
    required = rights.REQUIRED[right]
    match identity.kind:
        case "key":
            return f"The key {identity.name!r} may not do this. Required: {required}."
        case "user":
            return f"The user {identity.name} may not do this. Required: {required}."
    return f"Sign in at {settings.LOGIN_URL}, or send a key as `Authorization: Bearer llmm_…`. Required: {required}."


class CanRead(_HasRight):
    """Pages, GET of the API, live stream, exports."""

    right = rights.READ


class CanIngest(_HasRight):
    """Send events."""

    right = rights.INGEST


class CanOperate(_HasRight):
    """Acknowledge, silence, annotate, dismiss."""

    right = rights.OPERATE


class CanDemo(_HasRight):
    """Create and remove demo data."""

    right = rights.DEMO


class CanManage(_HasRight):
    """Change the configuration."""

    right = rights.MANAGE
