"""The newest sample of each host and of its GPUs, and the state of the host.

If a host has several senders, each with some of the fields, their samples are merged (`partial_samples`).

A host is `up` while its newest sample is valid (for three intervals, at least 15 s), then `stale`. It is `down` when
the sample is older than a minute and older than twice its validity. Hosts without recent samples are read from rollups,
which are cached for ten seconds. A sample counts from its time on. If a host has no valid one, but one of a later time,
its clock is ahead, and the host is `up`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import caches
from django.db.models import Max

from metrics import catalogue
from metrics.levels import LEVELS
from metrics.models import GaugeLabels, GaugeRollup, GPUMetrics, SystemMetrics
from metrics.queries.answers.partial_samples import fill_missing
from metrics.queries.answers.results import round_figure
from metrics.queries.read.budget import query_budget
from metrics.queries.read.newest_samples import newest_samples
from metrics.queries.read.raw_rows import gpu_number
from metrics.queries.read.sql import chunks
from metrics.queries.time.window import EPOCH, iso
from metrics.retention_policy import RetentionPolicy

STATES = ("up", "stale", "down")
DOWN_AFTER = timedelta(seconds=60)
SILENT_CACHE_SECONDS = 10
SILENT_KEY = "hosts:silent"
MAX_HOSTS = 50  # in a tick; the pods of a cluster get new names again and again
MAX_GPUS = 128  # in a tick, at about 330 bytes each
# A tick has the fields that the catalogue's metrics are read from, and a few others.
METRICS, GPU_METRICS = catalogue.of_type("system", "monitor"), catalogue.of_type("gpu")
FIELDS = (*(metric.field for metric in METRICS), "cpu_count")
FILLED_GPU_FIELDS = ("name", *(metric.field for metric in GPU_METRICS))
# Reasons for throttling are those of the newest sample: where it has none, those before are over.
GPU_FIELDS = (*FILLED_GPU_FIELDS, "throttle_reasons")
# The gauges of hosts that are stored by hour while the minutes are stored, too, and those that are not.
BY_HOUR = [metric.name for metric in catalogue.of_type("system", "gpu") if metric.name not in LEVELS]
BY_MINUTE = [metric.name for metric in catalogue.of_type("system") if metric.name in LEVELS]
MAX_BY_MINUTE = 1_000  # label sets


@dataclass(frozen=True)
class HostState:
    """The time of a host's newest sample, and the state of the host.

    shown_at: the time at which other samples of the host are shown if they are valid: now, but of a host that is not
    up, the time of the newest sample.
    """

    host: str
    newest: datetime
    state: str
    shown_at: datetime


def host_states(now: datetime) -> list[dict[str, Any]]:
    """Return each host with samples in the last day, by name. Raises QueryTooSlow.

    Each has `host`, `state`, and `is_demo`: whether all its samples are demo data.
    """
    with query_budget():
        real = real_hosts()
        return [
            {"host": host.host, "state": host.state, "is_demo": host.host not in real} for host in _host_states(now)
        ]


def tick_hosts(at: datetime) -> dict[str, Any]:
    """Return the hosts of a tick, with `hosts_omitted` and `gpus_omitted` if there are too many.

    A host that is down has no figures, so that clients do not average them with those of running hosts. Hosts of demo
    data are returned until they are down.
    """
    states = _host_states(at)
    is_long = len(states) > MAX_HOSTS
    real = real_hosts() if is_long or any(host.state == "down" for host in states) else set()
    # The hosts of demo data do not exist: they are not down if nobody sends demo data. What another process has
    # removed is in the cache for a while, and has no labels any more.
    states = [host for host in states if host.state != "down" or host.host in real]
    # If there are too many hosts, those that run are shown, and before those of demo data the others.
    ranked = sorted(states, key=lambda host: (STATES.index(host.state), is_long and host.host not in real, host.host))
    shown = sorted(ranked[:MAX_HOSTS], key=lambda host: host.host)
    rows = _describe(shown, at)
    body: dict[str, Any] = {"hosts": rows}
    if len(states) > len(shown):
        body["hosts_omitted"] = len(states) - len(shown)
    gpus = 0
    for row in rows:
        gpus += len(row.get("gpu_metrics", ()))
        if gpus > MAX_GPUS:
            body["gpus_omitted"] = body.get("gpus_omitted", 0) + len(row["gpu_metrics"])
            row["gpu_metrics"] = []
    return body


def real_hosts() -> set[str]:
    """Return the hosts of which not all is demo data."""
    return set(GaugeLabels.objects.filter(is_demo=False).values_list("host", flat=True).distinct())


def _host_states(at: datetime) -> list[HostState]:
    """Return the hosts of the last day, by name. A host and an example host of the same name are one."""
    states: dict[str, HostState] = {}
    for sample in newest_samples(SystemMetrics, at, ahead=True).values():
        known = states.get(sample.host)
        if known is None or known.newest < sample.at:
            state = _state(at - sample.at, sample.valid_for)
            shown_at = max(at, sample.at) if state == "up" else sample.at
            states[sample.host] = HostState(sample.host, sample.at, state, shown_at)
    for host, newest in _newest_in_rollups(at).items():
        if host not in states:
            states[host] = HostState(host, newest, "down", newest)
    return [states[host] for host in sorted(states)]


def _state(age: timedelta, valid_for: timedelta) -> str:
    if age <= valid_for:
        return "up"
    return "stale" if age <= max(DOWN_AFTER, 2 * valid_for) else "down"


def _newest_in_rollups(at: datetime) -> Mapping[str, datetime]:
    """Return the time of the newest sample of each host in the last day, as it was at most ten seconds ago."""
    cache = caches["ring"]
    entry = cache.get(SILENT_KEY)
    if entry is not None and abs((at - entry[0]).total_seconds()) < SILENT_CACHE_SECONDS:
        return entry[1]  # type: ignore[no-any-return]
    begin = int((at - RetentionPolicy.current().samples).timestamp())
    rows = GaugeRollup.objects.filter(bucket__gte=begin - begin % 3600, bucket__lte=int(at.timestamp())).order_by()

    def newest_of(resolution: int, metrics: Sequence[str], **labels: Any) -> dict[int, int]:
        chosen = rows.filter(resolution=resolution, metric__in=metrics, **labels).values("labels_id")
        return dict(chosen.annotate(newest=Max("last_at")).values_list("labels_id", "newest"))

    last_at = newest_of(3600, BY_HOUR)
    host_of = dict(GaugeLabels.objects.exclude(host="").values_list("id", "host"))
    known = {host_of.get(labels_id) for labels_id in last_at}
    others = [labels_id for labels_id, host in host_of.items() if host not in known]
    if others:  # hosts that are gone, or that send levels only
        last_at |= newest_of(60, BY_MINUTE, labels_id__in=others[:MAX_BY_MINUTE])
    newest: dict[str, datetime] = {}
    for labels_id in last_at.keys() & host_of.keys():
        host, time = host_of[labels_id], EPOCH + timedelta(microseconds=last_at[labels_id])
        newest[host] = max(time, newest.get(host, time))
    cache.set(SILENT_KEY, (at, newest), SILENT_CACHE_SECONDS)
    return newest


def clear_host_cache(**_: Any) -> None:
    """Clear the cache of hosts, because rows of a host were removed."""
    caches["ring"].delete(SILENT_KEY)


def _describe(hosts: Sequence[HostState], at: datetime) -> list[dict[str, Any]]:
    """Return a row for each host. Those that are not down have the fields of their newest sample and of their GPUs."""
    running = {host.host: host for host in hosts if host.state != "down"}
    samples = _read_samples(running) if running else {}
    gpus = _read_gpus(running, at) if running else {}
    rows = []
    for host in hosts:
        row: dict[str, Any] = {
            "host": host.host,
            "state": host.state,
            "at": iso(host.newest),
            "age_seconds": round(max(0.0, (at - host.newest).total_seconds()), 1),
        }
        sample = samples.get(host.host)
        if sample is not None:
            row |= sample
            row["gpu_metrics"] = sorted(gpus.get((host.host, "is_demo" in sample), ()), key=_gpu_order)
        rows.append(row)
    return rows


def _read_samples(hosts: Mapping[str, HostState]) -> dict[str, dict[str, Any]]:
    """Return the fields of each host's newest sample, with those of other senders."""
    by_host: dict[str, tuple[int, bool, dict[str, Any]]] = {}
    # Measured samples come last and replace example samples of the same host and time.
    rows = SystemMetrics.objects.order_by("-labels__is_demo")
    columns = ("host", "timestamp", "labels_id", "labels__is_demo", *FIELDS)
    for names in chunks(hosts):
        times = {hosts[name].newest for name in names}
        for host, time, labels_id, is_demo, *values in rows.filter(timestamp__in=times, host__in=names).values_list(
            *columns
        ):
            if hosts[host].newest == time:
                by_host[host] = labels_id, is_demo, dict(zip(FIELDS, values, strict=True))
    samples = {labels_id: sample for labels_id, _, sample in by_host.values()}
    shown_at = {labels_id: hosts[host].shown_at for host, (labels_id, *_) in by_host.items()}
    fill_missing(SystemMetrics, METRICS, samples, shown_at, FIELDS)
    return {
        host: _rounded(sample) | ({"is_demo": True} if is_demo else {})
        for host, (_, is_demo, sample) in by_host.items()
    }


