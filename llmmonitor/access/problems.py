"""`application/problem+json` (RFC 9457): the form of every error that is not a page."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import JsonResponse

CONTENT_TYPE = "application/problem+json"


def problem_body(status: int, code: str, detail: str, **extras: Any) -> dict[str, Any]:
    """What went wrong: a code for programs, a sentence for people, and whatever else helps to fix it."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **extras}


def problem_response(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JsonResponse:
    """A problem as Django's own response, for what is answered outside REST framework's views."""
    return JsonResponse(problem_body(status, code, detail), status=status, content_type=CONTENT_TYPE, headers=headers)
