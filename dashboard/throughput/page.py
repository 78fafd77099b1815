"""The Throughput page: how many requests and tokens, how fast, and how they end."""

from __future__ import annotations

from typing import Any

from django.template.loader import render_to_string

from dashboard.chart_series import chart_histogram
from dashboard.formatting import Figure, compact, percent, rates, whole
from dashboard.page_spec import FILTERS, RECORDED, PageSpec, Row, newest_tick
from dashboard.reading import Reading
from dashboard.throughput import sentence
from dashboard.tiles import Tile
from metrics import catalogue
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
    series("inference.tokens_per_second", "avg"),
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
         "The share of the input tokens that were read from a prompt cache.",
         share_of=series("inference.prompt_tokens", "rate")),
    Tile("speed", "Speed, mean", "throughput", "avg_tokens_per_second", "",
         series("inference.tokens_per_second", "avg"), "down",
         "Output tokens per second of one request, after the first."),
)  # fmt: skip


def figures(reading: Reading) -> Row:
    """Return the summary, the sentence, the histograms and the tables of models."""
    models = reading.shown_models
    no_rows = reading.no_rows(reading.requests.models)
    summary = _with_tokens(reading.requests.summary)
    of_all, *of_models = rates([figures.get("requests_per_second") for figures in (summary, *models)], "per ")
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
                {
                    "rows": [_row(row, rate) for row, rate in zip(models, of_models, strict=True)],
                    "no_rows": no_rows,
                    "all": _cells(summary, of_all),
                    "omitted": reading.models_known - len(models),
                },
            ),
            "finish_reasons": render_to_string(
                "throughput/finish_reasons.html", {"rows": [_finish_reasons(row) for row in models], "no_rows": no_rows}
            ),
        },
    }


def _with_tokens(summary: Row) -> Row:
    """Return the summary with what the tiles show of input tokens, also of the window before."""
    return summary | _of_tokens(summary) | {"previous": summary["previous"] | _of_tokens(summary["previous"])}


def _of_tokens(figures: Row) -> Row:
    requests, prompt = figures.get("total_requests"), figures.get("prompt_tokens")
    return {
        "prompt_tokens_per_second": figures["requests_per_second"] * prompt / requests if requests and prompt else None,
        "cached_percent": 100 * (figures.get("cached_tokens") or 0) / prompt if prompt else None,
    }


PAGE = PageSpec(
    name="throughput",
    title="Throughput",
    key="t",
    path="dashboard/throughput/",
    figures=figures,
    data=newest_tick,
    tiles=TILES,
    series=(*SERIES, RECORDED),
    compared=tuple(series(f"inference.{name}", "rate") for name in ("requests", "prompt_tokens", "completion_tokens")),
    filters=FILTERS,
    figure_set=FIGURES,
    missing="No request was stored in this time range, so there are no rates and no tokens.",
)


def _row(row: Row, rate: Figure) -> dict[str, Any]:
    return {
        "name": row["model_name"],
        "figures": [
            *_cells(row, rate),
            compact(row.get("avg_prompt_tokens")),
            compact(row.get("avg_completion_tokens")),
            compact(row.get("p50_tokens_per_second"), "tok/s"),
        ],
    }


def _cells(figures: Row, rate: Figure) -> list[Figure]:
    """Return the figures that add up over models."""
    return [
        whole(figures["total_requests"]),
        rate,
        compact(figures.get("prompt_tokens")),
        percent(_of_tokens(figures)["cached_percent"]),
        compact(figures.get("completion_tokens")),
    ]


def _finish_reasons(row: Row) -> dict[str, Any]:
    """Return the shares of a model's finish reasons, of the requests that report one, and of streamed requests."""
    counts = [row.get(f"finish_{name}") or 0 for name in FINISH_REASONS]
    known, requests = sum(counts), row["total_requests"]
    return {
        "name": row["model_name"],
        "known": whole(known),
        "shares": [percent(100 * count / known if known else None) for count in counts],
        "streamed": percent(100 * (row.get("streamed") or 0) / requests if requests else None),
    }
