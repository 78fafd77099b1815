"""The Throughput page: how many requests and tokens, how fast, and how they end."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string

from dashboard.chart_series import chart_histogram
from dashboard.formatting import compact, percent, rate, whole
from dashboard.page_spec import FILTERS, PageSpec, Row, newest_tick
from dashboard.reading import MODELS_SHOWN, Reading
from dashboard.throughput import sentence
from dashboard.tiles import Tile
from metrics import catalogue, queries
from metrics.queries import FigureSet, SeriesSpec

FINISH_REASONS = ("stop", "tool", "length", "content_filter", "error", "other")
FIGURES = FigureSet(
    {
        "prompt_tokens": ("avg",),
        "completion_tokens": ("avg",),
        "tokens_per_second": ("avg", "p50"),
    },
    ("prompt_tokens", "completion_tokens", "cached_tokens", "streamed", *(f"finish_{name}" for name in FINISH_REASONS)),
    False,
)
series = SeriesSpec.of
OUTCOMES = ("client_errors", "rate_limited", "server_errors", "timeouts", "cancelled")
SUMS = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens")

SERIES = (
    *(series(f"inference.{name}", "rate") for name in SUMS),
    *(series(f"inference.{name}", "rate", "model") for name in SUMS),
    series("inference.failed_requests", "rate"),
    *(series(f"inference.{name}", "rate") for name in OUTCOMES),
    *(series(f"inference.finish_{name}", "rate") for name in FINISH_REASONS),
    series("inference.tokens_per_second", "p50"),
    series("inference.tokens_per_second", "p50", "model"),
)
HISTOGRAMS = {
    "prompt_length": "inference.prompt_tokens",
    "output_length": "inference.completion_tokens",
    "speed": "inference.tokens_per_second",
}
TILES = (
    Tile("requests", "Requests", "rate", "requests_per_second", "",
         series("inference.requests", "rate"), None, "Finished requests per second, including failed ones."),
    Tile("prompt", "Prompt tokens", "throughput", "prompt_tokens_per_second", "",
         series("inference.prompt_tokens", "rate"), None, "Input tokens per second, all requests together."),
    Tile("output", "Output tokens", "throughput", "tokens_per_second", "",
         series("inference.completion_tokens", "rate"), None, "Output tokens per second, all requests together."),
    Tile("cached", "From the cache", "percent", "cached_percent", "", series("inference.cached_tokens", "rate"), "down",
         "The share of the input tokens that were read from a prompt cache; the line is their number per second."),
    Tile("speed", "Speed, mean", "throughput", "avg_tokens_per_second", "",
         series("inference.tokens_per_second", "p50"), "down",
         "Output tokens per second of one request, after the first; the line is the median."),
)  # fmt: skip


def figures(reading: Reading) -> Row:
    """Return the summary, the sentence, the histograms and the table of models."""
    ranking = reading.read(
        "The totals of the models",
        lambda: queries.models(reading.window, reading.filters, reading.now, limit=MODELS_SHOWN, figure_set=FIGURES),
    )
    models = ranking.results if ranking else []
    no_rows = reading.no_rows(ranking)
    summary = _with_tokens(reading.requests.summary, models, reading)
    return {
        "summary": summary,
        "sentence": sentence.describe(summary, reading.query.span, reading.query.span_before).as_dict(),
        "histograms": {
            name: reading.read("The histograms", lambda metric=metric: chart_histogram(catalogue.get(metric), reading))  # type: ignore[misc]
            for name, metric in HISTOGRAMS.items()
        },
        "tables": {
            "totals": render_to_string(
                "throughput/totals.html",
                {"rows": [_row(row, reading) for row in models], "all": _total(models, reading), "no_rows": no_rows},
            ),
            "endings": render_to_string(
                "throughput/endings.html", {"rows": [_endings(row) for row in models], "no_rows": no_rows}
            ),
        },
    }


def _with_tokens(summary: Row, models: list[Row], reading: Reading) -> Row:
    """Add what the tiles show of input tokens. The models are all those of the window, or the busiest."""
    added = {}
    for part, rows in ((summary, models), (summary.get("previous") or {}, [row["previous"] for row in models])):
        prompt = sum(row.get("prompt_tokens") or 0 for row in rows)
        cached = sum(row.get("cached_tokens") or 0 for row in rows)
        added[id(part)] = part | {
            "prompt_tokens_per_second": prompt / reading.window.seconds if prompt else None,
            "cached_percent": 100 * cached / prompt if prompt else None,
        }
    before = summary.get("previous") or {}
    return added[id(summary)] | {"previous": added.get(id(before), before)}


PAGE = PageSpec(
    name="throughput",
    title="Throughput",
    path="dashboard/throughput/",
    figures=figures,
    data=newest_tick,
    tiles=TILES,
    series=SERIES,
    compared=tuple(series(f"inference.{name}", "rate") for name in ("requests", "prompt_tokens", "completion_tokens")),
    filters=FILTERS,
    missing="No request was stored in this time range, so there are no rates and no tokens.",
)


def _row(row: Row, reading: Reading) -> dict[str, Any]:
    prompt, cached, output = (row.get(name) for name in ("prompt_tokens", "cached_tokens", "completion_tokens"))
    return {
        "name": row["model_name"],
        "figures": [
            whole(row["total_requests"]),
            rate(row["total_requests"] / reading.window.seconds if row["total_requests"] else None, "per "),
            compact(prompt),
            percent(100 * (cached or 0) / prompt if prompt else None),
            compact(output),
            compact(row.get("avg_prompt_tokens")),
            compact(row.get("avg_completion_tokens")),
            compact(row.get("p50_tokens_per_second"), "tok/s"),
        ],
    }


def _endings(row: Row) -> dict[str, Any]:
    """Return the shares of a model's finish reasons, of the requests that report one, and of streamed requests."""
    counts = [row.get(f"finish_{name}") or 0 for name in FINISH_REASONS]
    known, requests = sum(counts), row["total_requests"]
    return {
        "name": row["model_name"],
        "known": whole(known),
        "shares": [percent(100 * count / known if known else None) for count in counts],
        "streamed": percent(100 * (row.get("streamed") or 0) / requests if requests else None),
    }


def _total(models: list[Row], reading: Reading) -> list[Any]:
    """Return the sum of the rows."""
    requests, prompt, cached, output = (
        sum(row.get(name) or 0 for row in models)
        for name in ("total_requests", "prompt_tokens", "cached_tokens", "completion_tokens")
    )
    return [
        whole(requests),
        rate(requests / reading.window.seconds if requests else None, "per "),
        compact(prompt),
        percent(100 * cached / prompt if prompt else None),
        compact(output),
    ]
