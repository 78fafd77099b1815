"""The System page: is the monitor well, what does it do, and what does it take of its machine?"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string

from alerts.health import health_since_start
from dashboard.alerts_in_sentence import with_alerts_of
from dashboard.page_spec import RECORDED, PageSpec, Row, newest_tick
from dashboard.reading import Reading
from dashboard.sentence import listed
from dashboard.system import alerting, health, storage, work
from dashboard.system.backup import Backup
from llmmonitor.access import rights
from llmmonitor.backup.last import last_backup, last_scheduled
from llmmonitor.infra.telemetry import TelemetryUnavailable, Totals, telemetry
from metrics import catalogue, queries, readiness
from metrics.queries import SeriesSpec

# Alerts about any metric of the monitor are about this page, and no tile shows one.
ALERTED = {metric.name: "" for metric in catalogue.of_type("monitor")}
series = SeriesSpec.of
SERIES = (
    series("monitor.events_accepted", "rate"),
    series("monitor.events_duplicate", "rate"),
    series("monitor.events_rejected", "rate"),
    series("monitor.commit_ms", "avg"),
    series("monitor.commit_p99_ms", "max"),
    series("monitor.queued_events", "max"),
    series("monitor.query_p95_ms", "avg"),
    series("monitor.tick_lag_ms", "max"),
    series("monitor.task_lateness_ms", "max"),
    series("monitor.live_clients", "max"),
    series("monitor.cpu_percent", "avg"),
    series("monitor.memory_mb", "avg"),
    series("monitor.database_mb", "last"),
)


def figures(reading: Reading) -> Row:
    """Return the sentence, the parts, the availability, and the tables of what the monitor did since its start."""
    from dashboard.pages import PAGES  # it has this page

    report = readiness.current_report()
    known = read_totals(reading)
    totals = known or Totals()
    now = reading.now.timestamp()
    available = reading.read("The availability", lambda: queries.availability(reading.now)) or []
    hosts = reading.current["hosts"] if reading.current else []
    load = health.load_of(hosts)
    late = work.late_tasks(totals, now)
    backup = read_backup(reading.now)
    age = None if backup.last_at is None else (reading.now - backup.last_at).total_seconds()
    alerts = alerting.part_of(health_since_start(reading.now))
    parts = health.parts_of(report, [_scheduler(late), alerts, *filter(None, [backup.part()])])
    described = health.describe(parts, load, known, available, age)
    return {
        "sentence": with_alerts_of(reading, described, ALERTED).as_dict(),
        "availability": [one.as_dict() for one in available],
        "load": None if load is None else {"cores": load.cores, "host": load.host, "machine_mb": load.machine_mb},
        "tables": {
            "parts": render_to_string("system/parts.html", {"parts": parts}),
            "refused": render_to_string("system/refused.html", {"rows": work.refused_rows(totals, now)}),
            "tasks": render_to_string("system/tasks.html", {"rows": work.task_rows(totals, now)}),
            "storage": reading.read("The storage statistics", lambda: storage_table(reading.now)) or "",
            "backup": render_to_string("system/backup.html", {"rows": backup.rows_of_card()}),
            "responses": render_to_string(
                "system/responses.html",
                {
                    "rows": work.response_rows(totals, {page.name: page.title for page in PAGES}),
                    "hits": work.hit_share(totals),
                },
            ),
        },
    }


def read_totals(reading: Reading) -> Totals | None:
    """Return what all processes did; None, with a notice, while Redis does not respond."""
    try:
        return telemetry.totals()
    except TelemetryUnavailable as error:
        reading.note(f"What the monitor did since the start could not be read: {error}")
        return None


def _scheduler(late: list[str]) -> health.Part:
    if not late:
        return health.Part("Scheduler", f"{len(work.TASKS)} tasks, none late")
    return health.Part("Scheduler", f"late: {', '.join(late)}", problem=f"{listed(late)} should have run by now")


def storage_table(now: datetime) -> str:
    """Return the table of the store. Raises QueryStopped."""
    stored = queries.storage(now)
    return render_to_string(
        "system/storage.html",
        {
            "rows": storage.table_rows(stored.tables, storage.counts_of(stored)),
            "totals": storage.totals_of(stored),
            "summary": storage.summary_of(stored),
            "measured_at": stored.measured_at,
        },
    )


def read_backup(now: datetime) -> Backup:
    """Return what is known of backups."""
    own = settings.LLMMONITOR
    every = timedelta(hours=own.backup_hours) if own.backup_dir is not None else None
    return Backup(now, every, own.backup_keep, last_backup(), last_scheduled())


def template_context(request: HttpRequest, data: Row, reading: Reading) -> Row:
    """Return whether the visitor can start a backup."""
    return {"may_back_up": rights.MANAGE in data["can"] and settings.LLMMONITOR.backup_dir is not None}


PAGE = PageSpec(
    name="system",
    title="System",
    key="s",
    path="dashboard/system/",
    figures=figures,
    data=newest_tick,
    context=template_context,
    series=(*SERIES, RECORDED),
    filters={},
    options=lambda reading: {},
)
