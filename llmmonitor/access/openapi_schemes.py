"""The ways in, as the OpenAPI description tells them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A program's key."""

    target_class = "llmmonitor.access.authentication.APIKeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """A bearer token."""
        return {"type": "http", "scheme": "bearer", "description": "An API key, `llmm_…`: `manage.py create-key`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A person's session."""

    target_class = "llmmonitor.access.authentication.PersonAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        """A cookie; what changes something sends X-CSRFToken, too."""
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": f"After signing in. Changes need {settings.CSRF_COOKIE_NAME} as the header X-CSRFToken.",
        }


class LoopbackScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Nothing at all, on the server's own machine."""

    target_class = "llmmonitor.access.authentication.LoopbackAuthentication"
    name: list[str] = []

    def get_security_definition(self, auto_schema: Any) -> list[Any]:
        """No scheme: the description has none for where a connection comes from."""
        return []

    def get_security_requirement(self, auto_schema: Any) -> dict[str, Any]:
        """An empty requirement: it is possible without."""
        return {}
