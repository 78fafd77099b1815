"""The table of metrics: each is described once, here.

The API's validation, the OpenAPI enums, the chart titles and number formats, the lists of columns that the store writes
and reads, and `docs/metrics.md` are derived from this table. To add a metric, add an entry here, a field to the event
(`metrics.events`), fields to the models (`metrics.models`), and a migration.

A metric's name is `type.name`, such as `inference.ttft_ms`. The API also accepts the short name (`ttft_ms`) and the name
of the field that was sent (`load_average`), also as a provider names it (`latency_ms`). `BY_SHORT_NAME` and
`FIELD_ALIASES` have the metric that each of these names means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a metric; it decides which statistics the metric has."""

    HISTOGRAM = "histogram"  # a distribution over requests
    COUNT = "count"  # a number of events, or an amount summed over them
    RATIO = "ratio"  # one count divided by another, in percent
    GAUGE = "gauge"  # a sampled level
    COUNTER = "counter"  # a sampled total that only grows


class Combine(StrEnum):
    """How the values of several instances (models, hosts, GPUs, engines) are combined into one.

    Two engines that use 40 % of their caches do not use 80 %: percentages are averaged, queue lengths are added.
    """

    SUM = "sum"
    MEAN = "mean"
    MAX = "max"
    MIN = "min"
    MERGE = "merge"  # histograms are merged before a statistic is computed


class Population(StrEnum):
    """The requests that a histogram covers.

    Times and generation speed cover successful requests only, because requests that fail fast would improve them.
    """

    SUCCESSFUL = "successful"
    FAILED = "failed"
    TIMED_OUT = "timed_out"  # they are failed, too
    ALL = "all"


STATS: dict[Kind, tuple[str, ...]] = {
    Kind.HISTOGRAM: ("avg", "min", "max", "sum", "rate", "count", "p50", "p75", "p90", "p95", "p99", "p99.9"),
    Kind.COUNT: ("sum", "rate", "count"),
    Kind.RATIO: ("avg",),
    Kind.GAUGE: ("avg", "min", "max", "last"),
    Kind.COUNTER: ("rate", "last"),
}
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,3})?)")


class UnknownMetric(ValueError):
    """No metric has this name. `candidates` lists the full names of all metrics."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.candidates = NAMES
        super().__init__(f"{name!r} is not a metric; the metrics are {', '.join(NAMES)}")


class UnknownStat(ValueError):
    """The metric does not have this statistic. `candidates` lists those that it has."""

    def __init__(self, metric: Metric, stat: str) -> None:
        self.candidates = STATS[metric.kind]
        super().__init__(f"{metric.name} is a {metric.kind}: it has {', '.join(self.candidates)}, not {stat!r}")


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    worse: the direction in which it gets worse, "up" or "down"; None where neither is worse.
    field: the field of the event or sample that it is read from; the short name by default.
    column: its column in the rollup or sample table; `field` by default.
    population: for a histogram, the requests that it is over.
    """

    name: str
    kind: Kind
    unit: str
    title: str
    help: str
    worse: str | None = None
    combine: Combine = Combine.MERGE
    field: str = ""
    column: str = ""
    default_stat: str = "avg"
    population: Population = Population.ALL

    def __post_init__(self) -> None:
        object.__setattr__(self, "field", self.field or self.short)
        object.__setattr__(self, "column", self.column or self.field)

    @property
    def type(self) -> str:
        """What it is measured on: inference, error, queue, system, gpu, engine or monitor."""
        return self.name.split(".", 1)[0]

    @property
    def short(self) -> str:
        """The name without its type."""
        return self.name.split(".", 1)[1]

    @property
    def stats(self) -> tuple[str, ...]:
        """The statistics that it has."""
        return STATS[self.kind]

    def check_stat(self, stat: str) -> str:
        """Return `stat` if this metric has it; a histogram has any percentile. Raises UnknownStat."""
        if stat in self.stats or (self.kind is Kind.HISTOGRAM and PERCENTILE.fullmatch(stat)):
            return stat
        raise UnknownStat(self, stat)


def _time(name: str, title: str, help: str) -> Metric:
    return _of_successful(name, "ms", title, help, "up", "p95")


