"""Searches on the server, where a page has the busiest only. Those of the filters' menus belong to all pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.page_query import read as read_query
from llmmonitor.http.problem_details import problem_response
from metrics import queries

MAX_SEARCH = 200  # characters


@never_cache
@require_safe
def filter_choices(request: HttpRequest) -> HttpResponse:
    """Return the choices of each filter that contain `search`."""
    now = timezone.now()
    window = read_query(request.GET, now).window
    return search_response(request, lambda text: queries.choices(window, now, search=text))


def search_response(request: HttpRequest, read: Callable[[str], dict[str, Any]]) -> HttpResponse:
    """Return what `read` returns for the text to search for, as JSON; 503 where reading takes too long."""
    try:
        return JsonResponse(read(request.GET.get("search", "")[:MAX_SEARCH]))
    except queries.QueryStopped as error:
        return problem_response(503, error.code, str(error), {"Retry-After": "3"})
