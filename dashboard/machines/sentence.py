"""The first text on the Machines page: what is wrong with the machines, or which is the busiest. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard.alert_words import STATES, headline, name_of
from dashboard.formatting import SPACE, compact, percent
from dashboard.sentence import Sentence, listed

Row = Mapping[str, Any]
BUSY_PERCENT = 90
SEVERITIES = ("critical", "warning", "info")
MACHINE_METRICS = ("system.", "gpu.")
LIVE_FIGURES = "A figure is the newest sample; the line under it is the time range."


def describe_machines(
    hosts: Sequence[Row], chosen: Sequence[str], alerts: Sequence[Row], *, past: bool = False
) -> Sentence:
    """Return the sentence for the hosts of a tick. `chosen`: the filter by host; `alerts`: the spans of the window.

    Hosts of demo data are counted only where there is no other. What fires comes first, then hosts that are down or
    send no samples, then the busiest device.
    """
    shown = [host for host in hosts if not chosen or host["host"] in chosen]
    shown = [host for host in shown if not host.get("is_demo")] or shown
    if past:
        return Sentence("quiet", "Machines in a past time range.", "Figures are the last values of this range.")
    firing = [
        alert
        for alert in alerts
        if alert["to"] is None and alert["state"] == "firing" and alert["metric_name"].startswith(MACHINE_METRICS)
    ]
    silent = [host for host in shown if host.get("state", "up") != "up"]
    if firing:
        firing.sort(key=lambda alert: SEVERITIES.index(alert["severity"]))
        others = f"{name_of(firing[1])} fires, too." if len(firing) == 2 else f"{len(firing) - 1} more alerts fire."
        title = headline(firing[0])
        text = _joined(others if len(firing) > 1 else "", _silent(silent), _busiest(shown, title), _gpus(shown))
        return Sentence(STATES[firing[0]["severity"]], title, text)
    if not shown:
        name = "with this name " if chosen else ""
        return Sentence("quiet", f"No machine {name}sends samples.", "Machines appear here with their first sample.")
    if silent:
        up = len(shown) - len(silent)
        text = _joined("" if not up else f"{_count(up)} up." if up > 1 else "1 machine is up.", _busiest(shown))
        return Sentence("warning", _silent(silent), text)
    devices = _devices(shown)
    name, value, what = max(devices, key=lambda device: device[1], default=("", 0.0, ""))
    well = {1: f"{shown[0]['host']} is well.", 2: "Both machines are well."}.get(
        len(shown), f"{_count(len(shown))} well."
    )
    if value >= BUSY_PERCENT:
        well = "" if name == shown[0]["host"] and len(shown) == 1 else f"{well} "
        return Sentence("ok", f"{well}{name} works at its limit: {what} {percent(value)}.", _joined(_gpus(shown)))
    return Sentence("ok", well, _joined(_busiest(shown), _gpus(shown)) or LIVE_FIGURES)


def _count(number: int) -> str:
    return f"All {number} machines are" if number > 2 else f"{number} machines are"


def _silent(hosts: Sequence[Row]) -> str:
    """Return `a and b send no samples since 2026-03-01T14:03:00Z.`; empty without hosts."""
    if not hosts:
        return ""
    since = f" since {hosts[0]['at'][:19]}Z" if len(hosts) == 1 else ""
    return f"{listed([host['host'] for host in hosts])} {'sends' if len(hosts) == 1 else 'send'} no samples{since}."


def _devices(hosts: Sequence[Row]) -> list[tuple[str, float, str]]:
    """Return (name, load in percent, what it is of) for the GPUs and the CPUs that are up."""
    up = [host for host in hosts if host.get("state", "up") == "up"]
    gpus = [
        (f"GPU {gpu['gpu_id']} of {host['host']}", gpu["utilization_percent"], "utilisation")
        for host in up
        for gpu in host.get("gpu_metrics", ())
        if gpu.get("utilization_percent") is not None
    ]
    cpus = [(host["host"], host["cpu_percent"], "CPU") for host in up if host.get("cpu_percent") is not None]
    return gpus + cpus


def _busiest(hosts: Sequence[Row], title: str = "") -> str:
    """Return `The busiest is GPU 0 of a: utilisation 97 %.`; empty if the title is about it already."""
    name, value, what = max(_devices(hosts), key=lambda device: device[1], default=("", 0.0, ""))
    if not name or title.startswith(f"{name} "):
        return ""
    return f"The busiest is {name}: {what} {percent(value)}."


def _gpus(hosts: Sequence[Row]) -> str:
    """Return the temperature and the power of GPUs: `The hottest GPU has 74 °C; all GPUs draw 1.33 kW of 1.40 kW.`"""
    gpus = [gpu for host in hosts for gpu in host.get("gpu_metrics", ())]
    temperatures = [gpu["temperature"] for gpu in gpus if gpu.get("temperature") is not None]
    hottest = f"the hottest GPU has {max(temperatures):.0f}{SPACE}°C" if temperatures else ""
    drawn = [gpu["power_draw_watts"] for gpu in gpus if gpu.get("power_draw_watts") is not None]
    limits = [gpu["power_limit_watts"] for gpu in gpus if gpu.get("power_limit_watts") is not None]
    limit = f" of {_watts(sum(limits))}" if limits and len(limits) == len(drawn) else ""
    power = f"{'the GPUs draw' if len(drawn) > 1 else 'the GPU draws'} {_watts(sum(drawn))}{limit}" if drawn else ""
    text = "; ".join(filter(None, (hottest, power)))
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _watts(value: float) -> str:
    number, unit = compact(value, "W")
    return f"{number}{SPACE}{unit.replace(SPACE, '')}"


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))
