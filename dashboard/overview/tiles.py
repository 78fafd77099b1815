"""The tiles of the Overview: what each shows, where its figure comes from, and in which direction it is worse.

A tile's figure is that of the last minute while the page is live (`tick`, a path into the tick) and that of the window
otherwise, or where the last minute has none (`summary`, a name of `/metrics/summary`). Its change is always the window
against the window before, and is left out where that one is too empty to compare with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboard.formatting import FORMATS, Change, Figure, change
from metrics import catalogue


@dataclass(frozen=True)
class Tile:
    """One tile. `series` is the metric and the statistic of its sparkline."""

    id: str
    label: str
    format: str
    summary: str
    tick: str
    series: tuple[str, str]
    worse: str | None = None
    # What changes with the demand and not with the health is never red or green.
    help: str = ""

    @property
    def series_key(self) -> str:
        """As the page's store names it."""
        return "|".join(self.series)

    @property
    def explanation(self) -> str:
        """What it shows, in a sentence or two."""
        return self.help or catalogue.get(self.series[0]).help


RESPONSE = "inference.response_time_ms"
TILES: tuple[Tile, ...] = (
    Tile("requests", "Requests", "per_second", "requests_per_second", "requests_per_second",
         ("inference.requests", "rate"), help="Finished requests per second, including failed ones."),
    Tile("throughput", "Throughput", "throughput", "tokens_per_second", "tokens_per_second",
         ("inference.completion_tokens", "rate"), help="Output tokens per second, all requests together."),
    Tile("p50", "P50", "duration", "p50_response_time_ms", "response_time_ms.p50", (RESPONSE, "p50"), "up",
         "50 % of successful requests took at most this long. Accurate to 1.1 %."),
    Tile("p95", "P95", "duration", "p95_response_time_ms", "response_time_ms.p95", (RESPONSE, "p95"), "up",
         "95 % of successful requests took at most this long. Accurate to 1.1 %."),
    Tile("p99", "P99", "duration", "p99_response_time_ms", "response_time_ms.p99", (RESPONSE, "p99"), "up",
         "99 % of successful requests took at most this long. Accurate to 1.1 %."),
    Tile("errors", "Error rate", "percent", "error_rate_percent", "error_rate_percent",
         ("inference.error_rate_percent", "avg"), "up"),
    Tile("queue", "Queue", "pending", "avg_queue_pending", "queue.pending", ("queue.pending", "avg"), "up",
         "Requests waiting in all queues. “Active” requests are being processed."),
    Tile("cpu", "CPU", "percent", "avg_cpu_percent", "hosts.cpu_percent", ("system.cpu_percent", "avg"), None,
         "Use of all cores, average of the machines shown."),
    Tile("memory", "Memory", "percent", "avg_memory_percent", "hosts.memory_percent", ("system.memory_percent", "avg"),
         None, "Memory in use, average of the machines shown."),
    Tile("gpu", "GPU", "percent", "avg_gpu_utilization_percent", "gpus.utilization_percent",
         ("gpu.utilization_percent", "avg"), None, "Share of time in which the GPU was busy, average of the GPUs shown."),
)  # fmt: skip


@dataclass(frozen=True)
class ShownTile:
    """A tile with its figures, for the first rendering."""

    tile: Tile
    figure: Figure
    change: Change


def show(summary: dict[str, Any]) -> list[ShownTile]:
    """The tiles with the window's figures. That of the GPU is hidden by the style sheet where there is none."""
    before = (summary.get("previous") or {}) if summary.get("comparable") else {}
    found = []
    for tile in TILES:
        now = summary.get(tile.summary)
        moved = change(tile.format, now, before.get(tile.summary), tile.worse)
        found.append(ShownTile(tile, FORMATS[tile.format](now), moved))
    return found


def specs() -> list[dict[str, Any]]:
    """What the scripts need to keep the tiles alive."""
    return [
        {
            "id": tile.id,
            "label": tile.label,
            "format": tile.format,
            "summary": tile.summary,
            "tick": tile.tick,
            "series": tile.series_key,
            "worse": tile.worse,
        }
        for tile in TILES
    ]
