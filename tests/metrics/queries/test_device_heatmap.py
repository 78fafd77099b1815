"""Heatmaps of hosts and GPUs over time, compared with means over the samples that were sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metrics import catalogue, queries
from metrics.queries import Filters, Window
from metrics.queries.answers.resource_heatmap import METRICS
from tests.metrics.queries.known_events import NOW, Known, mean

pytestmark = [pytest.mark.store, pytest.mark.django_db]

EVERYTHING = Filters()
HOUR = Window.last(3_600, NOW)


def of_gpu(known: Known, host: str, gpu: str, start: float, seconds: int, field: str) -> list[float]:
    """The values of a GPU in the samples of a step."""
    return [
        value
        for event in known.machines
        if event.host == host and start <= event.timestamp.timestamp() < start + seconds
        for sample in event.gpu_metrics
        if sample.gpu_id == gpu and (value := getattr(sample, field)) is not None
    ]


class AHeatmapByGpu:
    @pytest.mark.parametrize("field", ["utilization_percent", "temperature", "power_draw_watts"])
    def test_has_the_mean_of_the_samples_of_each_gpu_and_step(self, known: Known, field: str) -> None:
        metric = catalogue.get(f"gpu.{field}")

        result = queries.device_heatmap(metric, "gpu", HOUR, EVERYTHING, step=300, now=NOW).as_dict()

        assert json.loads(json.dumps(result)) == result
        gpus = [("alpha", "0"), ("alpha", "1"), ("beta", "0")]
        if field == "power_draw_watts":
            del gpus[1]  # it sends no power
        assert [(labels["host"], labels["gpu"]) for labels in result["labels"]] == gpus
        assert result["rows"] == [f"{host} GPU {gpu}" for host, gpu in gpus]
        assert len(result["columns"]) == 13  # the hour begins within a step
        for (host, gpu), row in zip(gpus, result["values"], strict=True):
            sums = [of_gpu(known, host, gpu, column / 1000, 300, field) for column in result["columns"]]
            assert row == pytest.approx([mean(values) for values in sums], rel=1e-9)


class AHeatmapByHost:
    @pytest.mark.parametrize("metric", METRICS, ids=[metric.name for metric in METRICS])
    def test_has_the_values_of_the_history(self, known: Known, metric: Any) -> None:
        spec = queries.SeriesSpec(metric, metric.default_stat, ("host",))
        history = queries.series([spec], HOUR, EVERYTHING, step=300, now=NOW).lines

        result = queries.device_heatmap(metric, "host", HOUR, EVERYTHING, step=300, now=NOW)

        assert [(labels["host"], row) for labels, row in zip(result.labels, result.values, strict=True)] == [
            (line.labels["host"], line.values) for line in history
        ]

    def test_has_the_hosts_of_the_filter(self, known: Known) -> None:
        result = queries.device_heatmap(
            catalogue.get("system.cpu_percent"), "host", HOUR, Filters(host=("beta",)), now=NOW
        )

        assert result.labels == [{"host": "beta"}]
