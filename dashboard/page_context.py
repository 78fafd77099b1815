"""Template context that all pages share: the theme, the controls of the header and the metric catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import get_script_prefix, reverse

from alerts.rules.words import GLYPHS
from dashboard.page_query import FILTERS, tag_filters
from dashboard.page_spec import PageSpec
from metrics import catalogue, queries
from metrics.queries.time.window import DEFAULT_RANGE, RANGES

# The addresses that the scripts of a page use, as attributes of its <body>: attribute -> URL name and arguments.
ADDRESSES = {
    "home-url": ("overview-page",),
    "login-url": ("login",),
    "current-url": ("metrics-current",),
    "demo-url": ("demo",),
    "connect-key-url": ("connect-key",),
    "arrived-url": ("connect-arrived",),
    "heatmap-url": ("metrics-heatmap",),
    "machines-url": ("machines-page",),
    "annotations-url": ("annotations",),
    "choices-url": ("filter-choices",),
    "models-url": ("overview-models",),
    "requests-page-url": ("requests-page",),
    "models-page-url": ("models-page",),
    "requests-search-url": ("requests-search",),
    "request-drawer-url": ("request-drawer", "0"),
    "alerts-url": ("alerts",),
    "admin-url": ("admin:index",),
    "export-url": ("export", "history", "csv"),
}
LIVE_PATH = "ws/metrics"
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "llmmonitor_theme"


def page_context(request: HttpRequest, spec: PageSpec, tabs: Sequence[PageSpec]) -> dict[str, Any]:
    """Return the context that `base.html` needs. The filters of promoted tags follow those of the page."""
    tags = {} if spec.filters is None else tag_filters()
    return {
        "page": spec,
        "tabs": tabs,
        "theme": theme_of(request),
        "kiosk": request.GET.get("kiosk") == "1",
        "ranges": list(RANGES.values()),
        "filters": spec.filters,
        "tag_filters": tags,
        "settings": page_settings({**(spec.filters or {}), **tags}) | {"colour_order": colour_order()},
        "addresses": addresses(spec.name),
        "catalogue": catalogue_for_scripts(),
        "series_specs": [one.as_dict() for one in spec.series],
    }


def addresses(page: str) -> dict[str, str]:
    """Return the addresses that the scripts of the page need, with the path prefix, and the name of the CSRF cookie."""
    urls = {name: reverse(view, args=arguments) for name, (view, *arguments) in ADDRESSES.items()}
    return urls | {
        "page-data-url": reverse(f"{page}-data"),
        "page-figures-url": reverse(f"{page}-figures"),
        "live-url": get_script_prefix() + LIVE_PATH,
        "csrf-cookie": settings.CSRF_COOKIE_NAME,
    }


def page_settings(filters: Mapping[str, str] = FILTERS) -> dict[str, Any]:
    """Return ranges, filters and severities for the page's scripts, so that they are defined in Python alone."""
    return {
        "ranges": [
            {"name": choice.name, "seconds": choice.seconds, "title": choice.title} for choice in RANGES.values()
        ],
        "default_range": DEFAULT_RANGE,
        "filters": dict(filters),
        "severities": dict(GLYPHS),
    }


def colour_order() -> dict[str, list[str]]:
    """Return the names whose colours the scripts assign, in the order in which they were first stored.

    The filters and the time range of the page do not change it, and it is the same for all users.
    """
    return queries.names_by_age()


def theme_of(request: HttpRequest) -> str:
    """Return the theme in the visitor's cookie. The server renders it, so that the page does not flash."""
    theme = request.COOKIES.get(THEME_COOKIE, "auto")
    return theme if theme in THEMES else "auto"


def catalogue_for_scripts() -> dict[str, dict[str, Any]]:
    """Return title, kind, unit, help and the worse direction of each metric by its name."""
    return {
        metric.name: {
            "title": metric.title,
            "kind": metric.kind,
            "unit": metric.unit,
            "help": metric.help,
            "worse": metric.worse,
        }
        for metric in catalogue.ALL
    }
