"""What the tiles of the first rendering read of a tick."""

from __future__ import annotations

from typing import Any

from dashboard.overview.last_minute import last_minute
from dashboard.overview.tiles import TILES
from metrics.queries import OTHERS, Filters

TICK: dict[str, Any] = {
    "overall": {
        "requests_per_second": 0.5,
        "tokens_per_second": 40.0,
        "error_rate_percent": 0.0,
        "response_time_ms": {"p50": 800, "p95": 1_900, "p99": 2_000},
    },
    "view": {"requests_per_second": 1 / 60, "response_time_ms": {"p95": 700}},
    "queue": {"pending": 3, "processing": 2},
    "hosts": [
        {"host": "a", "state": "up", "cpu_percent": 20, "memory_percent": 50,
         "gpu_metrics": [{"utilization_percent": 90}, {"utilization_percent": 70}]},
        {"host": "b", "state": "stale", "cpu_percent": 40, "memory_percent": None},
        {"host": "c", "state": "down", "cpu_percent": 99},
    ],
}  # fmt: skip


class TheLastMinute:
    def test_has_a_value_for_each_tile(self) -> None:
        minute = last_minute(TILES, TICK, None, Filters())
        assert minute
        assert minute.requests == 30
        assert minute.values == {
            "requests": 0.5, "throughput": 40.0, "p50": 800, "p95": 1_900, "p99": 2_000, "errors": 0.0, "queue": 3,
            "cpu": 40, "memory": 50, "gpu": 80,
        }  # fmt: skip

    def test_names_the_busiest_host_that_is_not_down(self) -> None:
        minute = last_minute(TILES, TICK, None, Filters())
        assert minute
        assert minute.hosts == {"cpu": "b", "memory": "a", "gpu": "a"}

    def test_has_the_busiest_line_where_the_tick_does_not_have_all_hosts(self) -> None:
        lines = {"a": [20, 30], "z": [90, 95, None], "gone": [99, None, None], OTHERS: [100, 100, 100]}
        series = [
            {"metric": "system.cpu_percent", "stat": "avg", "labels": {"host": host}, "values": values}
            for host, values in lines.items()
        ]
        minute = last_minute(TILES, TICK | {"hosts_omitted": 150}, {"series": series}, Filters())
        assert minute
        assert (minute.hosts["cpu"], minute.values["cpu"]) == ("z", 95)

    def test_with_filters_is_of_the_requests_machines_and_queues_that_match(self) -> None:
        history = {"series": [{"metric": "queue.pending", "stat": "avg", "labels": {}, "values": [9, 7, None]}]}
        minute = last_minute(TILES, TICK, history, Filters(host=("b",)))
        assert minute
        assert minute.requests == 1
        assert {name: minute.values[name] for name in ("p95", "p50", "queue", "cpu", "gpu")} == {
            "p95": 700, "p50": None, "queue": 7, "cpu": 40, "gpu": None,
        }  # fmt: skip

    def test_is_not_known_without_a_tick_or_the_requests_that_match(self) -> None:
        assert last_minute(TILES, None, None, Filters()) is None
        assert last_minute(TILES, TICK | {"view": None}, None, Filters(model=("m",))) is None
