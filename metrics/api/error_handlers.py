"""Error responses of the server as `application/problem+json` (RFC 9457).

`exception_handler` is for REST framework's views. `bad_request`, `not_found` and `server_error` are Django's handlers
for everything else.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from django.core.exceptions import DisallowedHost, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from rest_framework import exceptions
from rest_framework.response import Response

from llmmonitor.http.problem_details import CONTENT_TYPE, NotFound, problem_body, problem_response
from llmmonitor.infra.disk_errors import MAY_NOT_WRITE, NO_ROOM
from llmmonitor.infra.throttled_log import log_throttled
from metrics.queries import BadQuery, QueryStopped

logger = logging.getLogger(__name__)

DATABASE_UNAVAILABLE = "The database is not available. Try again."
DATABASE_UNAVAILABLE_HEADERS = {"Retry-After": "2"}


class Problem(exceptions.APIException):
    """An error response that a view raises. `extras` are further members of its body."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None, **extras: Any
    ) -> None:
        super().__init__(detail, code)
        self.status_code = status
        self.code = code
        self.headers = headers or {}
        self.extras = extras


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response to an exception of a view. If it is None, REST framework raises the exception again."""
    problem = _as_problem(error)
    if problem is None:
        return None
    body = problem_body(problem.status_code, problem.code, str(problem.detail), **problem.extras)
    return Response(body, problem.status_code, headers=problem.headers, content_type=CONTENT_TYPE)


def _as_problem(error: Exception) -> Problem | None:
    match error:
        case Problem():
            return error
        case BadQuery():
            extras: dict[str, Any] = {"allowed": list(error.allowed)} if error.allowed else {}
            return Problem(400, "bad_query", str(error.detail), parameter=error.parameter, **extras)
        case QueryStopped():
            return Problem(503, error.code, str(error), {"Retry-After": "3"})
        case OperationalError() | InterfaceError():
            _log_database_error(error)
            return Problem(503, "store_unavailable", DATABASE_UNAVAILABLE, DATABASE_UNAVAILABLE_HEADERS)
        case OSError() if error.errno in (*NO_ROOM, *MAY_NOT_WRITE):
            log_throttled(logger, "writing to the data directory", error)
            detail = f"Cannot write to the server's data directory ({error.strerror}). The server's log has the path."
            return Problem(503, "data_directory", detail, {"Retry-After": "3"})
        case Http404():
            return Problem(404, "not_found", str(error) or "There is nothing at this address.")
        case PermissionDenied():
            return Problem(403, "forbidden", str(error) or "You do not have permission to do this.")
        case exceptions.UnsupportedMediaType():
            return Problem(415, "unsupported_media_type", "Content-Type must be application/json.")
        case exceptions.APIException():
            headers: dict[str, str] = {}
            if auth_header := getattr(error, "auth_header", None):
                headers["WWW-Authenticate"] = auth_header
            wait = getattr(error, "wait", None)
            if wait is not None:
                headers["Retry-After"] = str(max(1, int(wait)))
            return Problem(error.status_code, str(error.get_codes()), str(error.detail), headers)
    return None


def _log_database_error(error: BaseException) -> None:
    # Only in the log: the database's message may contain names of tables and paths.
    log_throttled(logger, "database query", error)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the response to what does not exist: a page for browsers, a problem for programs."""
    said = str(exception) if isinstance(exception, NotFound) else ""
    if "text/html" in request.headers.get("Accept", ""):
        context = {"path": request.path[:200], "said": said}
        return render(request, "access/not_found.html", context, status=404)
    detail = said or f"There is nothing at {request.path[:200]}. {reverse('docs')} lists the API."
    return problem_response(404, "not_found", detail)


def server_error(request: HttpRequest) -> HttpResponse:
    """Return the response to an uncaught exception. Only the log has the traceback."""
    error = sys.exc_info()[1]
    if isinstance(error, (OperationalError, InterfaceError)):
        _log_database_error(error)
        if "text/html" in request.headers.get("Accept", ""):
            page = render(request, "access/no_store.html", status=503)
            page["Retry-After"] = DATABASE_UNAVAILABLE_HEADERS["Retry-After"]
            return page
        return problem_response(503, "store_unavailable", DATABASE_UNAVAILABLE, DATABASE_UNAVAILABLE_HEADERS)
    return problem_response(500, "internal", "Internal server error. The server's log has the details.")


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Return the response to a request that Django rejects, such as one with an unknown Host header."""
    if isinstance(exception, DisallowedHost):
        detail = "The host name of this URL is not allowed. Add it to LLMMONITOR_ALLOWED_HOSTS on the server."
        return problem_response(400, "unknown_host", detail)
    return problem_response(400, "bad_request", "The request is malformed or was rejected for security reasons.")
