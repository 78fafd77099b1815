"""The Overview page, and its data as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboard.alert_words import in_utc
from dashboard.overview import data, model_table, tiles
from dashboard.page_context import page_context
from dashboard.page_query import PageQuery, read
from llmmonitor.access.identity import identify_request
from llmmonitor.http.problem_details import problem_response
from metrics import queries
from metrics.queries.parameters import WINDOW_PARAMETERS
from metrics.queries.time.window import DEFAULT_RANGE

MAX_SEARCH = 200  # characters


def query_of(request: HttpRequest, now: datetime) -> PageQuery:
    """Return the window and filters of the request."""
    names_window = any(request.GET.get(name) for name in WINDOW_PARAMETERS)
    return read(request.GET, now, DEFAULT_RANGE if names_window else data.default_range(now))


def page_data(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the Overview's data, with the rights of the visitor."""
    return data.gather(query_of(request, now), now) | {
        "can": sorted(identify_request(request).rights),
        "version": settings.VERSION,
        "first_event_url": request.build_absolute_uri(reverse("track-inference")),
    }


@never_cache
@require_safe
@ensure_csrf_cookie
def overview_page(request: HttpRequest) -> HttpResponse:
    """`/`: are the models healthy now?"""
    now = timezone.now()
    page = page_data(request, now)
    machines = (page["current"] or {}).get("hosts", ())
    has_gpu = any(host.get("gpu_count") or host.get("gpu_metrics") for host in machines) or (
        page["summary"].get("avg_gpu_utilization_percent") is not None
    )
    context = {
        **page_context(request, "overview"),
        "data": page,
        "sentence": {name: in_utc(text, now) for name, text in page["sentence"].items()},
        "state": "full" if page["has_events"] else "empty",
        "tiles": tiles.show(page["summary"]),
        "models": model_table.model_rows(page["models"], page["summary"]["total_requests"]),
        "has_gpu": has_gpu,
        "tile_specs": tiles.specs(),
        "series_specs": data.specs(),
        "may_demo": "demo" in page["can"],
    }
    return render(request, "dashboard/overview.html", context)


@never_cache
@require_safe
def overview_data(request: HttpRequest) -> JsonResponse:
    """Return the data of the page for other parameters: the same data as a reload would show."""
    return JsonResponse(page_data(request, timezone.now()))


@never_cache
@require_safe
def overview_figures(request: HttpRequest) -> JsonResponse:
    """Return the part of the data that ticks do not carry."""
    now = timezone.now()
    return JsonResponse(data.figures(query_of(request, now), now))


@never_cache
@require_safe
def overview_models(request: HttpRequest) -> HttpResponse:
    """Return the rows of the table of models whose names contain `search`."""
    now = timezone.now()
    return _search(request, lambda query, text: data.search_models(query, text, now), now)


@never_cache
@require_safe
def filter_choices(request: HttpRequest) -> HttpResponse:
    """Return the choices of each filter that contain `search`."""
    now = timezone.now()
    return _search(request, lambda query, text: queries.choices(query.window, now, search=text), now)


def _search(request: HttpRequest, read: Callable[[PageQuery, str], dict[str, Any]], now: datetime) -> HttpResponse:
    try:
        return JsonResponse(read(query_of(request, now), request.GET.get("search", "")[:MAX_SEARCH]))
    except queries.QueryStopped as error:
        return problem_response(503, error.code, str(error), {"Retry-After": "3"})
