"""Query parameters for the OpenAPI document. `metrics.queries.parameters` parses them."""

from __future__ import annotations

from metrics import catalogue
from metrics.api.openapi.description import Parameter
from metrics.queries.answers.lists import MAX_PAGE, PAGE
from metrics.queries.answers.resource_heatmap import METRICS
from metrics.queries.parameters import MAX_GROUP_LABELS, MAX_WEEKS, REQUEST_OUTCOMES, WEEKS
from metrics.queries.parameters import RESOURCE_ROWS as ROWS
from metrics.queries.read.filters import (
    ERROR_FILTERS,
    HOST_LABELS,
    LABELS,
    NUMBER_FILTERS,
    OUTCOME_GROUPS,
    REQUEST_FILTERS,
)
from metrics.queries.time.window import DEFAULT_RANGE, RANGES

DISTRIBUTIONS = tuple(metric.name for metric in catalogue.ALL if metric.kind is catalogue.Kind.HISTOGRAM)
_ROW_FILTER_DESCRIPTIONS = {
    "has_error": "`true`: only requests that failed or have an error. `false`: only the others.",
    "stream": "`true`: only streamed responses. `false`: only the others.",
    "severity": "WARNING, ERROR or CRITICAL.",
    "search": "Only the request with this id, and those whose error has this text in its type or message, in any case.",
    "group": "Only errors of the group with this id, from `/errors/groups`, or the requests that they belong to.",
}


def _row_filter(name: str) -> Parameter:
    limit, _, column = name.partition("_")
    if name in NUMBER_FILTERS:
        words = {"min": "of at least", "above": "above", "max": "of at most"}[limit]
        description = f"Only rows with a `{column}` {words} this value."
    else:
        description = _ROW_FILTER_DESCRIPTIONS.get(name, f"Only rows with this `{name}`.")
    return Parameter(name, float if name in NUMBER_FILTERS else str, description)


WINDOW = (
    Parameter(
        "range",
        description="Length of a window that ends now. Default: "
        f"`{DEFAULT_RANGE}`; `/requests`, `/errors` and `/annotations` have no default.",
        enum=tuple(RANGES),
    ),
    Parameter("from", description="Start of the window: ISO 8601, or Unix time in seconds or milliseconds."),
    Parameter("to", description="End of the window. Default: now."),
)
LABEL_FILTERS = (
    *(Parameter(name, description=f"Only this {name}. May be repeated.", many=True) for name in LABELS),
    *(
        Parameter(name, description=f"Only samples of this {name}. May be repeated. No effect on requests.", many=True)
        for name in HOST_LABELS
    ),
)
WINDOW_AND_FILTERS = (
    *WINDOW,
    *LABEL_FILTERS,
    Parameter(
        "outcome",
        description="Outcome of the requests whose times are used. `success_or_timeout` adds the response times of "
        "timeouts. Default: `success`.",
        enum=OUTCOME_GROUPS,
    ),
)
CURSOR = (
    Parameter("cursor", description="Start of the page, from `next` or `previous` of another page."),
    Parameter("limit", int, f"Number of rows on the page, at most {MAX_PAGE}. Default: {PAGE}."),
)


def ranking_parameters(limit: int, most: int, searched: str) -> tuple[Parameter, ...]:
    """Return the parameters of a list of the busiest rows. `searched` names what `search` is compared with."""
    return (
        Parameter("limit", int, f"Number of rows, at most {most}. Default: {limit}."),
        Parameter("search", description=f"Only rows whose {searched} contains this text, in any case."),
    )


REQUEST_LIST = (
    *WINDOW,
    *LABEL_FILTERS,
    Parameter("outcome", description="Only requests with this outcome. Default: `all`.", enum=REQUEST_OUTCOMES),
    *CURSOR,
    *map(_row_filter, REQUEST_FILTERS),
)
ERROR_LIST = (*WINDOW, *LABEL_FILTERS, *CURSOR, *map(_row_filter, ERROR_FILTERS))
ANNOTATION_LIST = (
    *WINDOW,
    Parameter("model", description="Only annotations of this model or of all models. May be repeated.", many=True),
    Parameter("host", description="Only annotations of this host or of all hosts. May be repeated.", many=True),
    *CURSOR,
)
STEP = Parameter("step", int, "Seconds between two points. Default: depends on the length of the window.")
DISTRIBUTION_METRIC = Parameter(
    "metric", description="Metric with a distribution. Default: the response time.", enum=DISTRIBUTIONS
)
HEATMAP_METRIC = Parameter(
    "metric",
    description="Metric with a distribution. Default: the response time. With `by`: metric of hosts or GPUs, required.",
    enum=(*DISTRIBUTIONS, *(metric.name for metric in METRICS)),
)
RESOURCE_ROWS = (
    Parameter(
        "by",
        description="Rows of a heatmap of hosts or GPUs. `weekday`: weekdays by hours of the day; the window is "
        f"{WEEKS} weeks by default, at most {MAX_WEEKS}.",
        enum=ROWS,
    ),
    Parameter("tz", description="Time zone of weekdays and hours, such as `Europe/Berlin`. Default: UTC."),
)
SERIES = (
    Parameter("metric", description="Name of a metric. May be repeated.", many=True, enum=catalogue.NAMES),
    Parameter("stat", description="Statistic: one for each metric, or one for all.", many=True),
    STEP,
    Parameter(
        "group_by",
        description=f"Label, or up to {MAX_GROUP_LABELS} labels as `a,b`. The response has one series for each "
        "combination of their values.",
    ),
)
