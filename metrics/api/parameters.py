"""Query parameters, checked against the catalogue before any work is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from metrics import catalogue
from metrics.queries import BadQuery, Filters, Window
from metrics.queries.read.filters import NUMBER_FILTERS, OUTCOME_GROUPS
from metrics.queries.time.window import RANGES

WINDOW = ("range", "from", "to")
MAX_SERIES = 24
MAX_PAGE = 500


def check_names(params: QueryDict, *allowed: str) -> None:
    """Refuse a parameter that this call does not have: a misspelt filter must not answer for everything."""
    for name in params:
        if name not in allowed:
            raise BadQuery(name, f"There is no parameter {name[:60]!r} here.", allowed=sorted(allowed))


@dataclass(frozen=True)
class ReadQuery:
    """What most reads ask: over which window, of what."""

    window: Window
    filters: Filters


def read_window(params: QueryDict, now: datetime, *extras: str) -> ReadQuery:
    """The window and the filters; `extras` are the call's own parameters, read by the caller."""
    check_names(params, *WINDOW, *Filters.PARAMETERS, *extras)
    return ReadQuery(Window.from_params(params, now), Filters.from_params(params))


def read_metric(name: str, parameter: str = "metric") -> catalogue.Metric:
    """The metric of this full or short name."""
    try:
        return catalogue.resolve(name)
    except catalogue.UnknownMetric as error:
        raise BadQuery(parameter, f"{name[:80]!r} is not one metric.", allowed=error.candidates) from None


def read_series(params: QueryDict) -> list[tuple[catalogue.Metric, str]]:
    """The (metric, stat) pairs: each metric with the stat at its place, the last one beyond, or its own default."""
    names = params.getlist("metric")
    if not names:
        raise BadQuery("metric", "Say which metric.", allowed=catalogue.NAMES)
    stats = params.getlist("stat")
    if len(names) == 1:
        names = names * max(1, len(stats))
    elif len(stats) > len(names):
        raise BadQuery("stat", f"{len(stats)} stats for {len(names)} metrics: give one for each, or one for all.")
    if len(names) > MAX_SERIES:
        raise BadQuery("metric", f"{len(names)} series asked; at most {MAX_SERIES} at once.")
    pairs = []
    for place, name in enumerate(names):
        metric = read_metric(name)
        stat = stats[min(place, len(stats) - 1)] if stats else metric.default_stat
        try:
            pairs.append((metric, metric.check_stat(stat)))
        except catalogue.UnknownStat as error:
            raise BadQuery("stat", str(error), allowed=error.candidates) from None
    return pairs


def read_integer(params: QueryDict, name: str, default: int, least: int, most: int) -> int:
    """A whole number within bounds."""
    text = params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
        raise BadQuery(name, f"{text[:60]!r} is not a whole number from {least} to {most}.")
    return int(text)


def read_step(params: QueryDict) -> int | None:
    """The step in seconds, or None to have one chosen."""
    return read_integer(params, "step", 0, 1, 366 * 86_400) or None


def _text(name: str, description: str, many: bool = False, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, description=description, many=many, **more)


WINDOW_PARAMETERS = [
    _text("range", "Window that ends now.", enum=list(RANGES)),
    _text("from", "Start of the window: ISO 8601, or epoch milliseconds."),
    _text("to", "End of the window; now, when it is not given."),
]
FILTER_PARAMETERS = [
    _text(name, f"Only this {name.replace('_', ' ')}; may be repeated.", many=True)
    for name in ("model", "provider", "service", "endpoint", "host", "gpu")
] + [_text("outcome", "Whose times; `success` for figures, `all` for lists when not given.", enum=list(OUTCOME_GROUPS))]
_FILTER_HELP = {
    "has_error": "`true`: those with an error field.",
    "stream": "`true`: those whose answer came token by token.",
    "severity": "WARNING, ERROR or CRITICAL.",
}


def _row_filters(names: tuple[str, ...]) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(
            name,
            OpenApiTypes.NUMBER if name in NUMBER_FILTERS else OpenApiTypes.STR,
            description=_FILTER_HELP.get(name, f"Only rows with this {name.replace('_', ' ')}."),
        )
        for name in names
    ]


REQUEST_FILTER_PARAMETERS = _row_filters(Filters.RAW_PARAMETERS)
ERROR_FILTER_PARAMETERS = _row_filters(Filters.ERROR_PARAMETERS)
STEP_PARAMETER = OpenApiParameter(
    "step", OpenApiTypes.INT, description="Seconds between points; chosen when not given."
)
METRIC_PARAMETER = _text("metric", "Name in the catalogue; may be repeated.", many=True, enum=list(catalogue.NAMES))
DISTRIBUTIONS = [metric.name for metric in catalogue.ALL if metric.kind is catalogue.Kind.HISTOGRAM]
DISTRIBUTION_PARAMETER = _text("metric", "Response time, when none is named.", enum=DISTRIBUTIONS)
HISTORY_PARAMETERS = [STEP_PARAMETER, _text("group_by", "One series for each value of this label, or these: `a,b`.")]
STAT_PARAMETER = _text("stat", "Statistic: one for each metric, or one for all.", many=True)
CURSOR_PARAMETERS = [
    _text("cursor", "Where the page begins; taken from `next` or `previous`."),
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"Rows on a page, at most {MAX_PAGE}."),
]
