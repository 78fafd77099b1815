"""The context of an alert: where the time went, what else fires, and the address of the chart."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from alerts.cutting import MOST_IMPORTANT_FIRST
from alerts.models import Alert, AlertRule
from alerts.registers import chart_urls
from alerts.rules.spec import filters_of_group
from metrics import catalogue, queries
from metrics.queries import Filters, SeriesSpec
from metrics.queries.answers.parts_of_time import DECODE, PROCESSING, PROMPT, QUEUE, parts_of_time
from metrics.queries.answers.queue_levels import queue_levels
from metrics.queries.answers.results import round_figure
from metrics.queries.read.budget import query_budget

MAX_FIRING = 50
DEFAULT_WINDOW_SECONDS = 300  # of an alert whose rule was deleted
HOUR, MINUTE = timedelta(hours=1), 60
QUEUE_TIME, FIRST_TOKEN, RESPONSE = (
    SeriesSpec.of(f"inference.{name}", "avg") for name in ("queue_time_ms", "ttft_ms", "response_time_ms")
)


def context_of(alert: Alert, now: datetime) -> dict[str, Any]:
    """Return the context of an alert: of an active one at `now`, of an ended one when it fired. Raises QueryTooSlow."""
    rule = AlertRule.objects.filter(pk=alert.rule_id).first()
    filters = filters_of_group(rule.filters if rule else {}, alert.labels)
    seconds = rule.window_seconds if rule else DEFAULT_WINDOW_SECONDS
    of_requests = alert.metric.startswith(("inference.", "error."))
    end = now if alert.ended_at is None else alert.fired_at or alert.since
    figures = _figures(filters, seconds, now, end) if of_requests else {}
    before = _figures(filters, seconds, now, alert.since - HOUR) if is_latency(alert.metric) else {}
    return {
        "count": figures.get("count"),
        "min_count": rule.min_count if rule and of_requests else None,
        "window_seconds": seconds,
        "for_seconds": rule.for_seconds if rule else None,
        "clear_threshold": rule.clear_threshold if rule else None,
        "description": rule.description if rule else "",
        "runbook_url": rule.runbook_url if rule else "",
        "split": {"now": figures["split"], "before": before["split"]} if before else None,
        "pending": _pending(alert, now),
        "chart_url": _chart_url(alert, now),
        "firing": _firing_beside(alert),
    }


def context_of_number(number: int, now: datetime) -> dict[str, Any] | None:
    """Return the context of the alert with this id; None if there is no such alert."""
    alert = Alert.objects.filter(pk=number).first()
    return context_of(alert, now) if alert else None


def is_latency(metric: str) -> bool:
    """Return whether a metric is a time of requests, of which there is a split."""
    return metric.startswith("inference.") and catalogue.get(metric).unit == "ms"


def split_of(queue: float | None, first_token: float | None, response: float | None) -> dict[str, float | None] | None:
    """Return the mean response time in phases, which add up to it; None without requests.

    Without a time to first token there is one phase, `processing`, instead of `prompt` and `decode`. Without a queue
    time its phase is None: it is a part of the next one.
    """
    if response is None:
        return None
    parts = parts_of_time(response, queue, first_token)
    names = (QUEUE, PROMPT, DECODE, PROCESSING)
    phases = {"response_time_ms": response} | {f"{name}_ms": parts.get(name) for name in names}
    return {name: round_figure(value) for name, value in phases.items()}


def _figures(filters: Filters, seconds: int, now: datetime, end: datetime) -> dict[str, Any]:
    """Return the number of requests and the split of a window that ends at `end`."""
    earlier = max(0, int((now - end).total_seconds()))
    if earlier:
        seconds += -seconds % MINUTE  # older figures have buckets of minutes
    specs = (QUEUE_TIME, FIRST_TOKEN, RESPONSE)
    values = queries.evaluate(specs, seconds, filters, now, before_seconds=earlier)
    read = [values[spec].get((), queries.Evaluated(None, 0)) for spec in specs]
    return {"count": max(figure.requests for figure in read), "split": split_of(*(figure.value for figure in read))}


def _pending(alert: Alert, now: datetime) -> int | None:
    """Return the length of the model's queue, if the alert is active and has a model with one."""
    model = alert.labels.get("model")
    if model is None or alert.ended_at is not None:
        return None
    with query_budget():
        levels = queue_levels(Filters(model=(model,)), now)
    return levels[model].pending if model in levels else None


def _chart_url(alert: Alert, now: datetime) -> str:
    of_page = chart_urls.get("overview")
    return of_page(alert.metric, alert.labels, alert.since, alert.ended_at, now) if of_page else ""


def _firing_beside(alert: Alert) -> list[dict[str, Any]]:
    rows = Alert.objects.filter(state=Alert.State.FIRING, ended_at=None).exclude(pk=alert.pk)
    return [
        {"id": other.pk, "name": other.rule_name, "severity": other.severity, "labels": other.labels}
        for other in rows.order_by(*MOST_IMPORTANT_FIRST, "fired_at")[:MAX_FIRING]
    ]
