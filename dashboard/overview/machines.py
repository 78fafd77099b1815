"""The machines of the Overview: the busiest host of each tile, and all at the end of a window that has passed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashboard.chart_series import chart_series
from dashboard.page_spec import Row
from dashboard.reading import Reading, Requests
from metrics import queries
from metrics.queries import SeriesSpec

# The figure of each tile in the summary, and the series by host of its sparkline and its chart.
BUSIEST: dict[str, tuple[str, SeriesSpec]] = {
    "cpu": ("busiest_cpu_percent", SeriesSpec.of("system.cpu_percent", "avg", "host")),
    "memory": ("busiest_memory_percent", SeriesSpec.of("system.memory_percent", "avg", "host")),
    "gpu": ("busiest_gpu_percent", SeriesSpec.of("gpu.utilization_percent", "avg", "host")),
}
SERIES_BY_HOST = (*(spec for _, spec in BUSIEST.values()), SeriesSpec.of("gpu.memory_percent", "avg", "host"))
# What the list of machines has of a window that has passed, by the names that ticks use.
OF_HOSTS = {
    SeriesSpec.of("system.cpu_percent", "avg", "host"): "cpu_percent",
    SeriesSpec.of("system.memory_percent", "avg", "host"): "memory_percent",
    SeriesSpec.of("system.disk_percent", "avg", "host"): "disk_percent",
}
OF_GPUS = {
    SeriesSpec.of("gpu.utilization_percent", "avg", "host", "gpu"): "utilization_percent",
    SeriesSpec.of("gpu.temperature", "avg", "host", "gpu"): "temperature",
}


def with_busiest(requests: Requests) -> Row:
    """Return the summary with the figures of the busiest host of each tile, whose names are in `busiest`. Pure."""
    summary, (now, before) = requests.summary, requests.hosts
    names: dict[str, str | None] = {}
    figures: dict[str, float | None] = {}
    previous: dict[str, float | None] = {}
    for tile, (figure, spec) in BUSIEST.items():
        means = now.get(spec.metric.name, {})
        host = names[tile] = max(sorted(means), key=lambda name: means[name], default=None)
        figures[figure] = means.get(host) if host else None
        previous[figure] = before.get(spec.metric.name, {}).get(host) if host else None
    return {**summary, **figures, "previous": {**summary["previous"], **previous}, "busiest": names}


def machines_at_end(reading: Reading) -> Sequence[Row] | None:
    """Return the machines with their last values in the window, in the form of a tick. Those of demo data come last."""
    result = reading.read("The machines", lambda: chart_series((*OF_HOSTS, *OF_GPUS), reading))
    if result is None:
        return None
    real = queries.real_hosts()
    hosts: dict[str, Row] = {}
    gpus: dict[tuple[str, str], Row] = {}
    names = {(spec.metric.name, spec.group_by): name for spec, name in (*OF_HOSTS.items(), *OF_GPUS.items())}
    for line in result["series"]:
        value: Any = next((value for value in reversed(line["values"]) if value is not None), None)
        if value is None:
            continue
        host, gpu = line["labels"]["host"], line["labels"].get("gpu")
        row = hosts.setdefault(host, {"host": host, "state": "past", "gpu_metrics": []})
        name = names[line["metric"], tuple(line["labels"])]
        if gpu is None:
            row[name] = value
        else:
            if (host, gpu) not in gpus:
                gpus[host, gpu] = {"gpu_id": gpu}
                row["gpu_metrics"].append(gpus[host, gpu])
            gpus[host, gpu][name] = value
    for row in hosts.values():
        if row["host"] not in real:
            row["is_demo"] = True
    return sorted(hosts.values(), key=lambda row: (row.get("is_demo", False), row["host"]))
