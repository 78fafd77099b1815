"""The catalogue: every metric that the product promises, each described once and answerable."""

from __future__ import annotations

import pytest

from metrics import catalogue
from metrics.catalogue import Combine, Kind, UnknownMetric, UnknownStat

# What people are promised by these names, by type.
PROMISED = {
    "inference": {
        "prompt_tokens", "completion_tokens", "total_tokens", "response_time_ms", "tokens_per_second", "queue_time_ms",
        "processing_time_ms", "ttft_ms", "time_per_output_token_ms", "cached_tokens", "reasoning_tokens", "cost_usd",
    },
    "system": {
        "cpu_percent", "memory_percent", "memory_used_gb", "memory_total_gb", "disk_percent", "gpu_count",
        "network_bytes_sent", "network_bytes_recv", "load_average",
    },
    "gpu": {
        "temperature", "utilization_percent", "memory_used_mb", "memory_total_mb", "memory_percent", "power_draw_watts",
        "power_limit_watts",
    },
    "queue": {
        "pending", "processing", "wait_time_ms", "oldest_seconds", "ratelimit_remaining_requests",
        "ratelimit_remaining_tokens",
    },
    "error": {"count"},
}  # fmt: skip


class TheCatalogue:
    @pytest.mark.parametrize("kind", PROMISED)
    def test_holds_every_promised_field_that_is_a_figure(self, kind: str) -> None:
        there = {name for metric in catalogue.of_type(kind) for name in (metric.short, metric.field)}
        assert PROMISED[kind] - there == set()

    def test_names_each_metric_once(self) -> None:
        assert len(catalogue.BY_NAME) == len(catalogue.ALL)

    @pytest.mark.parametrize("metric", catalogue.ALL, ids=lambda metric: metric.name)
    def test_says_of_each_what_it_is(self, metric: catalogue.Metric) -> None:
        assert metric.title
        assert metric.unit
        assert metric.help.endswith(".")
        assert metric.worse in ("up", "down", None)
        assert metric.check_stat(metric.default_stat)

    def test_adds_no_percentages_up(self) -> None:
        added = [m.name for m in catalogue.ALL if m.unit == "%" and m.combine is Combine.SUM and m.type != "monitor"]
        assert added == []

    @pytest.mark.django_db
    def test_names_columns_that_the_tables_have(self) -> None:
        from metrics import models

        tables = {
            "inference": columns(models.InferenceRollup),
            "system": columns(models.SystemMetrics),
            "monitor": columns(models.SystemMetrics),
            "gpu": columns(models.GPUMetrics),
            "queue": columns(models.QueueMetrics),
            "engine": columns(models.EngineMetrics),
        }
        derived = {"inference.requests", "inference.failed_requests", "error.count"}
        derived |= {metric.name for metric in catalogue.ALL if metric.kind is Kind.RATIO}
        missing = [
            metric.name
            for metric in catalogue.ALL
            if metric.name not in derived and metric.column not in tables[metric.type]
        ]
        assert missing == []


def columns(model: type) -> set[str]:
    return {field.name for field in model._meta.get_fields()}  # type: ignore[attr-defined]


class AName:
    def test_may_be_short(self) -> None:
        assert catalogue.resolve("ttft_ms").name == "inference.ttft_ms"

    @pytest.mark.parametrize(
        ("kind", "field"), [(kind, field) for kind, fields in PROMISED.items() for field in sorted(fields)]
    )
    def test_may_be_the_field_that_was_sent(self, kind: str, field: str) -> None:
        metric = catalogue.resolve(field)

        assert field in (metric.short, metric.field)
        assert metric.type == ("system" if field == "memory_percent" else kind)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("cpu_percent", "system.cpu_percent"),
            ("memory_percent", "system.memory_percent"),
            ("gpu.memory_percent", "gpu.memory_percent"),
            ("temperature", "gpu.temperature"),
            ("load_average", "system.load_1m"),
            ("response_time_ms", "inference.response_time_ms"),
        ],
    )
    def test_means_the_metric_whose_values_are_sent_under_it(self, name: str, meant: str) -> None:
        assert catalogue.resolve(name).name == meant

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("latency_ms", "inference.response_time_ms"),
            ("duration_ms", "inference.response_time_ms"),
            ("input_tokens", "inference.prompt_tokens"),
            ("output_tokens", "inference.completion_tokens"),
            ("cache_read_input_tokens", "inference.cached_tokens"),
            ("totalTokenCount", "inference.total_tokens"),
        ],
    )
    def test_may_be_that_of_a_provider(self, name: str, meant: str) -> None:
        assert catalogue.resolve(name).name == meant

    def test_is_shared_by_no_others(self) -> None:
        sent = [metric for metric in catalogue.ALL if metric.type != "monitor"]
        others = {metric.name for metric in sent if catalogue.resolve(metric.short) is not metric}
        assert others == {"gpu.memory_percent"}  # which docs/metrics.md names

    @pytest.mark.parametrize("metric", catalogue.of_type("monitor"), ids=lambda metric: metric.name)
    def test_of_the_monitor_is_never_short(self, metric: catalogue.Metric) -> None:
        assert catalogue.resolve(metric.name) is metric
        assert metric not in catalogue.BY_SHORT_NAME.values()

    def test_that_means_none_is_answered_with_what_there_is(self) -> None:
        with pytest.raises(UnknownMetric) as refused:
            catalogue.resolve("latency")
        assert refused.value.candidates == catalogue.NAMES


class AStatistic:
    @pytest.mark.parametrize("stat", ["p50", "p99.9", "p1", "p99.999"])
    def test_of_a_distribution_may_be_any_percentile(self, stat: str) -> None:
        assert catalogue.get("inference.ttft_ms").check_stat(stat) == stat

    @pytest.mark.parametrize("stat", ["p100", "p", "median", "p99.9999", "p-1", "P95"])
    def test_that_is_none_is_refused_with_what_there_is(self, stat: str) -> None:
        with pytest.raises(UnknownStat) as refused:
            catalogue.get("inference.ttft_ms").check_stat(stat)
        assert "p95" in refused.value.candidates

    def test_of_a_gauge_is_never_a_percentile(self) -> None:
        with pytest.raises(UnknownStat, match="avg, min, max, last"):
            catalogue.get("system.cpu_percent").check_stat("p95")
