"""The histograms of a page: the distribution of a metric's values for each of the busiest models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dashboard.reading import Reading
from metrics import catalogue, queries
from metrics.queries import Filters, Window

MAX_MODELS = 5
MAX_BARS = 40


def chart_histograms(metric: str, reading: Reading) -> dict[str, Any]:
    """Return `edges` and, for each model, the counts between them, of the window and of the one before.

    The bars of all models have the same edges, so that they can be compared. Values of 0 are counted in the first bar.
    Raises QueryStopped.
    """
    names = reading.model_names[:MAX_MODELS]
    described = catalogue.get(metric)

    def read(name: str, window: Window) -> queries.Distribution:
        filters: Filters = replace(reading.filters, model=(name,))
        return queries.distribution(described, window, filters, reading.now)

    before = reading.window.before() if reading.query.compares else None
    distributions = {name: read(name, reading.window) for name in names}
    earlier = {name: read(name, before) for name in names} if before else {}
    edges = _edges([*distributions.values(), *earlier.values()])
    return {
        "metric": metric,
        "edges": edges,
        "models": [
            {
                "name": name,
                "counts": counts_between(edges, distribution.buckets),
                "before": counts_between(edges, earlier[name].buckets) if name in earlier else None,
                "count": distribution.count,
                "p50": distribution.percentiles.get("p50"),
                "p95": distribution.percentiles.get("p95"),
            }
            for name, distribution in distributions.items()
        ],
    }


def _edges(distributions: list[queries.Distribution]) -> list[float]:
    """Return the edges of at most MAX_BARS bars of equal ratio, on the edges of the finest buckets among them."""
    fine = sorted({edge for one in distributions for low, high, _ in one.buckets if high > 0 for edge in (low, high)})
    size = max(1, -(-(len(fine) - 1) // MAX_BARS))
    edges = fine[::size]
    return edges if not fine or edges[-1] == fine[-1] else [*edges, fine[-1]]


def counts_between(edges: list[float], buckets: list[tuple[float, float, int]]) -> list[int]:
    """Return the counts of the bars between edges. A bucket counts where its middle is, so that none is lost."""
    counts = [0] * max(0, len(edges) - 1)
    position = 0
    for low, high, count in buckets:
        middle = (low * high) ** 0.5 if low > 0 else high / 2
        while position < len(counts) - 1 and middle >= edges[position + 1]:
            position += 1
        if counts:
            counts[position] += count
    return counts
