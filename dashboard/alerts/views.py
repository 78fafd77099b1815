"""The Alerts page, and its data as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from alerts.rules.words import SEVERITIES
from dashboard.alert_words import in_utc, subject_of
from dashboard.alerts import data
from dashboard.alerts.filters import FILTERS, STATES, AlertFilters, state_of
from dashboard.formatting import in_unit, threshold_text
from dashboard.page_context import page_context
from dashboard.page_query import PageQuery, read
from llmmonitor.access.identity import identify_request
from metrics.queries.read.filters import TAG_PREFIX


def query_of(request: HttpRequest, now: datetime) -> tuple[PageQuery, AlertFilters]:
    """Return the window and the filters of the request. Unknown states and severities are ignored."""
    query = read(request.GET, now, data.DEFAULT_RANGE)
    filters = AlertFilters(
        tuple(value for value in request.GET.getlist("state") if value in STATES),
        tuple(value for value in request.GET.getlist("severity") if value in SEVERITIES),
        query.filters.model,
        query.filters.host,
        {TAG_PREFIX + key: values for key, values in query.filters.tags.items()},
    )
    return query, filters


def page_data(request: HttpRequest, now: datetime) -> dict[str, Any]:
    """Return the page's data, with the rights of the visitor."""
    return data.gather(*query_of(request, now), now) | {
        "can": sorted(identify_request(request).rights),
        "version": settings.VERSION,
    }


@never_cache
@require_safe
@ensure_csrf_cookie
def alerts_page(request: HttpRequest) -> HttpResponse:
    """`/dashboard/alerts/`: what fires, what fired, and what may fire."""
    now = timezone.now()
    page = page_data(request, now)
    context = {
        **page_context(request, "alerts", FILTERS),
        "data": page,
        "sentence": {name: in_utc(text or "", now) for name, text in page["sentence"].items()},
        "alerts_in_words": [_in_words(alert, now) for alert in page["alerts"]],
        "may_demo": "demo" in page["can"],
        "may_manage": "manage" in page["can"],
    }
    return render(request, "dashboard/alerts.html", context)


def _in_words(alert: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Return a row of the table for a page without scripts."""
    begin = datetime.fromisoformat(alert["started_at"] or alert["since"])
    return {
        "name": alert["name"],
        "group": subject_of(alert["labels"]),
        "state": f"{alert['state']}, {state}" if (state := state_of(alert)) != alert["state"] else state,
        "since": in_utc(f"{begin:%Y-%m-%dT%H:%M:%SZ}", now),
        "value": in_unit(alert["value"], alert["unit"]),
        "threshold": threshold_text(alert["threshold"], alert["unit"]),
    }


@never_cache
@require_safe
def alerts_data(request: HttpRequest) -> JsonResponse:
    """Return the data of the page for other parameters: the same data as a reload would show."""
    return JsonResponse(page_data(request, timezone.now()))


@never_cache
@require_safe
def alerts_figures(request: HttpRequest) -> JsonResponse:
    """Return the part of the data that is of now."""
    now = timezone.now()
    return JsonResponse(data.figures(*query_of(request, now), now))
