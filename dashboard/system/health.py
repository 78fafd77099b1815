"""The parts of the monitor, and the sentence about all of them. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.formatting import SPACE, ago, percent, threshold_text, whole
from dashboard.sentence import Sentence, listed
from llmmonitor.infra.telemetry import Totals
from metrics.queries import Availability

# The parts of the readiness, in the order in which they are shown.
TITLES = {
    "write": "Store",
    "recorder": "Writer",
    "query": "Queries",
    "ticks": "Ticks",
    "disk": "Disk",
    "cache": "Cache",
}
PROBLEMS = {
    "write": "the store accepts no events",
    "recorder": "events wait and are not committed",
    "query": "the store cannot be read",
    "ticks": "no tick is sent",
    "disk": "the disk is full",
    "cache": "the cache does not work",
}
WARNINGS = {"disk": "requests and errors cannot be archived"}


@dataclass(frozen=True)
class Part:
    """A part of the monitor: its name, what is known of it, and how long its check took.

    problem: what does not work, for the sentence; empty if all of it works. is_critical: whether the monitor cannot do
    its work without it.
    """

    title: str
    text: str
    took: str = ""
    problem: str = ""
    is_critical: bool = False


@dataclass(frozen=True)
class Load:
    """What the monitor takes of its machine, in percent, and what the machine has; None where not known."""

    host: str
    cpu_percent: float | None
    memory_percent: float | None
    cores: float | None
    machine_mb: float | None


def parts_of(report: Mapping[str, Any], more: Sequence[Part]) -> list[Part]:
    """Return the parts of a readiness report in the order of TITLES, and those that it does not have."""
    known = sorted(report["parts"].items(), key=lambda item: [*TITLES, item[0]].index(item[0]))
    return [*(_part_of(name, part) for name, part in known), *more]


def _part_of(name: str, part: Mapping[str, Any]) -> Part:
    fails = part["status"] == "failing"
    problem = "" if part["status"] == "ok" else (PROBLEMS if fails else WARNINGS).get(name, name)
    return Part(TITLES.get(name, name), part.get("detail") or "works", _took(part["ms"]), problem, fails)


def _took(milliseconds: float) -> str:
    """Return how long a check took in whole units: `<1 ms`, `12 ms`, `2 s`. Parts of a millisecond mean nothing."""
    whole_ms = round(milliseconds)
    return threshold_text(whole_ms, "ms") if whole_ms else f"<1{SPACE}ms"


def load_of(hosts: Sequence[Mapping[str, Any]]) -> Load | None:
    """Return the load of the monitor from the newest samples of the hosts; None if none has one of it."""
    for host in hosts:
        cpu, cores = host.get("monitor_cpu_percent"), host.get("cpu_count")
        if cpu is None:
            continue
        memory, total = host.get("monitor_memory_mb"), host.get("memory_total_gb")
        return Load(
            host["host"],
            cpu / cores if cores else None,
            100 * memory / (1024 * total) if memory is not None and total else None,
            cores,
            1024 * total if total is not None else None,
        )
    return None


def describe(
    parts: Sequence[Part],
    load: Load | None,
    totals: Totals | None,
    availability: Sequence[Availability],
    last_backup_seconds: float | None = None,
) -> Sentence:
    """Return whether the monitor is well, what it takes of its machine, what it lost and when it was down.

    totals: None where they could not be read. last_backup_seconds: the age of the last backup; None without one.
    """
    backup = "" if last_backup_seconds is None else f"Last backup: {ago(last_backup_seconds)}."
    text = " ".join(filter(None, (_events(totals), _downtime(availability), backup)))
    problems = [part for part in sorted(parts, key=lambda part: not part.is_critical) if part.problem]
    if problems:
        state = "critical" if problems[0].is_critical else "warning"
        return Sentence(state, f"The monitor is not well: {listed([part.problem for part in problems])}.", text)
    takes = ""
    if load is not None and load.cpu_percent is not None:
        takes = f" It takes {percent(load.cpu_percent)} of {load.host}."
    return Sentence("ok", f"The monitor is well.{takes}", text)


def _events(totals: Totals | None) -> str:
    if totals is None:
        return ""
    accepted, refused = totals.count("events", "accepted"), totals.count("rejected_events")
    lost = sum(totals.by_label("refused_posts").values())
    duplicates = totals.count("events", "duplicate")
    parts = [f"{whole(accepted)} events stored since the start"]
    parts += [f"{whole(refused)} rejected as invalid"] if refused else []
    parts += [f"{whole(lost)} post{'s' if lost != 1 else ''} rejected as a whole"] if lost else []
    parts += [f"{whole(duplicates)} sent again and stored once"] if duplicates else []
    return f"{', '.join(parts)}."


def _downtime(availability: Sequence[Availability]) -> str:
    if not availability:
        return ""
    monitor = availability[0]
    if not monitor.down:
        return "It was never down in 30 days." if monitor.until - monitor.since > 86_400 else ""
    number = len(monitor.down)
    times = "once" if number == 1 else "twice" if number == 2 else f"{number} times"
    return f"It was down {times} in 30{SPACE}days, for {threshold_text(monitor.down_seconds, 's')}."
