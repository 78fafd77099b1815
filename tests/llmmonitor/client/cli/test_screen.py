"""The lines of `llmmonitor top` fit into the terminal and show what the tick has."""

from __future__ import annotations

import re
from typing import Any

import pytest

from llmmonitor.client.cli.screen import _cells, screen


def figures(requests: float | None = 1.5, **more: Any) -> dict[str, Any]:
    times = {"avg": 700.0, "p50": 602.1, "p95": 1_560.0, "p99": 75_000.0}
    return {
        "requests_per_second": requests,
        "tokens_per_second": 12_345.6,
        "response_time_ms": times,
        "ttft_ms": dict.fromkeys(times, 20.0),
        "error_rate_percent": 3.94,
        "in_flight": 15,
        **more,
    }


def tick(models: int = 3, hosts: int = 2, **more: Any) -> dict[str, Any]:
    gpus = [{"utilization_percent": 96, "memory_percent": 80}, {"utilization_percent": 90, "memory_percent": None}]
    return {
        "at": "2026-03-01T12:00:01.25Z",
        "overall": figures(),
        "models": {f"model-{number}": figures(number) for number in range(models)},
        "models_omitted": 0,
        "queue": {"pending": 3, "processing": 12, "oldest_seconds": 4.2, "ratelimit_remaining_requests": 480},
        "hosts": [{"host": f"gpu-{n}", "state": "up", "cpu_percent": 41.5, "gpu_metrics": gpus} for n in range(hosts)],
        "alerts": {"firing": 0},
        **more,
    }


def shown(tick: dict[str, Any], width: int = 80, height: int = 24, problem: str = "") -> list[str]:
    lines = screen(tick, "http://127.0.0.1:8899", problem, width, height)
    return [re.sub(r"\x1b\[\d*m", "", line) for line in lines]


class TheScreen:
    def test_has_the_figures(self) -> None:
        lines = shown(tick())
        assert [line.split("   ")[0].strip() for line in lines[:4]] == [
            "LLM Monitor  http://127.0.0.1:8899",
            "1.50 requests/s",
            "Response time p50 602 ms  p95 1.56 s  p99 75 s",
            "Queue: 3 wait, 12 in processing",
        ]
        assert lines[0].endswith(" 12:00:01 UTC")
        assert "12.3k tokens/s" in lines[1]
        assert "oldest 4.2 s   left: 480 requests, — tokens" in lines[3]
        assert [line.split()[:3] for line in lines[5:9]] == [
            ["MODEL", "REQ/S", "TOK/S"], ["model-0", "0", "12.3k"],
            ["model-1", "1", "12.3k"], ["model-2", "2", "12.3k"],
        ]  # fmt: skip
        assert lines[10].split() == ["gpu-0", "41.5", "%", "—", "—", "93", "%", "80", "%"]
        assert lines[-1].split() == ["q", "ends"]

    @pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 60), (40, 10), (20, 3)])
    @pytest.mark.parametrize(("models", "hosts"), [(0, 0), (3, 1), (20, 40)])
    def test_fits_into_the_terminal(self, width: int, height: int, models: int, hosts: int) -> None:
        lines = shown(tick(models, hosts, alerts={"firing": 3}), width, height, "no response " * 20)
        assert len(lines) <= height
        assert all(sum(map(_cells, line)) <= width for line in lines)

    def test_fits_with_names_of_wide_characters(self) -> None:
        lines = shown(tick() | {"models": {"模型" * 30: figures(), "e\u0301" * 5: figures()}})
        assert all(sum(map(_cells, line)) <= 80 for line in lines)
        assert lines[6].endswith("3.94 %     15")
        assert lines[7].endswith("3.94 %     15")

    def test_counts_the_models_for_which_there_is_no_room(self) -> None:
        lines = shown(tick(20, 40, models_omitted=7, alerts={"firing": 2}))
        assert sum(line.startswith("model-") for line in lines) == 11
        assert sum(line.startswith("gpu-") for line in lines) == 5
        assert "Alerts that fire: 2   Further models: 16" in lines[-1]

    def test_shows_why_the_figures_are_old(self) -> None:
        assert shown(tick(), problem="no response")[-1].startswith("no response ")

    def test_has_no_control_characters_of_names(self) -> None:
        lines = screen(tick() | {"models": {"a\x1b[2Jb\n": figures()}}, "http://x", "", 80, 24)
        assert any("a·[2Jb·" in line for line in lines)

    @pytest.mark.parametrize("odd", [{}, {"overall": None, "models": [], "hosts": None, "queue": 5, "alerts": {}}])
    def test_of_a_tick_without_figures_has_none(self, odd: dict[str, Any]) -> None:
        assert shown(odd)[1].startswith("— requests/s   — tokens/s")
