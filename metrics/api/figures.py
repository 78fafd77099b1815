"""`/metrics/…`: the newest tick, history, summary, distribution and heatmap."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from metrics import queries
from metrics.api.base_views import ReadView
from metrics.api.openapi import response_schemas as schemas
from metrics.api.openapi.description import describe_get
from metrics.api.openapi.parameters import (
    DISTRIBUTION_METRIC,
    HEATMAP_METRIC,
    RESOURCE_ROWS,
    SERIES,
    STEP,
    WINDOW_AND_FILTERS,
)
from metrics.queries import parameters


class CurrentView(ReadView):
    """The newest tick."""

    @describe_get("The newest tick", schemas.TICK)
    def get(self, request: Request) -> Response:
        """The object that the WebSocket sends each second."""
        from metrics.live import ticker

        parameters.check_names(request.query_params)
        return Response(ticker.newest_tick(now()))


class SummaryView(ReadView):
    """The performance summary."""

    @describe_get("The performance summary", schemas.SUMMARY, WINDOW_AND_FILTERS)
    def get(self, request: Request) -> Response:
        """Each figure of the window and of the window before it, and the change in percent."""
        at = now()
        window, filters = parameters.parse_window_and_filters(request.query_params, at)
        return Response(queries.summary(window, filters, at).as_dict())


class HistoryView(ReadView):
    """Time series."""

    @describe_get("Time series", schemas.HISTORY, (*SERIES, *WINDOW_AND_FILTERS))
    def get(self, request: Request) -> Response:
        """One series for each metric, statistic and group. A step without data is null, not zero."""
        at = now()
        params = request.query_params
        window, filters = parameters.parse_window_and_filters(params, at, *parameters.SERIES_PARAMETERS)
        step = parameters.parse_step(params.get("step"))
        return Response(queries.series(parameters.parse_series(params), window, filters, step=step, now=at).as_dict())


class DistributionView(ReadView):
    """The distribution of a metric."""

    @describe_get("Distribution of a metric", schemas.DISTRIBUTION, (DISTRIBUTION_METRIC, *WINDOW_AND_FILTERS))
    def get(self, request: Request) -> Response:
        """Buckets with bounds and counts, and percentiles."""
        at = now()
        window, filters = parameters.parse_window_and_filters(request.query_params, at, "metric")
        metric = parameters.parse_histogram(request.query_params.get("metric"))
        return Response(queries.distribution(metric, window, filters, at).as_dict())


class HeatmapView(ReadView):
    """Counts by time and value; with `by`, averages of hosts and GPUs."""

    @describe_get(
        "Heatmap of a metric",
        schemas.HEATMAPS,
        (HEATMAP_METRIC, *RESOURCE_ROWS, *WINDOW_AND_FILTERS, STEP),
    )
    def get(self, request: Request) -> Response:
        """The number of requests in each bucket of values, in each step.

        With `by`, the average of a metric of hosts or GPUs: of each device in each step, or, over four weeks, of each
        hour of the week. An hour of UTC belongs to the local hour that contains its middle.
        """
        at = now()
        params = request.query_params
        if "by" in params:
            return Response(_resource_heatmap(params, at))
        window, filters = parameters.parse_window_and_filters(params, at, "metric", "step")
        metric = parameters.parse_histogram(params.get("metric"))
        step = parameters.parse_step(params.get("step"))
        return Response(queries.heatmap(metric, window, filters, step=step, now=at).as_dict())


def _resource_heatmap(params: Any, at: datetime) -> dict[str, Any]:
    by = parameters.parse_choice("by", parameters.parse_single(params, "by") or "", parameters.RESOURCE_ROWS)
    if by == "weekday":
        _, filters = parameters.parse_window_and_filters(params, at, "metric", "by", "tz")
        metric = parameters.parse_resource(parameters.parse_single(params, "metric"), by)
        zone = parameters.parse_zone(parameters.parse_single(params, "tz"))
        return queries.week_heatmap(metric, parameters.parse_weeks(params, at), filters, zone, at).as_dict()
    window, filters = parameters.parse_window_and_filters(params, at, "metric", "by", "step")
    metric = parameters.parse_resource(parameters.parse_single(params, "metric"), by)
    step = parameters.parse_step(params.get("step"))
    return queries.device_heatmap(metric, by, window, filters, step=step, now=at).as_dict()
