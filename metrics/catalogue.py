"""Every metric, described once.

The API's validation, the forms' choices, the charts' titles, the formatting of numbers, the OpenAPI enums and
`docs/metrics.md` all read this table. Adding a metric is one entry here (and, where it is new to the store, a column).

A metric's name is `type.name`, such as `inference.ttft_ms`; the short name is accepted where it is unambiguous.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What may be asked of a metric."""

    HISTOGRAM = "histogram"  # a distribution over requests: percentiles, average, extremes, sum, rate, count
    COUNT = "count"  # how many, or how much in all: sum and rate
    RATIO = "ratio"  # one count over another, in percent: avg
    GAUGE = "gauge"  # a level that was sampled: avg, min, max, last
    COUNTER = "counter"  # a total since some start, sampled: rate of growth, last


class Combine(StrEnum):
    """How a metric of several instances (models, hosts, GPUs, engines) becomes one figure.

    Two engines that use 40 % of their caches do not use 80 %: percentages take the mean, queue lengths the sum.
    """

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MERGE = "merge"  # distributions are merged, then asked


STATS: dict[Kind, tuple[str, ...]] = {
    Kind.HISTOGRAM: ("avg", "min", "max", "sum", "rate", "count", "p50", "p75", "p90", "p95", "p99", "p99.9"),
    Kind.COUNT: ("sum", "rate", "count"),
    Kind.RATIO: ("avg",),
    Kind.GAUGE: ("avg", "min", "max", "last"),
    Kind.COUNTER: ("rate", "last"),
}
ALL_STATS = ("avg", "min", "max", "sum", "rate", "count", "last", "p50", "p75", "p90", "p95", "p99", "p99.9")
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")


class UnknownMetric(ValueError):
    """No metric, or more than one, has this name. `candidates` lists what is allowed or could be meant."""

    def __init__(self, name: str, candidates: tuple[str, ...], ambiguous: bool = False) -> None:
        self.name = name
        self.candidates = candidates
        said = "may mean" if ambiguous else "is not a metric; these are"
        super().__init__(f"{name!r} {said} {', '.join(candidates)}")


