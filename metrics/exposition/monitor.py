"""The figures of the monitor about itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from llmmonitor import __version__
from llmmonitor.backup.last import last_backup
from llmmonitor.infra.telemetry import TelemetryUnavailable, Totals, telemetry
from llmmonitor.infra.throttled_log import log_throttled
from metrics.exposition.families import Histogram, counter, gauge
from metrics.queries import availability
from metrics.queries.answers.availability import MAX_HOSTS
from metrics.sizes.database import database_bytes

logger = logging.getLogger(__name__)

MIB = 2**20
# Labels that a counter has from the beginning, so that `increase()` has the first count. Tests compare them.
TASKS = (
    "alerts.tasks.evaluate_alerts",
    "alerts.tasks.find_messages",
    "alerts.tasks.send_heartbeat",
    "alerts.tasks.send_messages",
    "alerts.tasks.watch_alerting",
    "llmmonitor.backup.tasks.back_up",
    "metrics.tasks.broadcast",
    "metrics.tasks.maintain",
    "metrics.tasks.sample",
)
REFUSALS = (
    "bad_batch",
    "bad_gzip",
    "bad_json",
    "empty_batch",
    "empty_body",
    "queue_full",
    "shutting_down",
    "store_busy",
    "store_unavailable",
    "too_large",
    "too_many_events",
    "too_many_values",
    "unsupported_charset",
    "unsupported_encoding",
    "unsupported_media_type",
)
# counter -> its name, its text, its label, and the values of the label that are shown from the beginning
COUNTERS: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "events": (
        "events_total",
        "Events that were stored, samples included, and events that were stored already.",
        "result",
        ("accepted", "duplicate"),
    ),
    "rejected_events": ("rejected_events_total", "Events that were invalid or too old, by field.", "field", ()),
    "refused_posts": ("refused_posts_total", "Posts of which nothing was stored, by reason.", "reason", REFUSALS),
    "cache_reads": (
        "cache_reads_total",
        "Answers and blocks of rows that queries looked for in memory.",
        "result",
        ("hit", "miss"),
    ),
    "queries_stopped": ("queries_stopped_total", "Queries that exceeded their time.", "", ()),
    "error_responses": ("error_responses_total", "HTTP responses with an error status.", "status", ("4xx", "5xx")),
    "tasks_failed": ("tasks_failed_total", "Periodic tasks that failed.", "task", TASKS),
    "tasks_skipped": ("tasks_skipped_total", "Periodic tasks that were skipped because they were late.", "task", TASKS),
}
# durations -> their name, their text, their label
DURATIONS = {
    "commit": ("commit_seconds", "Time of a commit of events.", ""),
    "query": ("query_seconds", "Time of a query, by whether it is of the live stream.", "kind"),
    "tick_lag": ("tick_lag_seconds", "Time from when a tick of the live stream was due until it was sent.", ""),
    "task": ("task_seconds", "Time that a periodic task took.", "task"),
    "task_lateness": ("task_lateness_seconds", "How late a periodic task began.", "task"),
    "response": ("http_response_seconds", "Time of an HTTP response, by the name of its route.", "route"),
}
LEVELS = {
    "queued_events": ("queued_events", "Events that wait for their commit."),
    "live_clients": ("live_clients", "Browsers and programs that are connected to the live stream."),
}


def monitor_families(tick: Mapping[str, Any], at: datetime) -> Iterator[Any]:
    """Return the figures of the monitor. Raises QueryStopped."""
    from prometheus_client.core import InfoMetricFamily

    yield InfoMetricFamily("llmmonitor_build", "The version of the monitor.", {"version": __version__})
    try:
        totals = telemetry.totals()
    except TelemetryUnavailable as error:  # the other figures are shown
        log_throttled(logger, "the totals of all processes", error)
    else:
        yield from telemetry_families(totals)
    yield gauge("database_size_bytes", "Size of the database with its indexes.", (), [((), database_bytes())])
    own = [host for host in tick["hosts"] if host.get("monitor_cpu_percent") is not None]
    cpu = [((host["host"],), host["monitor_cpu_percent"] / 100) for host in own]
    yield gauge("cpu_used_cores", "CPU cores that the monitor uses, on the host that it runs on.", ("host",), cpu)
    memory = [((host["host"],), _bytes(host.get("monitor_memory_mb"))) for host in own]
    yield gauge("memory_bytes", "Resident memory of the monitor, on the host that it runs on.", ("host",), memory)
    yield from _availability(at)
    yield from _backups()


def telemetry_families(totals: Totals) -> Iterator[Any]:
    """Return what the processes of the monitor have counted."""
    for key, (name, text, label, shown) in COUNTERS.items():
        if label:
            counts = {**dict.fromkeys(shown, 0), **totals.by_label(key)}
            yield counter(name, text, (label,), [((value,), count) for value, count in counts.items()])
        else:
            yield counter(name, text, (), [((), totals.count(key))])
    for key, (name, text, label) in DURATIONS.items():
        histogram = Histogram(name, text, (label,) if label else ())
        if label:
            for value, durations in sorted(totals.durations_by_label(key).items()):
                histogram.add_durations((value,), durations)
        else:
            histogram.add_durations((), totals.duration(key))
        yield histogram.family
    for key, (name, text) in LEVELS.items():
        yield gauge(name, text, (), [((), totals.levels.get(key))])
    ended = [((task,), at) for (name, task), at in sorted(totals.latest.items()) if name == "task_ended_at"]
    yield gauge("task_last_end_timestamp_seconds", "When a periodic task last ended, Unix time.", ("task",), ended)


def _availability(at: datetime) -> Iterator[Any]:
    of_all = availability(at)
    own, hosts = of_all[:1], of_all[1:]
    share = [((), _ratio(one.percent)) for one in own]
    yield gauge("availability_ratio", "Share of the last 30 days in which the monitor ran, 0 to 1.", (), share)
    down = [((), one.down_seconds) for one in own]
    yield gauge("down_seconds", "How long the monitor did not run in the last 30 days.", (), down)
    share_of_hosts = [((one.name,), _ratio(one.percent)) for one in hosts]
    which = f"of up to {MAX_HOSTS} hosts that send their memory."
    text = f"Share of the last 30 days in which a host sent samples, 0 to 1; {which}"
    yield gauge("host_availability_ratio", text, ("host",), share_of_hosts)
    down_hosts = [((one.name,), one.down_seconds) for one in hosts]
    text = f"How long a host sent no samples in the last 30 days; {which}"
    yield gauge("host_down_seconds", text, ("host",), down_hosts)


def _backups() -> Iterator[Any]:
    last = last_backup()
    at = last.succeeded_at if last else None
    text = "The moment whose state the newest complete backup has, Unix time."
    yield gauge("last_backup_timestamp_seconds", text, (), [((), at.timestamp() if at else None)])
    size = last.size_bytes if last else None
    yield gauge("last_backup_size_bytes", "Size of the newest complete backup.", (), [((), size)])


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else percent / 100


def _bytes(mib: float | None) -> float | None:
    return None if mib is None else mib * MIB
