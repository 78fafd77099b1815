"""The Models page: how fast, how busy, how reliable and how dear is each model? And the page of one model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string

from dashboard.alerts_in_sentence import with_alerts_of
from dashboard.chart_series import chart_series
from dashboard.formatting import percent
from dashboard.models import opened, sentence, table
from dashboard.models.address import has_page, model_url
from dashboard.page_alerts import PageAlerts
from dashboard.page_spec import FILTERS, RECORDED, PageSpec, Row
from dashboard.reading import UNREAD, Reading
from metrics import queries
from metrics.queries import TIMES_AND_COST, Ranking, SeriesSpec

RESPONSE = "inference.response_time_ms"
ALERTED = {RESPONSE: "", "inference.error_rate_percent": ""}  # see dashboard/alerts_in_sentence.py
MAX_SEARCH = 200  # characters
ROWS = 100
SERIES = (RECORDED, SeriesSpec.of(RESPONSE, "p95", "model"))
# Of the model whose card is open. They are read with the figures, because ticks carry those of all models.
OPENED_SERIES = (
    *(SeriesSpec.of(RESPONSE, stat) for stat in ("p50", "p90", "p95", "p99", "avg", "count")),
    SeriesSpec.of("inference.queue_time_ms", "avg"),
    SeriesSpec.of("inference.ttft_ms", "avg"),
    SeriesSpec.of("inference.requests", "rate"),
    SeriesSpec.of("inference.failed_requests", "rate"),
    SeriesSpec.of("inference.error_rate_percent", "avg"),
    SeriesSpec.of("inference.tokens_per_second", "avg"),
)


def figures(reading: Reading) -> Row:
    """Return the sentence, the table, and the card of the opened model."""
    ranking = _ranking(reading)
    requests = reading.requests
    described = sentence.describe(
        requests.models.results,
        reading.query.span,
        reading.query.span_before,
        comparable=requests.models.comparable,
        past=reading.query.range is None,
        omitted=requests.models.omitted,
    )
    name = reading.params.get("open", "")
    card = _opened(reading, name) if name else None
    return {
        "summary": requests.summary,
        "sentence": with_alerts_of(reading, described, ALERTED).as_dict(),
        "opened": card,
        "alerts": {"marks": _marks(reading, name) if name else []},
        "tables": {
            "models": _table(reading, ranking, name),
            "opened": _head(reading, card) if card else "",
        },
    }


def _ranking(reading: Reading) -> Ranking:
    text = reading.params.get("search", "")[:MAX_SEARCH].strip()
    if not text:
        return reading.requests.models
    matches = reading.read(
        "The search",
        lambda: queries.models(
            reading.window, reading.filters, reading.now, limit=ROWS, search=text, figure_set=TIMES_AND_COST
        ),
    )
    return matches or UNREAD.models


def _table(reading: Reading, ranking: Ranking, open_name: str) -> str:
    summary, params = reading.requests.summary, reading.params
    sort = table.sort_of(params.get("sort", ""))
    rows = table.sort_rows(table.with_shares(ranking.results[:ROWS], summary["total_requests"]), sort)
    searched = params.get("search", "").strip()
    shown = [table.model_row(row, ranking.comparable) for row in rows]
    return render_to_string(
        "models/table.html",
        {
            "rows": [
                {"row": row, "open": row.name == open_name, "url": opened.query(params, {"open": row.name})}
                for row in shown
            ],
            "heads": [head | {"url": opened.query(params, {"sort": head["next"]})} for head in table.heads(sort)],
            "total": table.total_row(summary, ranking.comparable) if len(rows) > 1 and not searched else None,
            "omitted": ranking.omitted + max(0, len(ranking.results) - ROWS),
            "no_rows": reading.no_rows(ranking, searched),
        },
    )


def _opened(reading: Reading, name: str) -> Row:
    """Return what the card of a model shows. One without requests has no figures."""
    filters = replace(reading.filters, model=(name,))
    ranking = reading.requests.models
    row = next((row for row in ranking.results if row["model_name"] == name), None)
    if row is None:
        alone = reading.read(
            "The model",
            lambda: queries.models(reading.window, filters, reading.now, limit=1, figure_set=TIMES_AND_COST),
        )
        row = next(iter(alone.results), None) if alone else None
    row = table.with_shares([row or {"model_name": name}], reading.requests.summary["total_requests"])[0]
    requests = row.get("total_requests", 0)
    history = reading.read(
        "The charts of the model", lambda: chart_series(OPENED_SERIES, reading, filters=filters, requests=requests)
    )
    return {"name": name, "summary": row, "comparable": ranking.comparable, "history": history}


def _marks(reading: Reading, name: str) -> list[Row]:
    """Return the marks of the page's charts, which are all of the opened model."""
    alerts = PageAlerts(reading.window, replace(reading.filters, model=(name,)), reading)
    return alerts.marks(spec.metric.name for spec in OPENED_SERIES)


def _head(reading: Reading, card: Row) -> str:
    row = card["summary"]
    return render_to_string(
        "models/opened_head.html",
        {
            "name": card["name"],
            "providers": ", ".join(row.get("providers") or ()),
            "names": table.names_as_sent(row.get("aliases") or ()),
            "figures": opened.figures(row, card["comparable"]),
            "share": percent(row["share"]) if row.get("total_requests") and row["share"] is not None else None,
            "no_rows": "" if row.get("total_requests") else reading.no_rows(reading.requests.models),
            "page_url": model_url(card["name"], opened.query(reading.params, {}, opened.OWN_PARAMETERS))
            if has_page(card["name"])
            else "",
            "close_url": opened.query(reading.params, {"open": None}),
            "links": opened.links(reading.params, card["name"]),
        },
    )


def context(request: HttpRequest, data: Row, reading: Reading) -> dict[str, Any]:
    """Return what the first rendering shows of the data."""
    return {
        "state": "full" if reading.has_events else "empty",
        "search": reading.params.get("search", "")[:MAX_SEARCH],
        "opened_specs": [spec.as_dict() for spec in OPENED_SERIES],
    }


PAGE = PageSpec(
    name="models",
    title="Models",
    key="m",
    path="dashboard/models/",
    figures=figures,
    context=context,
    series=SERIES,
    filters=FILTERS,
    missing="No request was stored in this time range, so there are no models to compare.",
    figure_set=TIMES_AND_COST,
)
