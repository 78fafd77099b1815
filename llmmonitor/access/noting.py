"""A line of the audit log about a request: who, from where."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone

from llmmonitor.access import audit
from llmmonitor.access.identity import connection_of


def note(request: HttpRequest, action: str, subject: str = "", *, actor: str | None = None) -> None:
    """Notes that `actor` (by default the signed-in person) did `action` to `subject`, now."""
    actor = request.user.get_username() if actor is None else actor
    address = connection_of(request).client or ""
    audit.record(action, actor=actor, subject=subject, address=address, at=timezone.now())
