"""What the Overview searches for on the server, where the page has the busiest only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from dashboard.overview.page import PAGE, search_models
from dashboard.page_views import reading_of
from dashboard.reading import Reading
from llmmonitor.http.problem_details import problem_response
from metrics import queries

MAX_SEARCH = 200  # characters


@never_cache
@require_safe
def overview_models(request: HttpRequest) -> HttpResponse:
    """Return the rows of the table of models whose names contain `search`."""
    return _search(request, search_models)


@never_cache
@require_safe
def filter_choices(request: HttpRequest) -> HttpResponse:
    """Return the choices of each filter that contain `search`."""
    return _search(request, lambda reading, text: queries.choices(reading.window, reading.now, search=text))


def _search(request: HttpRequest, read: Callable[[Reading, str], dict[str, Any]]) -> HttpResponse:
    reading = reading_of(request, PAGE, timezone.now())
    try:
        return JsonResponse(read(reading, request.GET.get("search", "")[:MAX_SEARCH]))
    except queries.QueryStopped as error:
        return problem_response(503, error.code, str(error), {"Retry-After": "3"})
