"""`application/problem+json` (RFC 9457) for what is refused before a view of the API runs."""

from __future__ import annotations

from http import HTTPStatus

from django.http import JsonResponse


def problem_response(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JsonResponse:
    """A problem as a response, in the form that the API's own errors have."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)
