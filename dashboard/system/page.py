"""The System page: is the monitor well, what does it do, and what does it take of its machine?"""

from __future__ import annotations

from django.template.loader import render_to_string

from dashboard.page_spec import RECORDED, PageSpec, Row, newest_tick
from dashboard.reading import Reading
from dashboard.system import health, work
from llmmonitor.infra.telemetry import Totals, telemetry
from metrics import queries, readiness
from metrics.queries import SeriesSpec

TITLES = {
    "overview": "Overview",
    "latency": "Latency",
    "throughput": "Throughput",
    "queue": "Queue",
    "machines": "Machines",
    "models": "Models",
    "requests": "Requests",
    "errors": "Errors",
    "alerts": "Alerts",
    "connect": "Connect",
    "system": "System",
}
series = SeriesSpec.of
SERIES = (
    series("monitor.events_accepted", "rate"),
    series("monitor.events_duplicate", "rate"),
    series("monitor.events_rejected", "rate"),
    series("monitor.commit_ms", "avg"),
    series("monitor.commit_p99_ms", "max"),
    series("monitor.queued_events", "max"),
    series("monitor.query_p95_ms", "avg"),
    series("monitor.cache_hit_percent", "avg"),
    series("monitor.tick_lag_ms", "max"),
    series("monitor.task_lateness_ms", "max"),
    series("monitor.live_clients", "max"),
    series("monitor.cpu_percent", "avg"),
    series("monitor.memory_mb", "avg"),
    series("monitor.database_mb", "last"),
)


def figures(reading: Reading) -> Row:
    """Return the sentence, the parts, the availability, and the tables of what the monitor did since its start."""
    report = readiness.current_report()
    totals = reading.read("The figures of the processes", telemetry.totals) or Totals()
    now = reading.now.timestamp()
    available = reading.read("The availability", lambda: queries.availability(reading.now)) or []
    hosts = reading.current["hosts"] if reading.current else []
    load = health.load_of(hosts)
    late = work.late_tasks(totals, now)
    return {
        "sentence": health.describe(report, load, totals, available, late).as_dict(),
        "availability": [one.as_dict() for one in available],
        "load": None if load is None else {"cores": load.cores, "host": load.host},
        "tables": {
            "parts": render_to_string("system/parts.html", {"parts": health.parts_of(report, _more_parts(late))}),
            "refused": render_to_string("system/refused.html", {"rows": work.refused_rows(totals)}),
            "tasks": render_to_string("system/tasks.html", {"rows": work.task_rows(totals, now)}),
            "responses": render_to_string("system/responses.html", {"rows": work.response_rows(totals, TITLES)}),
        },
    }


def _more_parts(late: list[str]) -> list[health.Part]:
    text = f"late: {', '.join(late)}" if late else f"{len(work.TASKS)} tasks, none late"
    return [health.Part("Scheduler", not late, text)]


PAGE = PageSpec(
    name="system",
    title="System",
    key="s",
    path="dashboard/system/",
    figures=figures,
    data=newest_tick,
    series=(*SERIES, RECORDED),
    filters={},
    options=lambda reading: {},
)
