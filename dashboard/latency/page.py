"""The Latency page: how long do requests take, and where does their time go?"""

from __future__ import annotations

from dashboard.chart_series import chart_heatmap, chart_histogram
from dashboard.latency import tables
from dashboard.latency.sentence import describe_latency
from dashboard.page_spec import FILTERS, PageSpec, Row, newest_tick
from dashboard.reading import Reading
from metrics import catalogue
from metrics.queries import TIMES, FigureSet, SeriesSpec

RESPONSE = "inference.response_time_ms"
TTFT = "inference.ttft_ms"
TPOT = "inference.time_per_output_token_ms"
FIGURES = FigureSet(
    {
        **TIMES.distributions,
        "response_time_ms": ("avg", "p50", "p75", "p90", "p95", "p99"),
        "time_per_output_token_ms": ("p50",),
    },
    TIMES.sums,
    has_cost=False,
)
SERIES = (
    *(SeriesSpec.of(RESPONSE, stat) for stat in ("p50", "p90", "p95", "p99", "avg", "count")),
    SeriesSpec.of("inference.queue_time_ms", "avg"),
    SeriesSpec.of(TTFT, "avg"),
    *(SeriesSpec.of(RESPONSE, stat, "model") for stat in ("p50", "p95", "p99", "count")),
    SeriesSpec.of(TTFT, "p95", "model"),
    SeriesSpec.of(TPOT, "p50", "model"),
    SeriesSpec.of(TPOT, "p95", "model"),
)
COMPARED = (
    SeriesSpec.of(RESPONSE, "p95"),
    SeriesSpec.of(RESPONSE, "p95", "model"),
    SeriesSpec.of(TTFT, "p95", "model"),
)


def figures(reading: Reading) -> Row:
    """Return what ticks do not carry: the sentence, the tables, the histogram and the heatmap."""
    query, ranking = reading.query, reading.requests.models
    shown = reading.shown_models
    omitted = ranking.omitted + len(ranking.results) - len(shown)
    metric = catalogue.get(RESPONSE)
    return {
        "summary": reading.requests.summary,
        "sentence": describe_latency(
            reading.requests.summary,
            ranking.results,
            query.span,
            query.span_before,
            past=query.range is None,
            not_assessed=ranking.omitted,
        ).as_dict(),
        "tables": tables.render(reading.requests.summary, shown, omitted, query.span, query.span_before),
        "histogram": reading.read("The histogram", lambda: chart_histogram(metric, reading)),
        "heatmap": reading.read("The response time distribution", lambda: chart_heatmap(metric, reading)),
    }


PAGE = PageSpec(
    name="latency",
    title="Latency",
    path="dashboard/latency/",
    figures=figures,
    data=newest_tick,
    series=SERIES,
    compared=COMPARED,
    figure_set=FIGURES,
    filters=FILTERS,
    missing="No request was stored in this time range, so there are no response times.",
)