class UnknownStat(ValueError):
    """This metric cannot answer this statistic. `candidates` lists those that it can."""

    def __init__(self, metric: Metric, stat: str) -> None:
        self.candidates = STATS[metric.kind]
        super().__init__(f"{metric.name} is a {metric.kind}: it has {', '.join(self.candidates)}, not {stat!r}")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, what kind it is, in which unit, and in which direction it is worse."""

    name: str
    kind: Kind
    unit: str
    title: str
    help: str
    worse: str | None = None  # "up", "down", or None where neither is a judgement
    combine: Combine = Combine.MERGE
    source: str | None = None  # the seed field that it comes from
    column: str | None = None  # its column in the rollup or raw table, where that has another name
    default_stat: str = "avg"

    @property
    def type(self) -> str:
        """What it is measured on: inference, error, queue, system, gpu, engine or monitor."""
        return self.name.split(".", 1)[0]

    @property
    def short(self) -> str:
        """The name without its type."""
        return self.name.split(".", 1)[1]

    @property
    def stored(self) -> str:
        """The column that holds it."""
        return self.column or self.source or self.short

    @property
    def stats(self) -> tuple[str, ...]:
        """The statistics that it answers."""
        return STATS[self.kind]

    def check_stat(self, stat: str) -> str:
        """`stat` when this metric answers it (any percentile of a histogram). Raises UnknownStat."""
        if stat in self.stats or (self.kind is Kind.HISTOGRAM and PERCENTILE.fullmatch(stat)):
            return stat
        raise UnknownStat(self, stat)


def _histogram(name: str, unit: str, title: str, help: str, worse: str | None, **more: str) -> Metric:
    return Metric(f"inference.{name}", Kind.HISTOGRAM, unit, title, help, worse, Combine.MERGE, source=name, **more)


def _count(name: str, unit: str, title: str, help: str, worse: str | None = None, **more: str) -> Metric:
    return Metric(f"inference.{name}", Kind.COUNT, unit, title, help, worse, Combine.SUM, default_stat="rate", **more)


def _gauge(
    name: str, unit: str, title: str, help: str, worse: str | None = "up", combine: Combine = Combine.MEAN
) -> Metric:
    return Metric(name, Kind.GAUGE, unit, title, help, worse, combine, source=name.split(".", 1)[1])


def _counter(name: str, unit: str, title: str, help: str, worse: str | None = None) -> Metric:
    return Metric(
        name, Kind.COUNTER, unit, title, help, worse, Combine.SUM, source=name.split(".", 1)[1], default_stat="rate"
    )


ALL: tuple[Metric, ...] = (
    # Requests: distributions. Times and speed are over successful requests, tokens over all.
    _histogram("response_time_ms", "ms", "Response time", "From sending a request to the end of its answer.", "up", default_stat="p95"),
    _histogram("processing_time_ms", "ms", "Processing time", "Response time without the wait in the queue.", "up", default_stat="p95"),
    _histogram("queue_time_ms", "ms", "Queue time", "How long a request waited before work on it began.", "up", default_stat="p95"),
    _histogram("ttft_ms", "ms", "Time to first token", "From sending a request to its first token.", "up", default_stat="p95"),
    _histogram("time_per_output_token_ms", "ms", "Time per output token", "Time between two output tokens, the first one not counted.", "up", default_stat="p95"),
    _histogram("prompt_tokens", "tokens", "Prompt tokens", "Input tokens of a request.", None, default_stat="avg"),
    _histogram("completion_tokens", "tokens", "Completion tokens", "Output tokens of a request.", None, default_stat="avg"),
    _histogram("tokens_per_second", "tokens/s", "Generation speed", "Output tokens per second of one request, after its first token where that is known.", "down", default_stat="avg"),
    Metric("inference.failed_response_time_ms", Kind.HISTOGRAM, "ms", "Response time of failures", "How long failed requests took to fail.", "up", default_stat="p95"),
    # Requests: counts.
    _count("requests", "requests", "Requests", "Requests that ended, failed ones among them."),
    _count("failed_requests", "requests", "Failed requests", "Requests that failed, for whatever reason.", "up"),
    _count("client_errors", "requests", "Client errors", "Requests refused as wrong (4xx).", "up", column="client_error"),
    _count("rate_limited", "requests", "Rate-limited", "Requests refused because there were too many (429).", "up"),
    _count("server_errors", "requests", "Server errors", "Requests that failed at the server.", "up", column="server_error"),
    _count("timeouts", "requests", "Timeouts", "Requests that took longer than the caller waited.", "up", column="timeout"),
    _count("cancelled", "requests", "Cancelled", "Requests that the caller ended."),
    _count("streamed", "requests", "Streamed requests", "Requests whose answer came token by token."),
    _count("total_tokens", "tokens", "Tokens", "Input and output tokens.", column="total_tokens"),
    _count("cached_tokens", "tokens", "Cached tokens", "Input tokens read from a prompt cache."),
    _count("reasoning_tokens", "tokens", "Reasoning tokens", "Output tokens spent on reasoning."),
    _count("cost_usd", "USD", "Cost", "What the requests cost, where that is known.", "up", column="cost_nanodollars"),
    # Requests: ratios.
    Metric("inference.error_rate_percent", Kind.RATIO, "%", "Error rate", "Failed requests out of all requests.", "up", Combine.MERGE),
    Metric("inference.success_rate_percent", Kind.RATIO, "%", "Success rate", "Successful requests out of all requests.", "down", Combine.MERGE),
    # Errors as they were reported, warnings among them.
    Metric("error.count", Kind.COUNT, "errors", "Errors", "Errors reported, warnings among them.", "up", Combine.SUM, default_stat="sum"),
    # Queues.
    _gauge("queue.pending", "requests", "Pending", "Requests that wait.", "up", Combine.SUM),
    _gauge("queue.processing", "requests", "Processing", "Requests being worked on.", None, Combine.SUM),
    _gauge("queue.wait_time_ms", "ms", "Wait time", "How long the queue says that a request waits.", "up", Combine.MAX),
    # Machines.
    _gauge("system.cpu_percent", "%", "CPU", "Use of all cores (of the container's share, in one)."),
    _gauge("system.memory_percent", "%", "Memory", "Memory in use."),
    _gauge("system.memory_used_gb", "GB", "Memory used", "Memory in use; 1 GB is 2³⁰ bytes.", "up", Combine.SUM),
    _gauge("system.memory_total_gb", "GB", "Memory in all", "Memory of the machine or its container.", None, Combine.SUM),
    _gauge("system.disk_percent", "%", "Disk", "Use of the filesystem that holds the data directory.", "up", Combine.MAX),
    _gauge("system.swap_percent", "%", "Swap", "Swap space in use."),
    _gauge("system.gpu_count", "GPUs", "GPUs", "Number of GPUs detected.", "down", Combine.SUM),
    _counter("system.network_bytes_sent", "bytes", "Network out", "Bytes sent since boot; its rate is bytes per second."),
    _counter("system.network_bytes_recv", "bytes", "Network in", "Bytes received since boot; its rate is bytes per second."),
    _counter("system.disk_read_bytes", "bytes", "Disk reads", "Bytes read from disks since boot."),
    _counter("system.disk_write_bytes", "bytes", "Disk writes", "Bytes written to disks since boot."),
    Metric("system.load_1m", Kind.GAUGE, "processes", "Load", "Load average over one minute.", "up", Combine.SUM, source="load_average", column="load_1m"),
    # GPUs.
    _gauge("gpu.utilization_percent", "%", "GPU utilisation", "Share of time in which a kernel ran.", None),
    _gauge("gpu.memory_percent", "%", "GPU memory", "GPU memory in use.", None),
    _gauge("gpu.memory_used_mb", "MB", "GPU memory used", "GPU memory in use; 1 MB is 2²⁰ bytes.", None, Combine.SUM),
    _gauge("gpu.memory_total_mb", "MB", "GPU memory in all", "Memory of the GPU.", None, Combine.SUM),
    _gauge("gpu.temperature", "°C", "GPU temperature", "Temperature of the chip.", "up", Combine.MAX),
    _gauge("gpu.power_draw_watts", "W", "GPU power", "Power drawn now.", None, Combine.SUM),
    _gauge("gpu.power_limit_watts", "W", "GPU power limit", "The most that the GPU may draw.", None, Combine.SUM),
    _gauge("gpu.sm_clock_mhz", "MHz", "GPU clock", "Clock of the multiprocessors.", "down", Combine.MEAN),
    # Serving engines.
    _gauge("engine.running", "requests", "Running", "Requests in the engine's batch.", None, Combine.SUM),
    _gauge("engine.waiting", "requests", "Waiting", "Requests in the engine's queue.", "up", Combine.SUM),
    _gauge("engine.kv_cache_usage_percent", "%", "KV cache", "Share of the key-value cache in use."),
    _gauge("engine.prefix_cache_hit_percent", "%", "Prefix cache hits", "Prompt tokens found in the prefix cache.", "down"),
    _counter("engine.preemptions_total", "requests", "Preemptions", "Requests thrown out of the batch to make room.", "up"),
    _counter("engine.prompt_tokens_total", "tokens", "Engine prompt tokens", "Prompt tokens that the engine worked on."),
    _counter("engine.generation_tokens_total", "tokens", "Engine output tokens", "Tokens that the engine generated."),
    # This monitor.
    Metric("monitor.cpu_percent", Kind.GAUGE, "%", "Monitor CPU", "CPU of this monitor, of one core.", "up", Combine.SUM, source="monitor_cpu_percent"),
    Metric("monitor.memory_mb", Kind.GAUGE, "MB", "Monitor memory", "Resident memory of this monitor.", "up", Combine.SUM, source="monitor_memory_mb"),
)  # fmt: skip

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in ALL}
NAMES: tuple[str, ...] = tuple(BY_NAME)
TYPES: tuple[str, ...] = tuple(dict.fromkeys(metric.type for metric in ALL))


def get(name: str) -> Metric:
    """The metric of this full name. Raises UnknownMetric."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownMetric(name, NAMES) from None


def resolve(name: str) -> Metric:
    """The metric of this full or short name. Raises UnknownMetric, also when a short name has several meanings."""
    if name in BY_NAME:
        return BY_NAME[name]
    found = tuple(metric.name for metric in ALL if metric.short == name)
    if len(found) == 1:
        return BY_NAME[found[0]]
    raise UnknownMetric(name, found or NAMES, ambiguous=bool(found))


def of_type(*types: str) -> tuple[Metric, ...]:
    """The metrics of these types, in the order of the table."""
    return tuple(metric for metric in ALL if metric.type in types)
