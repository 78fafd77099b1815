"""The authentication schemes in the OpenAPI description. drf-spectacular registers the classes on import."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class APIKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """An API key, sent as a bearer token."""

    target_class = "llmmonitor.access.authentication.APIKeyAuthentication"
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key, `llmm_…`: `manage.py create-key`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """The session cookie of a logged-in user."""

    target_class = "llmmonitor.access.authentication.UserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": (
                f"The cookie of a signed-in user. Changes need the value of the cookie {settings.CSRF_COOKIE_NAME} "
                "as the header X-CSRFToken."
            ),
        }


class LoopbackScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """No credential, on the server's own machine. OpenAPI has no scheme for this, so the requirement is empty."""

    target_class = "llmmonitor.access.authentication.LoopbackAuthentication"
    name: list[str] = []

    def get_security_definition(self, auto_schema: Any) -> list[Any]:
        return []

    def get_security_requirement(self, auto_schema: Any) -> dict[str, Any]:
        return {}
