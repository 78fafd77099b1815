"""The query parameters as the OpenAPI description shows them. `metrics.queries.parameters` parses them."""

from __future__ import annotations

from collections.abc import Iterable

from metrics import catalogue
from metrics.api.description import Parameter
from metrics.queries.answers.lists import MAX_PAGE
from metrics.queries.read.filters import (
    ERROR_FILTERS,
    HOST_LABELS,
    LABELS,
    NUMBER_FILTERS,
    OUTCOME_GROUPS,
    REQUEST_FILTERS,
)
from metrics.queries.time.window import RANGES


def _text(name: str, description: str, many: bool = False, enum: Iterable[str] | None = None) -> Parameter:
    return Parameter(name, description=description, many=many, enum=None if enum is None else tuple(enum))


WINDOW_PARAMETERS = [
    _text("range", "Window that ends now.", enum=RANGES),
    _text("from", "Start of the window: ISO 8601, or epoch milliseconds."),
    _text("to", "End of the window; now, when it is not given."),
]
FILTER_PARAMETERS = [
    _text(name, f"Only this {name.replace('_', ' ')}; may be repeated.", many=True) for name in (*LABELS, *HOST_LABELS)
] + [_text("outcome", "Whose times; `success` for figures, `all` for lists when not given.", enum=OUTCOME_GROUPS)]
_FILTER_HELP = {
    "has_error": "`true`: those with an error field.",
    "stream": "`true`: those whose answer came token by token.",
    "severity": "WARNING, ERROR or CRITICAL.",
}


def _row_filters(names: tuple[str, ...]) -> list[Parameter]:
    return [
        Parameter(
            name,
            float if name in NUMBER_FILTERS else str,
            description=_FILTER_HELP.get(name, f"Only rows with this {name.replace('_', ' ')}."),
        )
        for name in names
    ]


REQUEST_FILTER_PARAMETERS = _row_filters(REQUEST_FILTERS)
ERROR_FILTER_PARAMETERS = _row_filters(ERROR_FILTERS)
STEP_PARAMETER = Parameter("step", int, description="Seconds between points; chosen when not given.")
METRIC_PARAMETER = _text("metric", "Name in the catalogue; may be repeated.", many=True, enum=catalogue.NAMES)
DISTRIBUTIONS = [metric.name for metric in catalogue.ALL if metric.kind is catalogue.Kind.HISTOGRAM]
DISTRIBUTION_PARAMETER = _text("metric", "Response time, when none is named.", enum=DISTRIBUTIONS)
HISTORY_PARAMETERS = [STEP_PARAMETER, _text("group_by", "One series for each value of this label, or these: `a,b`.")]
STAT_PARAMETER = _text("stat", "Statistic: one for each metric, or one for all.", many=True)
CURSOR_PARAMETERS = [
    _text("cursor", "Where the page begins; taken from `next` or `previous`."),
    Parameter("limit", int, description=f"Rows on a page, at most {MAX_PAGE}."),
]
