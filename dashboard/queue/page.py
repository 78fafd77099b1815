"""The Queue page: what waits, where, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.template.loader import render_to_string

from dashboard.alerts_in_sentence import with_alerts_of
from dashboard.formatting import duration, whole
from dashboard.health import ENOUGH_REQUESTS
from dashboard.page_spec import FILTERS, RECORDED, PageSpec, Row, newest_tick
from dashboard.queue import sentence
from dashboard.reading import Reading
from dashboard.sentence import where_known
from dashboard.tiles import Tile
from metrics import queries
from metrics.queries import FigureSet, Ranking, SeriesSpec, Window

WAIT = "inference.queue_time_ms"
PROCESSING = "inference.processing_time_ms"
FIGURES = FigureSet(
    {"queue_time_ms": ("p50", "p95", "p99", "avg"), "processing_time_ms": ("p50", "p95")}, ("completion_tokens",), False
)
SOURCES = tuple(
    SeriesSpec.of(f"queue.{name}", "last", "model", "source") for name in ("pending", "processing", "oldest_seconds")
)
NOW_SECONDS = 300  # a source without a sample in the last ones is not listed
MAX_SOURCES = 50
MAX_SERVICES = 100
series = SeriesSpec.of

SERIES = (
    series("queue.pending", "avg"),
    series("queue.processing", "avg"),
    series("queue.oldest_seconds", "max"),
    *(series(WAIT, stat) for stat in ("p50", "p95", "p99", "avg", "count")),
    *(series(PROCESSING, stat) for stat in ("p50", "p95", "count")),
    series("inference.requests", "rate"),
    series("queue.pending", "avg", "model"),
    series(WAIT, "p95", "model"),
    series(PROCESSING, "p95", "model"),
)
TILES = (
    Tile("pending", "Pending", "requests", "avg_queue_pending", "", SERIES[0], "up",
         "Requests that wait in all queues, on average."),
    Tile("processing", "Processing", "requests", "avg_queue_processing", "", SERIES[1], None,
         "Requests that are being processed, on average."),
    Tile("wait-mean", "Wait, mean", "duration", "avg_queue_time_ms", "", series(WAIT, "avg"), "up",
         "The mean time that a request waited before processing began."),
    Tile("wait-p95", "Wait P95", "duration", "p95_queue_time_ms", "", series(WAIT, "p95"), "up",
         "95 % of requests waited at most this long. Accurate to 1.1 %."),
    Tile("finished", "Finished", "rate", "requests_per_second", "",
         series("inference.requests", "rate"), None, "Finished requests per second, including failed ones."),
)  # fmt: skip


ALERTED = {  # see dashboard/alerts_in_sentence.py
    "queue.pending": "pending",
    "queue.processing": "processing",
    "queue.oldest_seconds": "processing",
    WAIT: "wait-p95",
}

# Of the summary. Where none of them has a value, there is nothing to show.
LEVELS_AND_WAITS = ("avg_queue_pending", "avg_queue_processing", "avg_queue_time_ms")


def figures(reading: Reading) -> Row:
    """Return the summary, the sentence, and the tables of models and sources."""
    models = reading.shown_models
    services = reading.read("The waits of the services", lambda: read_services(reading)) or Ranking([], 0)
    sources_read = reading.read("The sources of queues", lambda: read_sources(reading))
    sources = sources_read or []
    described = sentence.describe(
        reading.requests.summary, models, sources, reading.query.span, past=reading.query.range is None
    )
    return {
        "summary": reading.requests.summary,
        "sentence": with_alerts_of(reading, where_known(described, sources_read is not None), ALERTED).as_dict(),
        "tables": {
            "waits": render_to_string(
                "queue/waits.html",
                {
                    "rows": wait_rows(models, services.results),
                    "no_rows": reading.no_rows(reading.requests.models),
                    "omitted": reading.models_known - len(models),
                },
            ),
            "sources": render_to_string(
                "queue/sources.html",
                {
                    "rows": [_source_row(row) for row in sources[:MAX_SOURCES]],
                    "omitted": max(0, len(sources) - MAX_SOURCES),
                    "past": reading.query.range is None,
                },
            ),
        },
    }


def read_services(reading: Reading) -> Ranking:
    """Return the waits of each model by service, which is where its requests come from. Raises QueryStopped."""
    statistics = {WAIT: FIGURES.distributions["queue_time_ms"][:3], PROCESSING: ("p50", "p95")}
    return queries.percentiles_by_label(
        ("model", "service"), statistics, reading.window, reading.filters, reading.now, limit=MAX_SERVICES
    )


def read_sources(reading: Reading) -> list[Row]:
    """Return the last levels of each model and source that sent some in the last minutes of the window.

    Raises QueryStopped.
    """
    end = reading.window.end_s
    minutes = (
        Window.last(NOW_SECONDS, reading.now) if reading.query.range else Window.of_seconds(end - NOW_SECONDS, end)
    )
    result = queries.series(SOURCES, minutes, reading.filters, now=reading.now)
    rows: dict[tuple[str, str], Row] = {}
    for line in result.lines:
        value = next((value for value in reversed(line.values) if value is not None), None)
        if value is None:
            continue
        key = line.labels["model"], line.labels["source"]
        row = rows.setdefault(
            key, {"model": key[0], "source": key[1], "pending": None, "processing": None, "oldest": None}
        )
        row[{"oldest_seconds": "oldest"}.get(line.metric.short, line.metric.short)] = value
    return sorted(rows.values(), key=lambda row: (-(row["pending"] or 0), -(row["processing"] or 0), row["model"]))


PAGE = PageSpec(
    name="queue",
    title="Queue",
    key="q",
    path="dashboard/queue/",
    figures=figures,
    data=newest_tick,
    tiles=TILES,
    series=(*SERIES, RECORDED),
    compared=(series("queue.pending", "avg"), series(WAIT, "p95"), series(PROCESSING, "p95")),
    filters=FILTERS,
    figure_set=FIGURES,
    missing="No queue was measured in this time range, and no request has a queue time.",
    is_empty=lambda figures: all(figures["summary"].get(name) is None for name in LEVELS_AND_WAITS),
)


def wait_rows(models: Sequence[Row], services: Sequence[Row]) -> list[dict[str, Any]]:
    """Return a row for each model, followed by those of its services where it has several."""
    rows = []
    for model in models:
        own = [row for row in services if row["model"] == model["model_name"]]
        rows.append(_wait_row(model, model["model_name"], own[0]["service"] if len(own) == 1 else ""))
        if len(own) > 1:
            rows += [_wait_row(row, "", row["service"] or "no service") for row in own]
    return rows


def _wait_row(row: Row, name: str, service: str) -> dict[str, Any]:
    known = (row["total_requests"] or 0) >= ENOUGH_REQUESTS

    def cell(name: str) -> Any:
        return duration(row.get(name) if known else None)

    return {
        "name": name,
        "service": service,
        "requests": whole(row["total_requests"]),
        "waits": [cell(f"{stat}_queue_time_ms") for stat in ("p50", "p95", "p99")],
        "processing": [cell(f"{stat}_processing_time_ms") for stat in ("p50", "p95")],
    }


def _source_row(row: Row) -> dict[str, Any]:
    oldest = row["oldest"]
    return row | {
        "pending": whole(row["pending"]),
        "processing": whole(row["processing"]),
        "oldest": duration(None if oldest is None else 1000 * oldest),
    }
