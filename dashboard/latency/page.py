"""The Latency page: how long do requests take, and where does their time go?"""

from __future__ import annotations

from dashboard.alerts_in_sentence import with_alerts_of
from dashboard.chart_series import chart_heatmap, chart_histogram
from dashboard.latency import tables
from dashboard.latency.sentence import describe_latency
from dashboard.page_spec import FILTERS, RECORDED, PageSpec, Row, newest_tick
from dashboard.reading import MODELS_ASSESSED, Reading
from metrics import catalogue, queries
from metrics.queries import TIMES, FigureSet, SeriesSpec, Window

RESPONSE = "inference.response_time_ms"
TTFT = "inference.ttft_ms"
TPOT = "inference.time_per_output_token_ms"
ALERTED = {RESPONSE: "", TTFT: "", TPOT: ""}  # see dashboard/alerts_in_sentence.py
RECENT_SECONDS = 300  # the window of the rule for slow responses
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
    metric = catalogue.get(RESPONSE)
    described = describe_latency(
        reading.requests.summary,
        ranking.results,
        query.span,
        query.span_before,
        past=query.range is None,
        not_assessed=ranking.omitted,
    )
    return {
        "summary": reading.requests.summary,
        "sentence": with_alerts_of(reading, described, ALERTED).as_dict(),
        "tables": tables.render(
            reading.requests.summary,
            shown,
            reading.models_known - len(shown),
            query.span,
            query.span_before,
            _recent(reading),
            reading.no_rows(ranking),
        ),
        "histogram": reading.read("The histogram", lambda: chart_histogram(metric, reading)),
        "heatmap": reading.read("The response time distribution", lambda: chart_heatmap(metric, reading)),
    }


def _recent(reading: Reading) -> tables.Recent:
    """Return the figures of the last minutes of the window, and the models whose response time an alert is about."""
    end = reading.window.end_s
    window = Window.of_seconds(max(reading.window.start_s, end - RECENT_SECONDS), end)
    read = None
    if reading.shown_models:
        read = reading.read(
            "The last minutes",
            lambda: queries.summary_and_models(
                window, reading.filters, reading.now, limit=MODELS_ASSESSED, figure_set=FIGURES
            ),
        )
    fires = {
        alert["labels"].get("model")
        for alert in (reading.alerts.firing.results if reading.query.range else ())
        if alert["metric_name"] == RESPONSE
    }
    rows: dict[str, Row] = {}
    if read is not None:
        summary, ranking, _ = read
        rows = {tables.ALL_MODELS: summary.as_dict(), **{row["model_name"]: row for row in ranking.results}}
    return tables.Recent(rows, frozenset(name for name in fires if name))


PAGE = PageSpec(
    name="latency",
    title="Latency",
    key="l",
    path="dashboard/latency/",
    figures=figures,
    data=newest_tick,
    series=(*SERIES, RECORDED),
    compared=COMPARED,
    figure_set=FIGURES,
    filters=FILTERS,
    missing="No request was stored in this time range, so there are no response times.",
)
