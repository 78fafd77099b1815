"""`/metrics/…`: the newest snapshot, history, summary, distribution and heatmap."""

from __future__ import annotations

from django.utils.timezone import now
from rest_framework.request import Request
from rest_framework.response import Response

from metrics import catalogue, queries
from metrics.api import answer_schema, parameters
from metrics.api.answer_schema import described
from metrics.api.views import ReadView

COMMON = [*parameters.WINDOW_PARAMETERS, *parameters.FILTER_PARAMETERS]
HISTORY = [parameters.METRIC_PARAMETER, parameters.STAT_PARAMETER, *COMMON, *parameters.HISTORY_PARAMETERS]


class CurrentView(ReadView):
    """The newest live snapshot."""

    @described("The newest live snapshot", answer_schema.TICK)
    def get(self, request: Request) -> Response:
        """The same object that the WebSocket sends each second."""
        from metrics.live import ticker

        parameters.check_names(request.query_params)
        return Response(ticker.newest_tick(now()))


class SummaryView(ReadView):
    """The performance summary."""

    @described("The performance summary", answer_schema.SUMMARY, COMMON)
    def get(self, request: Request) -> Response:
        """Each figure of the window, of the window before it, and the change in percent."""
        at = now()
        asked = parameters.read_window(request.query_params, at)
        return Response(queries.summary(asked.window, asked.filters, at).as_dict())


class HistoryView(ReadView):
    """Time series."""

    @described("Time series", answer_schema.HISTORY, HISTORY)
    def get(self, request: Request) -> Response:
        """One series for each metric, stat and group. A gap is null, never zero."""
        at = now()
        params = request.query_params
        asked = parameters.read_window(params, at, "metric", "stat", "step", "group_by")
        answer = queries.series(
            parameters.read_series(params),
            asked.window,
            asked.filters,
            step=parameters.read_step(params),
            group_by=params.get("group_by") or None,
            now=at,
        )
        return Response(answer.as_dict())


class DistributionView(ReadView):
    """How the values of one metric are distributed."""

    @described("Distribution of a metric", answer_schema.DISTRIBUTION, [parameters.DISTRIBUTION_PARAMETER, *COMMON])
    def get(self, request: Request) -> Response:
        """Buckets with edges and counts, and the percentiles read off them."""
        at = now()
        asked = parameters.read_window(request.query_params, at, "metric")
        metric = read_histogram(request)
        return Response(queries.distribution(metric, asked.window, asked.filters, at).as_dict())


class HeatmapView(ReadView):
    """Time × value."""

    @described(
        "Heatmap of a metric",
        answer_schema.HEATMAP,
        [parameters.DISTRIBUTION_PARAMETER, *COMMON, parameters.STEP_PARAMETER],
    )
    def get(self, request: Request) -> Response:
        """How many requests fell into each bucket of value, for each step of time."""
        at = now()
        asked = parameters.read_window(request.query_params, at, "metric", "step")
        step = parameters.read_step(request.query_params)
        metric = read_histogram(request)
        return Response(queries.heatmap(metric, asked.window, asked.filters, step=step, now=at).as_dict())


def read_histogram(request: Request) -> catalogue.Metric:
    """The one metric asked for, which has to be a distribution; response time when none is named."""
    metric = parameters.read_metric(request.query_params.get("metric", "inference.response_time_ms"))
    if metric.kind is not catalogue.Kind.HISTOGRAM:
        raise queries.BadQuery(
            "metric", f"{metric.name} is a {metric.kind}: it has no distribution.", allowed=parameters.DISTRIBUTIONS
        )
    return metric
