"""The tiles of the Overview, and which of them an alert is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboard.alert_words import STATES
from dashboard.overview.machines import BUSIEST
from dashboard.page_alerts import needs_attention
from dashboard.tiles import Tile
from metrics.queries import SeriesSpec

RESPONSE = "inference.response_time_ms"
series = SeriesSpec.of
TILES: tuple[Tile, ...] = (
    Tile("requests", "Requests", "rate", "requests_per_second", "requests_per_second",
         series("inference.requests", "rate"), help="Finished requests per second, including failed ones.",
         page="throughput"),
    Tile("throughput", "Throughput", "throughput", "tokens_per_second", "tokens_per_second",
         series("inference.completion_tokens", "rate"), help="Output tokens per second, all requests together.",
         page="throughput"),
    Tile("p50", "P50", "duration", "p50_response_time_ms", "response_time_ms.p50", series(RESPONSE, "p50"), "up",
         "50 % of successful requests took at most this long. Accurate to 1.1 %.", page="latency"),
    Tile("p95", "P95", "duration", "p95_response_time_ms", "response_time_ms.p95", series(RESPONSE, "p95"), "up",
         "95 % of successful requests took at most this long. Accurate to 1.1 %.", page="latency"),
    Tile("p99", "P99", "duration", "p99_response_time_ms", "response_time_ms.p99", series(RESPONSE, "p99"), "up",
         "99 % of successful requests took at most this long. Accurate to 1.1 %.", page="latency"),
    Tile("errors", "Error rate", "percent", "error_rate_percent", "error_rate_percent",
         series("inference.error_rate_percent", "avg"), "up", page="errors"),
    Tile("queue", "Queue", "pending", "avg_queue_pending", "queue.pending", series("queue.pending", "avg"), "up",
         "Requests waiting in all queues. “Active” requests are being processed.", page="queue"),
    Tile("cpu", "CPU", "percent", BUSIEST["cpu"][0], "hosts.cpu_percent", BUSIEST["cpu"][1], None,
         "Use of all cores of the busiest machine, which is named.", page="machines"),
    Tile("memory", "Memory", "percent", BUSIEST["memory"][0], "hosts.memory_percent", BUSIEST["memory"][1], None,
         "Memory in use on the machine with the largest share, which is named.", page="machines"),
    Tile("gpu", "GPU", "percent", BUSIEST["gpu"][0], "gpus.utilization_percent", BUSIEST["gpu"][1], None,
         "Share of time in which the GPUs of the busiest machine worked, on average. The machine is named.",
         page="machines"),
)  # fmt: skip


def states(firing: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return the state of each tile of whose metric an alert fires that needs attention, the most severe first."""
    states: dict[str, str] = {}
    for row in firing:
        if needs_attention(row):
            states.setdefault(tile_of(row["metric_name"], row["stat"]), STATES[row["severity"]])
    return {tile: state for tile, state in states.items() if tile}


def tile_of(metric: str, stat: str) -> str:
    """Return the id of the tile that shows a metric, of several the one with this statistic or P95; else empty."""
    shown = {tile.series.stat: tile.id for tile in TILES if tile.series.metric.name == metric}
    return shown.get(stat) or shown.get("p95") or next(iter(shown.values()), "")