def _of_successful(name: str, unit: str, title: str, help: str, worse: str, default_stat: str) -> Metric:
    return Metric(
        f"inference.{name}",
        Kind.HISTOGRAM,
        unit,
        title,
        help,
        worse,
        default_stat=default_stat,
        population=Population.SUCCESSFUL,
    )


def _tokens(name: str, title: str, help: str) -> Metric:
    # The sum of the tokens is in the column `name`, so the histogram has another one.
    return Metric(f"inference.{name}", Kind.HISTOGRAM, "tokens", title, help, column=f"{name}_histogram")


def _count(name: str, unit: str, title: str, help: str, worse: str | None = None, column: str = "") -> Metric:
    return Metric(
        f"inference.{name}", Kind.COUNT, unit, title, help, worse, Combine.SUM, column=column, default_stat="rate"
    )


def _gauge(
    name: str, unit: str, title: str, help: str, worse: str | None = "up", combine: Combine = Combine.MEAN
) -> Metric:
    return Metric(name, Kind.GAUGE, unit, title, help, worse, combine)


def _counter(name: str, unit: str, title: str, help: str, worse: str | None = None) -> Metric:
    return Metric(name, Kind.COUNTER, unit, title, help, worse, Combine.SUM, default_stat="rate")


ALL: tuple[Metric, ...] = (
    # Requests: distributions.
    _time("response_time_ms", "Response time", "Time from sending a request to the end of its response."),
    _time("processing_time_ms", "Processing time", "Response time without the queue time."),
    _time("queue_time_ms", "Queue time", "Time that a request waited before processing began."),
    _time("ttft_ms", "Time to first token", "Time from sending a request to its first output token."),
    _time("time_per_output_token_ms", "Time per output token", "Mean time between output tokens, without the first token."),
    _tokens("prompt_tokens", "Prompt tokens", "Input tokens of a request."),
    _tokens("completion_tokens", "Completion tokens", "Output tokens of a request."),
    _of_successful("tokens_per_second", "tokens/s", "Generation speed", "Output tokens per second of one request: the tokens after the first, divided by the time after the first (none for fewer than two tokens). If the time to first token is unknown: all output tokens, divided by the processing time.", "down", "avg"),
    Metric("inference.failed_response_time_ms", Kind.HISTOGRAM, "ms", "Response time of failures", "Time from sending a request to its failure.", "up", field="response_time_ms", column="failed_response_time_ms", default_stat="p95", population=Population.FAILED),
    Metric("inference.timeout_response_time_ms", Kind.HISTOGRAM, "ms", "Response time of timeouts", "Time from sending a request to its timeout.", "up", field="response_time_ms", column="timeout_response_time_ms", default_stat="p95", population=Population.TIMED_OUT),
    # Requests: counts.
    _count("requests", "requests", "Requests", "Completed requests, including failed ones."),
    _count("failed_requests", "requests", "Failed requests", "Requests that failed for any reason.", "up"),
    _count("client_errors", "requests", "Client errors", "Requests that were rejected because of the client (HTTP 4xx except 408, 429 and 499).", "up", "client_error"),
    _count("rate_limited", "requests", "Rate-limited", "Requests that were rejected because of a rate limit (HTTP 429).", "up"),
    _count("server_errors", "requests", "Server errors", "Requests that failed in the server.", "up", "server_error"),
    _count("timeouts", "requests", "Timeouts", "Requests that timed out (HTTP 408 or 504, or a timeout error).", "up", "timeout"),
    _count("cancelled", "requests", "Cancelled", "Requests that the client cancelled."),
    _count("streamed", "requests", "Streamed requests", "Requests with a streamed response."),
    _count("finish_stop", "requests", "Ended by the model", "Requests whose output ended by itself or at a stop sequence."),
    _count("finish_length", "requests", "Cut off", "Requests whose output was cut off at its maximum length."),
    _count("finish_tool", "requests", "Ended in a tool call", "Requests whose output ended in a call of a tool."),
    _count("finish_content_filter", "requests", "Filtered", "Requests whose output was stopped by a content filter."),
    _count("finish_error", "requests", "Ended by an error", "Requests whose output ended with an error."),
    _count("finish_other", "requests", "Ended otherwise", "Requests whose output ended for another reason."),
    _count("total_tokens", "tokens", "Tokens", "Input and output tokens."),
    _count("cached_tokens", "tokens", "Cached tokens", "Input tokens read from a prompt cache."),
    _count("reasoning_tokens", "tokens", "Reasoning tokens", "Output tokens used for reasoning."),
    _count("cost_usd", "USD", "Cost", "Cost of the requests whose cost is known.", "up", "cost_nanodollars"),
    # Requests: ratios.
    Metric("inference.error_rate_percent", Kind.RATIO, "%", "Error rate", "Failed requests as a share of all requests.", "up"),
    Metric("inference.success_rate_percent", Kind.RATIO, "%", "Success rate", "Successful requests as a share of all requests.", "down"),
    # Errors as they were reported, including warnings.
    Metric("error.count", Kind.COUNT, "errors", "Errors", "Reported errors, including warnings.", "up", Combine.SUM, default_stat="sum"),
    # Queues.
    _gauge("queue.pending", "requests", "Pending", "Requests that wait in the queue.", "up", Combine.SUM),
    _gauge("queue.processing", "requests", "Processing", "Requests that are being processed.", None, Combine.SUM),
    _gauge("queue.wait_time_ms", "ms", "Wait time", "Time that a request waits in the queue, as reported by the queue.", "up", Combine.MAX),
    _gauge("queue.oldest_seconds", "s", "Oldest request", "Age of the oldest request in flight, as reported by the queue.", "up", Combine.MAX),
    _gauge("queue.ratelimit_remaining_requests", "requests", "Remaining requests", "Requests that the provider's rate limit still allows.", "down", Combine.MIN),
    _gauge("queue.ratelimit_remaining_tokens", "tokens", "Remaining tokens", "Tokens that the provider's rate limit still allows.", "down", Combine.MIN),
    # Hosts.
    _gauge("system.cpu_percent", "%", "CPU", "Utilisation of all CPU cores; in a container, of its CPU limit."),
    _gauge("system.memory_percent", "%", "Memory", "Memory in use; in a container, of its memory limit."),
    _gauge("system.memory_used_gb", "GiB", "Memory used", "Memory in use.", "up", Combine.SUM),
    _gauge("system.memory_total_gb", "GiB", "Total memory", "Memory of the host or the container.", None, Combine.SUM),
    _gauge("system.disk_percent", "%", "Disk", "Used space of the filesystem that holds the data directory.", "up", Combine.MAX),
    _gauge("system.swap_percent", "%", "Swap", "Swap space in use."),
    _gauge("system.gpu_count", "GPUs", "GPUs", "Number of detected GPUs.", "down", Combine.SUM),
    _counter("system.network_bytes_sent", "bytes", "Network out", "Bytes sent since boot."),
    _counter("system.network_bytes_recv", "bytes", "Network in", "Bytes received since boot."),
    _counter("system.disk_read_bytes", "bytes", "Disk reads", "Bytes read from disks since boot."),
    _counter("system.disk_write_bytes", "bytes", "Disk writes", "Bytes written to disks since boot."),
    Metric("system.load_1m", Kind.GAUGE, "processes", "Load", "Load average over one minute.", "up", Combine.SUM, field="load_average"),
    # GPUs.
    _gauge("gpu.utilization_percent", "%", "GPU utilisation", "Share of time in which at least one kernel ran.", None),
    _gauge("gpu.memory_percent", "%", "GPU memory", "GPU memory in use.", None),
    _gauge("gpu.memory_used_mb", "MiB", "GPU memory used", "GPU memory in use.", None, Combine.SUM),
    _gauge("gpu.memory_total_mb", "MiB", "Total GPU memory", "Memory of the GPU.", None, Combine.SUM),
    _gauge("gpu.temperature", "°C", "GPU temperature", "Temperature of the chip.", "up", Combine.MAX),
    _gauge("gpu.power_draw_watts", "W", "GPU power", "Power draw.", None, Combine.SUM),
    _gauge("gpu.power_limit_watts", "W", "GPU power limit", "Maximum power draw that is allowed.", None, Combine.SUM),
    _gauge("gpu.sm_clock_mhz", "MHz", "GPU clock", "Clock frequency of the streaming multiprocessors.", "down"),
    # Serving engines.
    _gauge("engine.running", "requests", "Running", "Requests in the engine's batch.", None, Combine.SUM),
    _gauge("engine.waiting", "requests", "Waiting", "Requests in the engine's queue.", "up", Combine.SUM),
    _gauge("engine.kv_cache_usage_percent", "%", "KV cache", "Share of the key-value cache in use."),
    _gauge("engine.prefix_cache_hit_percent", "%", "Prefix cache hits", "Share of prompt tokens that the prefix cache held.", "down"),
    _counter("engine.preemptions_total", "requests", "Preemptions", "Requests that were removed from the batch to free memory.", "up"),
    _counter("engine.prompt_tokens_total", "tokens", "Engine prompt tokens", "Prompt tokens that the engine processed."),
    _counter("engine.generation_tokens_total", "tokens", "Engine output tokens", "Tokens that the engine generated."),
    # This monitor.
    Metric("monitor.cpu_percent", Kind.GAUGE, "%", "Monitor CPU", "CPU use of this monitor; 100 % is one core.", "up", Combine.SUM, field="monitor_cpu_percent"),
    Metric("monitor.memory_mb", Kind.GAUGE, "MiB", "Monitor memory", "Resident memory of this monitor.", "up", Combine.SUM, field="monitor_memory_mb"),
    Metric("monitor.events_accepted", Kind.COUNTER, "events", "Events stored", "Events that were stored, samples included.", None, Combine.SUM, field="monitor_events_accepted", default_stat="rate"),
    Metric("monitor.events_duplicate", Kind.COUNTER, "events", "Duplicate events", "Events that were stored already.", None, Combine.SUM, field="monitor_events_duplicate", default_stat="rate"),
    Metric("monitor.events_rejected", Kind.COUNTER, "events", "Rejected events", "Events that were invalid or too old.", "up", Combine.SUM, field="monitor_events_rejected", default_stat="rate"),
    Metric("monitor.posts_refused", Kind.COUNTER, "posts", "Refused posts", "Posts of which nothing was stored: not JSON, too large, queue full, store unavailable.", "up", Combine.SUM, field="monitor_posts_refused", default_stat="rate"),
    Metric("monitor.queued_events", Kind.GAUGE, "events", "Queued events", "Events that wait for their commit.", "up", Combine.SUM, field="monitor_queued_events"),
    Metric("monitor.commit_ms", Kind.GAUGE, "ms", "Commit time", "Mean time of the commits since the sample before.", "up", Combine.MAX, field="monitor_commit_ms"),
    Metric("monitor.commit_p99_ms", Kind.GAUGE, "ms", "Commit time P99", "99th percentile of the commits of the last minute, within 9 %.", "up", Combine.MAX, field="monitor_commit_p99_ms"),
    Metric("monitor.tick_lag_ms", Kind.GAUGE, "ms", "Tick lag", "Time from when a tick of the live stream was due until it was sent; the longest since the sample before.", "up", Combine.MAX, field="monitor_tick_lag_ms"),
    Metric("monitor.live_clients", Kind.GAUGE, "clients", "Live clients", "Browsers and programs that are connected to the live stream.", None, Combine.SUM, field="monitor_live_clients"),
    Metric("monitor.task_lateness_ms", Kind.GAUGE, "ms", "Task lateness", "99th percentile of how late the periodic tasks of the last minute began, within 9 %.", "up", Combine.MAX, field="monitor_task_lateness_ms"),
    Metric("monitor.query_ms", Kind.GAUGE, "ms", "Query time", "Mean time of the queries since the sample before, those of the live stream included.", "up", Combine.MAX, field="monitor_query_ms"),
    Metric("monitor.query_p95_ms", Kind.GAUGE, "ms", "Query time P95", "95th percentile of the queries of pages and of the API in the last minute, within 9 %.", "up", Combine.MAX, field="monitor_query_p95_ms"),
    Metric("monitor.cache_hit_percent", Kind.GAUGE, "%", "Cache hits", "Share of the answers and blocks of rows that queries of the last minute found in memory.", "down", Combine.MAX, field="monitor_cache_hit_percent"),
    Metric("monitor.database_mb", Kind.GAUGE, "MiB", "Database size", "Size of the database with its indexes and, on SQLite, its write-ahead log.", None, Combine.MAX, field="monitor_database_mb"),
    Metric("monitor.backup_age_seconds", Kind.GAUGE, "s", "Backup age", "Time since the newest backup, or before the first since the start, while there is a schedule (`LLMMONITOR_BACKUP_DIR`).", "up", Combine.MAX, field="monitor_backup_age_seconds"),
    Metric("monitor.archive_problems", Kind.GAUGE, "problems", "Archive problems", "1 while rows cannot be archived, else 0, while there is an archive (`LLMMONITOR_ARCHIVE_DIR`).", "up", Combine.MAX, field="monitor_archive_problems"),
    Metric("monitor.alert_evaluation_ms", Kind.GAUGE, "ms", "Alert evaluation", "How long the newest evaluation of the alert rules took.", "up", Combine.MAX, field="monitor_alert_evaluation_ms"),
    Metric("monitor.alert_lag_seconds", Kind.GAUGE, "s", "Alert lag", "Time since the newest evaluation of the alert rules.", "up", Combine.MAX, field="monitor_alert_lag_seconds"),
    Metric("monitor.alert_rules_in_error", Kind.GAUGE, "rules", "Alert rules in error", "Alert rules that cannot be judged.", "up", Combine.MAX, field="monitor_alert_rules_in_error"),
    Metric("monitor.messages_waiting", Kind.GAUGE, "messages", "Messages waiting", "Messages of alerts that are to be sent.", "up", Combine.MAX, field="monitor_messages_waiting"),
    Metric("monitor.messages_dead", Kind.GAUGE, "messages", "Messages given up", "Messages of alerts that were given up in the last day.", "up", Combine.MAX, field="monitor_messages_dead"),
    Metric("monitor.alerting_problems", Kind.GAUGE, "problems", "Alerting problems", "What keeps alerts from being judged or sent: late evaluations, rules in error, channels that fail.", "up", Combine.MAX, field="monitor_alerting_problems"),
)  # fmt: skip

