"""The pages, and the data of each as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from dashboard import parameters
from dashboard.overview import data, model_table, tiles
from llmmonitor.access.identity import identify_request
from metrics import catalogue
from metrics.queries.parameters import WINDOW_PARAMETERS
from metrics.queries.time.window import DEFAULT_RANGE, RANGES

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "llmmonitor_theme"


def theme_of(request: HttpRequest) -> str:
    """The theme that the visitor chose: rendered here, so that nothing flashes."""
    chosen = request.COOKIES.get(THEME_COOKIE, "auto")
    return chosen if chosen in THEMES else "auto"


def asked(request: HttpRequest, now: datetime) -> parameters.PageQuery:
    """What the address asks for."""
    names_window = any(request.GET.get(name) for name in WINDOW_PARAMETERS)
    return parameters.read(request.GET, now, DEFAULT_RANGE if names_window else data.default_range(now))


def page_data(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """The Overview's data, with what the visitor may do."""
    page = data.gather(asked(request, now), now)
    page["can"] = sorted(identify_request(request).rights)
    page["version"] = settings.VERSION
    page["first_event_url"] = request.build_absolute_uri("/track/inference")
    return page


@never_cache
@require_GET
@ensure_csrf_cookie
def overview_page(request: HttpRequest) -> HttpResponse:
    """`/`: is it healthy now?"""
    shown = page_data(request, timezone.now())
    has_gpu = any(host.get("gpu_count") for host in shown["hosts"]) or (
        shown["summary"].get("avg_gpu_utilization_percent") is not None
    )
    context = {
        "page": "overview",
        "theme": theme_of(request),
        "ranges": list(RANGES),
        "data": shown,
        "state": "full" if shown["has_events"] else "empty",
        "tiles": tiles.show(shown["summary"]),
        "models": model_table.model_rows(shown["models"]),
        "catalogue": catalogue_for_pages(),
        "has_gpu": has_gpu,
        "tile_specs": tiles.specs(),
        "series_specs": data.specs(),
        "filters": (("model", "Model"), ("provider", "Provider"), ("host", "Host")),
        "may_demo": "demo" in shown["can"],
    }
    return render(request, "dashboard/overview.html", context)


@never_cache
@require_GET
def overview_data(request: HttpRequest) -> JsonResponse:
    """What the page shows for other parameters: the same as a reload would."""
    return JsonResponse(page_data(request, timezone.now()))


@never_cache
@require_GET
def overview_figures(request: HttpRequest) -> JsonResponse:
    """The part of it that no tick carries."""
    now = timezone.now()
    return JsonResponse(data.figures(asked(request, now), now))


def catalogue_for_pages() -> dict[str, dict[str, Any]]:
    """What the scripts need of the catalogue: title, unit, help and the worse direction by name."""
    return {
        metric.name: {"title": metric.title, "unit": metric.unit, "help": metric.help, "worse": metric.worse}
        for metric in catalogue.ALL
    }
