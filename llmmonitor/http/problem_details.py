"""Errors as `application/problem+json` (RFC 9457, Problem Details for HTTP APIs), for all responses but pages."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from django.http import Http404, JsonResponse

from llmmonitor.http.request_ids import current_request_id

CONTENT_TYPE = "application/problem+json"


class NotFound(Http404):
    """What a page is about does not exist. Its sentence is shown; that of another Http404 may hold paths of files."""


def problem_body(status: int, code: str, detail: str, **extras: Any) -> dict[str, Any]:
    """Return the body: `code` is for programs, `detail` is a sentence for people, `extras` are further members.

    Within a request it has the `request_id` that the log lines of the request have.
    """
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "code": code, "detail": detail, **extras}
    request_id = current_request_id.get()
    return body | {"request_id": request_id} if request_id else body


def problem_response(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> JsonResponse:
    """Return the error as a Django response. Views of REST framework raise exceptions instead."""
    return JsonResponse(problem_body(status, code, detail), status=status, content_type=CONTENT_TYPE, headers=headers)
