"""Writes what a store contains: the rows of all tables, and figures of the query layer.

    python -m tests.support.contents FILE NOW [SERVICE]

With a service, only the figures of its requests: those of hosts are not of a service.

The rows are read with Django's models, so that backups are compared by other code than that which wrote them. Secret
settings of channels are decrypted, because instances have different keys.
"""

from __future__ import annotations

import os
import pickle
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import django

METRICS = ("response_time_ms", "ttft_ms", "prompt_tokens", "completion_tokens", "tokens_per_second")
SERIES = (
    ("inference.requests", "sum"),
    ("inference.failed_requests", "sum"),
    ("inference.response_time_ms", "p95"),
    ("inference.total_tokens", "sum"),
    ("system.cpu_percent", "avg"),
    ("queue.pending", "avg"),
)


def rows() -> dict[str, list[dict[str, Any]]]:
    from django.apps import apps

    tables: dict[str, list[dict[str, Any]]] = {}
    for model in apps.get_models(include_auto_created=True):
        values: list[dict[str, Any]] = sorted(model._default_manager.values(), key=lambda row: str(row.get("id")))
        for row in values:
            row.update({name: bytes(value) for name, value in row.items() if isinstance(value, memoryview)})
        tables[model._meta.label] = values
    return tables


def secrets_of_channels() -> dict[str, Any]:
    from alerts.channels.secrets import decrypt
    from alerts.models import Channel

    return {channel.pk: decrypt(channel.secrets) for channel in Channel.objects.all()}


def figures(now: datetime, service: tuple[str, ...] = ()) -> dict[str, Any]:
    from metrics import catalogue, queries

    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    window = queries.Window(end - timedelta(days=30), end)
    everything = queries.Filters(service=service, outcome="all")
    specs = [
        queries.SeriesSpec.of(metric, stat) for metric, stat in SERIES if not service or metric.startswith("inference.")
    ]
    return {
        "summary": None if service else queries.summary(window, everything, now).as_dict(),
        "histograms": {
            metric: queries.distribution(catalogue.get(f"inference.{metric}"), window, everything, now).as_dict()
            for metric in METRICS
        },
        "series": queries.series(specs, window, queries.Filters(service=service), step=3600, now=now).as_dict(),
    }


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "llmmonitor.settings"
    django.setup()
    path, now, *service = sys.argv[1:]
    found: dict[str, Any] = {"figures": figures(datetime.fromisoformat(now), tuple(service))}
    if not service:
        found |= {"rows": rows(), "secrets": secrets_of_channels()}
    Path(path).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    main()
