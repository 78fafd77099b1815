"""The page of one request, its drawer, and the search, which the scripts of the Requests page call."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboard.page_views import page_urls, reading_of, rendered
from dashboard.requests.detail import detail
from dashboard.requests.page import DETAIL, list_query
from dashboard.requests.search import parse
from llmmonitor.http.problem_details import NotFound, problem_response
from metrics.queries.read.filters import promoted_tags

MAX_SEARCH = 400  # characters
GONE = "There is no request {}. It may be older than the retention."


@never_cache
@require_safe
@ensure_csrf_cookie
def request_page(request: HttpRequest, number: int) -> HttpResponse:
    """The page of one request."""
    shown = detail(number)
    if shown is None:
        raise NotFound(GONE.format(number))
    reading = reading_of(request, DETAIL, timezone.now())
    return rendered(request, DETAIL, reading, **shown, list_query=list_query(request.GET))


@never_cache
@require_safe
def request_drawer(request: HttpRequest, number: int) -> HttpResponse:
    """Return the same part of HTML that the page of the request has."""
    shown = detail(number)
    if shown is None:
        return problem_response(404, "not_found", GONE.format(number))
    return JsonResponse({"html": render_to_string("requests/detail.html", shown)})


@never_cache
@require_safe
def parse_search(request: HttpRequest) -> HttpResponse:
    """Return what the text of the search means: the parameters to set, and what was not understood."""
    parsed = parse(request.GET.get("text", "")[:MAX_SEARCH], promoted_tags())
    return JsonResponse({"parameters": parsed.parameters, "problems": parsed.problems})


urlpatterns: list[URLPattern] = [
    path("dashboard/requests/<int:number>/", request_page, name="request-page"),
    path("dashboard/data/requests/search", parse_search, name="requests-search"),
    path("dashboard/data/requests/<int:number>", request_drawer, name="request-drawer"),
    *page_urls(DETAIL)[1:],
]