BY_NAME: dict[str, Metric] = {metric.name: metric for metric in ALL}
NAMES: tuple[str, ...] = tuple(BY_NAME)


def _by_short_name() -> dict[str, Metric]:
    """Return the metric that each short name and each field's name means.

    Of several, it is the first in the table: `memory_percent` is the host's, because hosts come before GPUs. The metrics
    of the monitor have full names only, because nobody sends them.
    """
    sent = [metric for metric in ALL if metric.type != "monitor"]
    names: dict[str, Metric] = {}
    for metric in sent:
        names.setdefault(metric.short, metric)
    for metric in sent:
        names.setdefault(metric.field, metric)
    return names


BY_SHORT_NAME: dict[str, Metric] = _by_short_name()
# The names of providers for fields of a request, which events and queries may use. `metrics.events.aliases` has the
# details: which counts are added up, and in which object they are.
FIELD_ALIASES: dict[str, str] = {
    **dict.fromkeys(("latency_ms", "duration_ms"), "response_time_ms"),
    **dict.fromkeys(("input_tokens", "promptTokenCount", "prompt_token_count"), "prompt_tokens"),
    **dict.fromkeys(("output_tokens", "candidatesTokenCount", "candidates_token_count"), "completion_tokens"),
    **dict.fromkeys(("totalTokenCount", "total_token_count"), "total_tokens"),
    **dict.fromkeys(
        ("cache_read_input_tokens", "cachedContentTokenCount", "cached_content_token_count"), "cached_tokens"
    ),
    **dict.fromkeys(("thoughtsTokenCount", "thoughts_token_count"), "reasoning_tokens"),
}
TYPES: tuple[str, ...] = tuple(dict.fromkeys(metric.type for metric in ALL))


def get(name: str) -> Metric:
    """Return the metric of this full name. Raises UnknownMetric."""
    try:
        return BY_NAME[name]
    except KeyError:
        raise UnknownMetric(name) from None


def resolve(name: str) -> Metric:
    """Return the metric of this full or short name, or of the field that is sent under it. Raises UnknownMetric."""
    name = FIELD_ALIASES.get(name, name)
    return BY_SHORT_NAME[name] if name in BY_SHORT_NAME else get(name)


def of_type(*types: str) -> tuple[Metric, ...]:
    """Return the metrics of these types, in the order of the table."""
    return tuple(metric for metric in ALL if metric.type in types)
