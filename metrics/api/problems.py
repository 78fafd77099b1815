"""Errors as `application/problem+json` (RFC 9457): what went wrong, where, and what to do, with a code for programs."""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from rest_framework import exceptions
from rest_framework.response import Response

from llmmonitor.access.problem_details import CONTENT_TYPE, problem_body, problem_response
from llmmonitor.infra.disk_errors import MAY_NOT_WRITE, NO_ROOM
from llmmonitor.infra.throttled_log import log_throttled
from metrics.queries import BadQuery, QueryTooSlow

logger = logging.getLogger(__name__)

NO_STORE = "The store does not answer just now; try again."
NO_STORE_HEADERS = {"Retry-After": "2"}


class Problem(exceptions.APIException):
    """An error that a view raises: status, code, detail, and whatever helps to fix it."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **extras: Any
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.headers = headers or {}
        self.extras = extras


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """REST framework's hook: what an exception becomes. None lets it through as a server error."""
    found = _describe(error)
    if found is None:
        return None
    status, code, detail, headers, extras = found
    response = Response(problem_body(status, code, detail, **extras), status=status, headers=headers)
    response.content_type = CONTENT_TYPE
    return response


def _describe(error: Exception) -> tuple[int, str, str, dict[str, str], dict[str, Any]] | None:
    match error:
        case Problem():
            return error.status_code, error.code, str(error.detail), error.headers, error.extras
        case BadQuery():
            extras: dict[str, Any] = {"parameter": error.parameter}
            if error.allowed:
                extras["allowed"] = list(error.allowed)
            return 400, "bad_query", str(error.detail), {}, extras
        case QueryTooSlow():
            return 503, "query_too_slow", str(error), {"Retry-After": "3"}, {}
        case OperationalError() | InterfaceError():
            _log_store_error(error)
            return 503, "store_unavailable", NO_STORE, NO_STORE_HEADERS, {}
        case OSError() if error.errno in (*NO_ROOM, *MAY_NOT_WRITE):
            log_throttled(logger, "writing to the data directory", error)
            detail = f"The server's data directory cannot be written ({error.strerror})."
            return 503, "data_directory", detail, {"Retry-After": "3"}, {}
        case Http404():
            return 404, "not_found", str(error) or "There is nothing at this address.", {}, {}
        case PermissionDenied():
            return 403, "forbidden", str(error) or "This is not allowed.", {}, {}
        case exceptions.APIException():
            headers: dict[str, str] = {}
            if auth_header := getattr(error, "auth_header", None):
                headers["WWW-Authenticate"] = auth_header
            wait = getattr(error, "wait", None)
            if wait is not None:
                headers["Retry-After"] = str(max(1, int(wait)))
            detail = error.detail if isinstance(error.detail, str) else str(error.detail)
            return error.status_code, str(error.get_codes()), detail, headers, {}
    return None


def _log_store_error(error: BaseException) -> None:
    """To the operator alone, and not for each call: the database's own words name tables and paths."""
    log_throttled(logger, "asking the store", error)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler for addresses that nobody serves: a page for a person, a problem for programs."""
    if "text/html" in request.headers.get("Accept", ""):
        return render(request, "access/not_found.html", {"path": request.path[:200]}, status=404)
    return problem_response(404, "not_found", f"There is nothing at {request.path[:200]}; /docs lists what there is.")


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler for what no view has caught: the log has the traceback, the answer does not."""
    error = sys.exc_info()[1]
    if isinstance(error, (OperationalError, InterfaceError)):
        _log_store_error(error)
        if "text/html" in request.headers.get("Accept", ""):
            page = render(request, "access/no_store.html", status=503)
            page["Retry-After"] = NO_STORE_HEADERS["Retry-After"]
            return page
        return problem_response(503, "store_unavailable", NO_STORE, NO_STORE_HEADERS)
    return problem_response(500, "internal", "The server failed; its log says why.")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Django's handler for requests that it refuses to look at, such as a Host that is not ours."""
    if isinstance(exception, DisallowedHost):
        detail = (
            "This server does not answer to that name. LLMMONITOR_ALLOWED_HOSTS lists further names that it answers to."
        )
        return problem_response(400, "unknown_host", detail)
    return problem_response(400, "bad_request", "The request was refused: its form is not acceptable.")
