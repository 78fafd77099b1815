"""The Machines page. Its figures come from the hosts of each tick, its lines from one read of all devices.

Ticks carry no lines of it, because these are devices times metrics. An open page reads them again at their step.
"""

from __future__ import annotations

from typing import Any

from dashboard.chart_series import chart_series, series_before
from dashboard.machines.sentence import describe_machines
from dashboard.page_spec import PageSpec, Row
from dashboard.reading import Reading
from metrics import catalogue, queries
from metrics.queries import SeriesSpec

BAND = ("avg", "min", "max")
# Of each column of the page: the metric, and the statistics of its lines.
OF_GPUS: dict[str, tuple[str, ...]] = {
    "gpu.utilization_percent": BAND,
    "gpu.memory_percent": ("avg",),
    "gpu.temperature": BAND,
    "gpu.power_draw_watts": BAND,
    "gpu.sm_clock_mhz": BAND,
}
OF_HOSTS: dict[str, tuple[str, ...]] = {
    "system.cpu_percent": BAND,
    "system.memory_percent": ("avg",),
    "system.load_1m": BAND,
    "system.network_bytes_recv": ("rate",),
    "system.network_bytes_sent": ("rate",),
    "system.disk_read_bytes": ("rate",),
    "system.disk_write_bytes": ("rate",),
}
LINES = tuple(
    SeriesSpec.of(name, stat, *labels)
    for labels, columns in ((("host", "gpu"), OF_GPUS), (("host",), OF_HOSTS))
    for name, stats in columns.items()
    for stat in stats
)
COMPARED = tuple(spec for spec in LINES if spec.stat == "avg")
# The metrics of GPUs and of hosts that the heatmap shows, by the name of the view in the address; the first by default.
HEATMAPS: dict[str, tuple[str, ...]] = {
    "utilisation": ("gpu.utilization_percent", "system.cpu_percent"),
    "memory": ("gpu.memory_percent", "system.memory_percent"),
    "temperature": ("gpu.temperature",),
    "power": ("gpu.power_draw_watts",),
}


def figures(reading: Reading) -> Row:
    """Return what ticks do not carry: the sentence, and the thresholds of alert rules."""
    hosts = reading.current["hosts"] if reading.current else []
    return {
        "sentence": describe_machines(
            hosts, reading.query.filters.host, reading.alerts.spans, past=reading.query.range is None
        ).as_dict(),
        "alerts": {"marks": reading.alerts.marks({*OF_GPUS, *OF_HOSTS})},
    }


def data(reading: Reading) -> Row:
    """Return the newest tick, the lines of all devices, and the heatmap."""
    compares = reading.query.compares
    return {
        "current": reading.current,
        "lines": reading.read("The lines", lambda: chart_series(LINES, reading)),
        "lines_before": reading.read("The lines of the time before", lambda: series_before(COMPARED, reading))
        if compares
        else None,
        "heatmap": reading.read("The heatmap", lambda: _heatmap(reading)),
    }


def _heatmap(reading: Reading) -> Row:
    """Return the chosen heatmap: the rows of GPUs, then those of hosts."""
    view = reading.params.get("heatmap", "")
    view = view if view in HEATMAPS else next(iter(HEATMAPS))
    parts = [
        queries.device_heatmap(
            metric, "gpu" if metric.type == "gpu" else "host", reading.window, reading.filters, now=reading.now
        ).as_dict()
        for metric in map(catalogue.get, HEATMAPS[view])
    ]
    return {
        "view": view,
        "step_seconds": parts[0]["step_seconds"],
        "columns": parts[0]["columns"],
        "rows_omitted": sum(part.get("rows_omitted", 0) for part in parts),
        "rows": [
            {
                "name": name,
                "metric": part["metric"],
                "unit": part["unit"],
                "values": [_short(value) for value in values],
            }
            for part in parts
            for name, values in zip(part["rows"], part["values"], strict=True)
        ],
    }


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value


PAGE = PageSpec(
    name="machines",
    title="Machines",
    key="h",
    path="dashboard/machines/",
    figures=figures,
    data=data,
    compares_devices=True,
    filters={"host": "Machine"},
)
