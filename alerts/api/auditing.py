"""The audit log of what is done through the API."""

from __future__ import annotations

from rest_framework.request import Request

from alerts.rules.history import Author
from llmmonitor.access.audit import log_action
from llmmonitor.access.identity import identify_request


def author_of(request: Request) -> Author:
    """Return the user, or the key as `API key ops`."""
    identity = identify_request(request._request)
    if identity.kind == "user":
        return Author(identity.name, identity.id)
    return Author(f"API key {identity.name}")


def audit(request: Request, action: str, subject: str) -> None:
    """Record an action of the user or the key."""
    log_action(request._request, action, subject, actor=author_of(request).name)
