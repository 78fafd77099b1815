"""The views of a page: the page itself, its data as JSON, and its figures.

One function reads the data for the first rendering and for each change of the address, so that an update shows the same
as a reload. A table travels once: the first HTML has it rendered and not in the data beside it, and later it is sent
only where it differs from what the page has, which the header `Known-Tables` names.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from dashboard.chart_series import chart_series, series_before
from dashboard.page_context import page_context
from dashboard.page_query import read
from dashboard.page_spec import PageSpec
from dashboard.pages import PAGES
from dashboard.reading import HOSTS_SHOWN, Reading
from dashboard.sentence import Sentence, where_known
from dashboard.sentence_links import shown_sentence
from dashboard.tiles import describe_values, show, specs
from dashboard.view_query import view_query
from llmmonitor.access.identity import identify_request
from metrics import queries
from metrics.queries import SeriesSpec
from metrics.queries.parameters import WINDOW_PARAMETERS
from metrics.queries.time.window import DEFAULT_RANGE


def page_urls(spec: PageSpec) -> list[URLPattern]:
    """Return the addresses of a page: `<name>-page`, `<name>-data` and `<name>-figures`."""

    @never_cache
    @require_safe
    @ensure_csrf_cookie
    def page(request: HttpRequest) -> HttpResponse:
        return rendered(request, spec, reading_of(request, spec, timezone.now()))

    @never_cache
    @require_safe
    def data(request: HttpRequest) -> JsonResponse:
        return _json(request, page_data(request, spec, reading_of(request, spec, timezone.now())))

    @never_cache
    @require_safe
    def figures(request: HttpRequest) -> JsonResponse:
        return _json(request, page_figures(spec, reading_of(request, spec, timezone.now())))

    return [
        path(spec.path, page, name=spec.url_name),
        path(f"dashboard/data/{spec.name}", data, name=f"{spec.name}-data"),
        path(f"dashboard/data/{spec.name}/figures", figures, name=f"{spec.name}-figures"),
    ]


def rendered(request: HttpRequest, spec: PageSpec, reading: Reading, **more: Any) -> HttpResponse:
    """Return the page as HTML. `more`: further context of its template."""
    data = page_data(request, spec, reading)
    context = page_context(request, spec, PAGES) | {"data": data, "may_demo": "demo" in data["can"]}
    embedded = {name: value for name, value in data.items() if name != "tables"}
    if "tables" in data:
        embedded["table_versions"] = _versions(data["tables"])
    context["embedded"] = embedded
    context["view_query"] = view_query(request.GET)
    if "sentence" in data:
        context["sentence"] = shown_sentence(data["sentence"], reading.now)
    if spec.tiles:
        context |= {
            "values": describe_values(data["summary"], False, reading.query.span, reading.query.span_before),
            "tiles": show(spec.tiles, data["summary"]),
            "tile_specs": specs(spec.tiles),
        }
    return render(request, spec.template, context | more | spec.context(request, data, reading))


def _json(request: HttpRequest, data: dict[str, Any]) -> JsonResponse:
    """Return the data with the tables that the page does not have."""
    if "tables" in data:
        known = request.headers.get("Known-Tables", "").split()
        versions = {
            name: version for name, version in _versions(data["tables"]).items() if f"{name}:{version}" not in known
        }
        data = data | {"tables": {name: data["tables"][name] for name in versions}, "table_versions": versions}
    return JsonResponse(data)


def _versions(tables: dict[str, str]) -> dict[str, str]:
    return {name: hashlib.blake2b(html.encode(), digest_size=8).hexdigest() for name, html in tables.items()}


def reading_of(request: HttpRequest, spec: PageSpec, now: datetime) -> Reading:
    """Return a reading with the window and the filters of the request."""
    if spec.filters is None:
        return Reading(read(QueryDict(), now), now, request.GET)
    names_window = any(request.GET.get(name) for name in WINDOW_PARAMETERS)
    shared = request.GET.copy()
    for name in spec.own:
        shared.pop(name, None)
    return Reading(
        read(shared, now, DEFAULT_RANGE if names_window else spec.default_range(now)),
        now,
        request.GET,
        spec.figure_set,
    )


def page_data(request: HttpRequest, spec: PageSpec, reading: Reading) -> dict[str, Any]:
    """Return all data of the page, ready for JSON, with the rights of the visitor.

    Raises the errors of the store where it cannot be read at all.
    """
    data = page_figures(spec, reading)
    if spec.series:
        models = reading.model_names if any("model" in one.group_by for one in spec.series) else None
        if models is not None:
            data["models_known"] = reading.models_known
        data["history"] = reading.read(
            "The charts", lambda: chart_series(spec.series, reading, models=models, busiest=HOSTS_SHOWN)
        )
        if reading.query.compares and (compared := _compared(spec, reading)):
            data["before"] = reading.read(
                "The charts of the time before", lambda: series_before(compared, reading, models)
            )
    if spec.filters is not None:
        data["options"] = spec.options(reading)
    return data | {
        **spec.data(reading),
        "notices": reading.notices,
        "can": sorted(identify_request(request).rights),
        "version": settings.VERSION,
    }


def _compared(spec: PageSpec, reading: Reading) -> list[SeriesSpec]:
    """Return the series that are also read for the window before: those of requests where it has enough to compare."""
    return [
        one
        for one in spec.compared
        if one.metric.type != "inference" or reading.requests.summary.get("comparable") is not False
    ]


def page_figures(spec: PageSpec, reading: Reading) -> dict[str, Any]:
    """Return the part of the data that ticks do not carry. An open page reads it again every few seconds."""
    figures: dict[str, Any] = {
        "now": int(reading.now.timestamp() * 1000),
        "params": reading.query.as_dict(),
        "has_events": reading.has_events,
        "demo": {"present": queries.has_demo(), "stopped": queries.demo_has_stopped()},
    }
    if spec.filters is not None:
        figures["annotations"] = queries.annotations_of(reading.window, reading.filters)
    figures |= spec.figures(reading)
    if spec.series and "alerts" not in figures:
        figures["alerts"] = {"marks": reading.alerts.marks(one.metric.name for one in spec.series)}
    if not reading.requests_are_known and "sentence" in figures:
        figures["sentence"] = where_known(Sentence(**figures["sentence"]), False).as_dict()
    if spec.missing:
        known = reading.requests_are_known and not reading.filters.as_dict()
        figures["is_empty"] = known and spec.is_empty(figures)
    return figures | {"notices": reading.notices}
