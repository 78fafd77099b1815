"""The Overview: are the models healthy now?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from django.http import HttpRequest
from django.urls import reverse

from dashboard.alert_words import Alert
from dashboard.chart_series import chart_heatmap, chart_series
from dashboard.health import ENOUGH_REQUESTS
from dashboard.models.address import model_url
from dashboard.overview import model_table, sentence, tiles
from dashboard.overview.last_minute import last_minute
from dashboard.overview.machines import SERIES_BY_HOST, machines_at_end, with_busiest
from dashboard.overview.tiles import TILES
from dashboard.page_spec import FILTERS, PageSpec, Row
from dashboard.reading import MODELS_SHOWN, Reading
from dashboard.sentence import Sentence
from dashboard.sentence_links import only_named
from dashboard.tiles import describe_values, show
from dashboard.view_query import view_query
from metrics import catalogue, queries
from metrics.queries import Filters, Ranking, SeriesSpec, Window
from metrics.queries.time.window import DEFAULT_RANGE

RESPONSE = "inference.response_time_ms"
# Series of all requests in the window together.
SERIES = (
    *(SeriesSpec.of(RESPONSE, stat) for stat in ("p50", "p90", "p95", "p99", "avg", "count")),
    SeriesSpec.of("inference.queue_time_ms", "avg"),
    SeriesSpec.of("inference.ttft_ms", "avg"),
    SeriesSpec.of("inference.requests", "rate"),
    SeriesSpec.of("inference.failed_requests", "rate"),
    SeriesSpec.of("inference.error_rate_percent", "avg"),
    SeriesSpec.of("inference.completion_tokens", "rate"),
    SeriesSpec.of("queue.pending", "avg"),
    SeriesSpec.of("queue.processing", "avg"),
)
# Series of each model.
SERIES_BY_MODEL = (
    SeriesSpec.of("inference.completion_tokens", "rate", "model"),
    SeriesSpec.of(RESPONSE, "p95", "model"),
)
RECENT_SECONDS = 300  # a problem in the window that does not occur in these is over
BEFORE_ALERT = timedelta(minutes=30)  # compared with the time since it began
YOUNG_SECONDS = 900  # the default range is short while the first request is younger than this


def figures(reading: Reading) -> Row:
    """Return what ticks do not carry: the summary, the sentence, the table of models, the distribution, what fires."""
    requests = reading.requests
    hosts = reading.read("The list of machines", lambda: queries.host_states(reading.now)) or []
    alerts = reading.alerts
    return {
        "summary": with_busiest(requests),
        "heatmap": reading.read(
            "The response time distribution", lambda: chart_heatmap(catalogue.get(RESPONSE), reading)
        ),
        **_table(requests.models, reading),
        "sentence": (_sentence(reading, hosts) if reading.has_events or alerts.fires else sentence.NO_EVENTS).as_dict(),
        "alerts": alerts.as_dict()
        | {"tiles": tiles.states(alerts.ranked()), "marks": alerts.marks(spec.metric.name for spec in PAGE.series)},
    }


def data(reading: Reading) -> Row:
    """Return the newest tick, from which the page starts, with the requests that match the filters as its `view`.

    Of a window that has passed, also its machines.
    """
    current = reading.current
    if current and reading.filters != Filters():
        view = reading.read("The last minute", lambda: queries.live_view(reading.filters, reading.now))
        current = current | {"view": view}
    return {"current": current, "machines": None if reading.query.range else machines_at_end(reading)}


def context(request: HttpRequest, data: Row, reading: Reading) -> Row:
    """Return what the first rendering shows of the data."""
    machines = (data["current"] or {}).get("hosts", ())
    has_gpu = any(host.get("gpu_count") or host.get("gpu_metrics") for host in machines) or (
        data["summary"]["busiest"]["gpu"] is not None
    )
    query = reading.query
    minute = last_minute(TILES, data["current"], data["history"], reading.filters) if query.range else None
    values = describe_values(data["summary"], minute is not None, query.span, query.span_before)
    return {
        "values": values if reading.has_events else "",
        "state": "full" if reading.has_events else "empty",
        "tiles": show(TILES, data["summary"], minute, query.range or ""),
        "has_gpu": has_gpu,
        "first_event_url": request.build_absolute_uri(reverse("track-inference")),
    }


def default_range(now: datetime) -> str:
    """Return the range for an address that names none: a short one while there is little data."""
    if not queries.has_events():
        return "5m"
    first = queries.first_request_at()
    return "15m" if first and first > now - timedelta(seconds=YOUNG_SECONDS) else DEFAULT_RANGE


PAGE = PageSpec(
    name="overview",
    title="Overview",
    key="o",
    path="",
    figures=figures,
    data=data,
    context=context,
    tiles=TILES,
    series=(*SERIES, *SERIES_BY_MODEL, *SERIES_BY_HOST),
    filters=FILTERS,
    default_range=default_range,
)


def search_models(reading: Reading, text: str) -> Row:
    """Return the table of the models whose names contain a text, with their series. Raises QueryStopped."""
    ranking = queries.models(
        reading.window, reading.filters, reading.now, limit=MODELS_SHOWN, search=text, figure_set=queries.TIMES
    )
    shown = ranking.results[:MODELS_SHOWN]
    filters = replace(reading.filters, model=_names(shown))
    requests = sum(row["total_requests"] for row in shown)
    history = chart_series(SERIES_BY_MODEL, reading, filters=filters, requests=requests) if filters.model else None
    return {"table": _table(ranking, reading, text)["tables"]["models"], "history": history}


def _table(ranking: Ranking, reading: Reading, searched: str = "") -> Row:
    """Return the table of models, and how many further models have requests.

    A model without requests in the window is in the ranking for those before it. A search shows it.
    """
    listed = ranking.results if searched else [row for row in ranking.results if row["total_requests"]]
    shown = listed[:MODELS_SHOWN]
    omitted = ranking.omitted + len(listed) - len(shown)
    html = model_table.render(
        shown,
        total=reading.requests.summary["total_requests"],
        comparable=ranking.comparable,
        omitted=omitted,
        span=reading.query.span,
        no_rows=reading.no_rows(ranking, searched.strip()),
    )
    return {"tables": {"models": html}, "models_omitted": omitted}


def _names(models: Sequence[Row]) -> tuple[str, ...]:
    return tuple(row["model_name"] for row in models)


def _sentence(reading: Reading, hosts: Sequence[Row]) -> Sentence:
    query, now = reading.query, reading.now
    assessed = reading.requests.models
    window = Window.last(min(RECENT_SECONDS, query.window.seconds // 3), now)
    rows = assessed.results
    filters = replace(query.filters, model=_names(rows))

    def recent() -> list[Row]:
        ranking = reading.read(
            "The state of the last minutes",
            lambda: queries.models(window, filters, now, limit=len(rows), figure_set=queries.TIMES),
        )
        return ranking.results if ranking else []

    def since_alert(alert: Alert) -> Row | None:
        """Return the row of the alert's model since it began, at most of half an hour, and before it as `previous`."""
        began = datetime.fromisoformat(alert["since"])
        end = datetime.fromisoformat(alert["to"]) if alert["to"] else min(now, query.window.end)
        about = replace(query.filters, model=(alert["labels"]["model"],))

        def read(window: Window) -> Ranking | None:
            return reading.read(
                "The time before the alert",
                lambda: queries.models(window, about, now, limit=1, figure_set=queries.TIMES),
            )

        rankings = (
            read(Window(max(began, end - BEFORE_ALERT), max(began, end))),
            read(Window(began - BEFORE_ALERT, began)),
        )
        row, before = (ranking.results[0] if ranking and ranking.results else {} for ranking in rankings)
        enough = min(one.get("total_requests") or 0 for one in (row, before)) >= ENOUGH_REQUESTS
        return row | {"previous": before} if enough else None

    # The hosts of demo data end with it.
    named = query.filters.host
    chosen = [host for host in hosts if not host["is_demo"] and (not named or host["host"] in named)]
    shown = sentence.describe_state(
        reading.requests.summary,
        rows,
        query.span,
        query.span_before,
        past=query.range is None,
        hosts=chosen,
        recent=recent,
        not_assessed=assessed.omitted,
        alerts=reading.alerts.spans,
        since_alert=since_alert,
    )
    return replace(shown, links=_links(shown, reading, rows, hosts))


def _links(shown: Sentence, reading: Reading, models: Sequence[Row], hosts: Sequence[Row]) -> dict[str, str]:
    """Return the addresses of the models, machines and alerts that the sentence names, with the window and filters."""
    spans, params = reading.alerts.spans, reading.params
    alerts = {span["name"]: f"{reverse('alerts-page')}{view_query(params)}#alert-{span['alert']}" for span in spans}
    named_models = [*_names(models), *(span["labels"].get("model") for span in spans)]
    named_hosts = [*(host["host"] for host in hosts), *(span["labels"].get("host") for span in spans)]
    links = {host: reverse("machines-page") + view_query(params, {"host": host}) for host in named_hosts if host} | {
        model: model_url(model, view_query(params, {"model": None})) for model in named_models if model
    }
    return only_named(links | alerts, shown.title, shown.text)