def _read_gpus(hosts: Mapping[str, HostState], at: datetime) -> Mapping[tuple[str, bool], list[dict[str, Any]]]:
    """Return the GPUs of each host with their newest samples, by the host's name and whether they are examples."""
    newest = {
        labels_id: sample
        for labels_id, sample in newest_samples(GPUMetrics, at, ahead=True).items()
        if sample.host in hosts and hosts[sample.host].shown_at - sample.at <= sample.valid_for
    }
    by_gpu: dict[int, tuple[str, bool, str, dict[str, Any]]] = {}
    columns = ("host", "timestamp", "labels_id", "labels__is_demo", "gpu_id", *GPU_FIELDS)
    for times in chunks({sample.at for sample in newest.values()}):
        for host, time, labels_id, is_demo, gpu_id, *values in GPUMetrics.objects.filter(
            timestamp__in=times
        ).values_list(*columns):
            if labels_id in newest and newest[labels_id].at == time:
                by_gpu[labels_id] = host, is_demo, gpu_id, dict(zip(GPU_FIELDS, values, strict=True))
    samples = {labels_id: sample for labels_id, (*_, sample) in by_gpu.items()}
    shown_at = {labels_id: hosts[host].shown_at for labels_id, (host, *_) in by_gpu.items()}
    fill_missing(GPUMetrics, GPU_METRICS, samples, shown_at, FILLED_GPU_FIELDS)
    gpus: dict[tuple[str, bool], list[dict[str, Any]]] = defaultdict(list)
    for host, is_demo, gpu_id, sample in by_gpu.values():
        gpus[host, is_demo].append({"gpu_id": gpu_number(gpu_id)} | _rounded(sample))
    return gpus


def _rounded(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round_figure(value) for name, value in sample.items()}


def _gpu_order(gpu: Mapping[str, Any]) -> tuple[bool, int, str]:
    gpu_id = gpu["gpu_id"]
    return (True, gpu_id, "") if isinstance(gpu_id, int) else (False, 0, gpu_id)
