"""One database as two instances: what is stored, an empty store, and the command that imports a file."""

from __future__ import annotations

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.core.cache import caches
from django.core.management import call_command
from django.core.management.base import CommandError

from metrics.ingest.recorder import close_recorder
from metrics.models import (
    ErrorGroup,
    ErrorGroupRollup,
    ErrorMetrics,
    GaugeLabels,
    GaugeRollup,
    GPUMetrics,
    InferenceMetrics,
    InferenceRollup,
    QueueMetrics,
    RecentId,
    Series,
    SystemMetrics,
)
from tests.metrics.api.asgi_client import AsgiClient

NOW = datetime.now(UTC).replace(microsecond=0)
# The module may be imported long before its tests run, and events without a time get that of the test.
START, END = NOW - timedelta(hours=2), NOW + timedelta(hours=2)
WINDOW = {"from": START.isoformat(), "to": NOW.isoformat()}  # of figures: an end in the future would move
RAW = {"inference": InferenceMetrics, "errors": ErrorMetrics, "system": SystemMetrics, "gpu": GPUMetrics}
RAW |= {"queue": QueueMetrics}
LABELS = ("model_name", "provider", "service", "endpoint", "tags", "is_demo")
GAUGE_LABELS = ("host", "gpu_id", "model_name", "provider", "service", "kind", "source", "is_demo")
DISTRIBUTIONS = ("response_time_ms", "ttft_ms", "queue_time_ms", "prompt_tokens", "completion_tokens")


def ago(**delta: float) -> str:
    """A time before NOW as text."""
    return (NOW - timedelta(**delta)).isoformat()


def export(api: AsgiClient, kind: str, extension: str, **params: Any) -> bytes:
    """Return an export of the window."""
    reply = api.get(f"/export/{kind}.{extension}", **{"from": START.isoformat(), "to": END.isoformat()}, **params)
    assert reply.status == 200, reply.body
    return reply.body


def empty() -> None:
    """Delete everything that was stored, and what processes remember of it."""
    close_recorder(10)
    tables: tuple[Any, ...] = (*RAW.values(), InferenceRollup, GaugeRollup, ErrorGroupRollup, ErrorGroup, RecentId)
    for table in (*tables, Series, GaugeLabels):
        table.objects.all().delete()
    for cache in caches.all():
        cache.clear()


def stored(kind: str) -> list[dict[str, Any]]:
    """Return every row of a raw table with its labels instead of ids, in a definite order."""
    model = RAW[kind]
    has_series = kind in ("inference", "errors", "queue")
    names = [field.attname for field in model._meta.concrete_fields]
    names = [name for name in names if name not in ("id", "series_id", "labels_id", "group_id")]
    if has_series:
        names += [f"series__{name}" for name in LABELS]
    if kind == "errors":
        names += ["group__fingerprint"]
    if kind in ("system", "gpu", "queue"):
        names += [f"labels__{name}" for name in GAUGE_LABELS]
    rows = list(model._default_manager.values(*names))
    for row in rows:
        row.pop("labels", None)
    return sorted(rows, key=lambda row: repr(sorted(row.items(), key=str)))


def gauges() -> dict[Any, Any]:
    """Return the gauges by resolution, metric, bucket and labels: count, sum, minimum, maximum."""
    sums: dict[Any, list[Any]] = {}
    names = ("resolution", "metric", "bucket", *(f"labels__{name}" for name in GAUGE_LABELS))
    for *key, count, total, low, high in GaugeRollup.objects.values_list(*names, "count", "sum", "min", "max"):
        known = sums.setdefault(tuple(key), [0, 0.0, low, high])
        known[0] += count
        known[1] += total
        known[2:] = [min(known[2], low), max(known[3], high)]
    return {key: (count, round(total, 6), low, high) for key, (count, total, low, high) in sums.items()}


def figures(api: AsgiClient) -> dict[str, Any]:
    """Return the sums and the histograms of the window."""
    read = {name: api.get("/metrics/distribution", metric=name, **WINDOW).json() for name in DISTRIBUTIONS}
    return read | {
        "summary": api.get("/metrics/summary", **WINDOW).json(),
        "models": [_model(row) for row in api.get("/models", **WINDOW).json()["results"] if row["total_requests"]],
        "groups": Counter(
            {group["message"]: group["count"] for group in api.get("/errors/groups", **WINDOW).json()["results"]}
        ),
    }


def _model(row: dict[str, Any]) -> dict[str, Any]:
    # Label sets that errors had before their requests arrived are known longer than they have requests.
    return {name: value for name, value in row.items() if name not in ("first_seen", "last_seen", "providers")}


def run_import(path: Path | str, *arguments: str) -> str:
    """Import a file and return the report. Raises CommandError as the command does."""
    out = io.StringIO()
    call_command("import", str(path), *arguments, stdout=out)
    return out.getvalue()


def failed_import(path: Path | str, *arguments: str) -> tuple[str, str]:
    """Import a file that is not imported as a whole. Return the report and the error."""
    out = io.StringIO()
    try:
        call_command("import", str(path), *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), str(error)
    raise AssertionError(f"the whole file was imported: {out.getvalue()}")
