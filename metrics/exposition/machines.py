"""The newest samples of hosts, GPUs and queues, as many as a tick has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from metrics.exposition.families import counter, gauge
from metrics.label_sets import MAX_SHOWN, REST
from metrics.queries import Filters
from metrics.queries.answers.queue_levels import Level, queue_levels

GIB, MIB = 2**30, 2**20


class Field(NamedTuple):
    """A field of a sample: its name in the exposition and its factor to base units."""

    name: str
    text: str
    factor: float = 1


HOST_FIELDS = {
    "cpu_percent": Field("host_cpu_ratio", "Use of all CPU cores, 0 to 1; in a container, of its CPU limit.", 0.01),
    "memory_percent": Field("host_memory_ratio", "Memory in use, 0 to 1; in a container, of its memory limit.", 0.01),
    "memory_used_gb": Field("host_memory_used_bytes", "Memory in use.", GIB),
    "memory_total_gb": Field("host_memory_bytes", "Memory of the host or the container.", GIB),
    "swap_percent": Field("host_swap_ratio", "Swap space in use, 0 to 1.", 0.01),
    "disk_percent": Field(
        "host_disk_ratio", "Used space of the filesystem that holds the data directory, 0 to 1.", 0.01
    ),
    "load_average": Field("host_load1", "Load average over one minute."),
    "cpu_count": Field("host_cpus", "Number of CPU cores."),
    "gpu_count": Field("host_gpus", "Number of detected GPUs."),
}
HOST_COUNTERS = {
    "network_bytes_sent": Field("host_network_sent_bytes_total", "Bytes sent since boot."),
    "network_bytes_recv": Field("host_network_received_bytes_total", "Bytes received since boot."),
    "disk_read_bytes": Field("host_disk_read_bytes_total", "Bytes read from disks since boot."),
    "disk_write_bytes": Field("host_disk_written_bytes_total", "Bytes written to disks since boot."),
}
GPU_FIELDS = {
    "utilization_percent": Field(
        "gpu_utilization_ratio", "Share of time in which at least one kernel ran, 0 to 1.", 0.01
    ),
    "memory_percent": Field("gpu_memory_ratio", "GPU memory in use, 0 to 1.", 0.01),
    "memory_used_mb": Field("gpu_memory_used_bytes", "GPU memory in use.", MIB),
    "memory_total_mb": Field("gpu_memory_bytes", "Memory of the GPU.", MIB),
    "temperature": Field("gpu_temperature_celsius", "Temperature of the chip."),
    "power_draw_watts": Field("gpu_power_watts", "Power draw."),
    "power_limit_watts": Field("gpu_power_limit_watts", "Maximum power draw that is allowed."),
    "sm_clock_mhz": Field("gpu_sm_clock_hertz", "Clock frequency of the streaming multiprocessors.", 1e6),
}
QUEUE_FIELDS: dict[str, tuple[str, Callable[[Level], int | None]]] = {
    "queue_pending_requests": ("Requests that wait in the queue of a model.", lambda level: level.pending),
    "queue_processing_requests": ("Requests that a model is processing.", lambda level: level.processing),
}


def machine_families(tick: Mapping[str, Any], at: datetime) -> Iterator[Any]:
    """Return the gauges of the hosts of a tick and of their GPUs, and of the queue of each model."""
    hosts = tick["hosts"]
    up = [((host["host"],), int(host["state"] == "up")) for host in hosts]
    yield gauge("host_up", "Whether the newest sample of the host is recent: 1 or 0.", ("host",), up)
    for key, field in HOST_FIELDS.items():
        values = [((host["host"],), _scaled(host.get(key), field.factor)) for host in hosts]
        yield gauge(field.name, field.text, ("host",), values)
    for key, field in HOST_COUNTERS.items():
        yield counter(field.name, field.text, ("host",), [((host["host"],), host.get(key)) for host in hosts])
    for key, field in GPU_FIELDS.items():
        of_gpus = [
            ((host["host"], str(gpu["gpu_id"])), _scaled(gpu.get(key), field.factor))
            for host in hosts
            for gpu in host.get("gpu_metrics", ())
        ]
        yield gauge(field.name, field.text, ("host", "gpu"), of_gpus)
    yield from _queue_families(at)


def _queue_families(at: datetime) -> Iterator[Any]:
    """Return the lengths of the queues of MAX_SHOWN models, those with most requests in flight, and of the others."""
    levels = queue_levels(Filters(), at)
    ranked = sorted(levels, key=lambda model: (-(levels[model].in_flight or 0), model))
    shown = {(model,): levels[model] for model in ranked[:MAX_SHOWN]}
    if ranked[MAX_SHOWN:]:
        shown[(REST.model,)] = Level.sum_of(levels[model] for model in ranked[MAX_SHOWN:])
    for name, (text, read) in QUEUE_FIELDS.items():
        yield gauge(name, text, ("model",), [(labels, read(level)) for labels, level in shown.items()])


def _scaled(value: Any, factor: float) -> float | None:
    if isinstance(value, list):  # the load average over 1, 5 and 15 minutes
        value = value[0]
    return None if value is None else value * factor
