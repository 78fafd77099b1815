"""The filters of a query.

A filter applies to the metrics that have its label: `model`, `provider`, `service`, `endpoint` and the promoted tags to
requests and errors, `model` to queues and engines, `host` to hosts, `host` and `gpu` to GPUs. A page that is filtered
by one model and one host therefore shows that model's requests beside that host's load. A value that no row has matches
nothing. The other filters (`status_code`, `min_response_time_ms`, …) read single rows and apply to lists and exports.
A name of a group of aliases selects all its names.
`metrics.queries.parameters` parses filters from what clients send.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.conf import settings
from django.db.models import Q

from metrics.models import GaugeLabels, Series
from metrics.queries.read.aliases import is_model

LABELS = ("model", "provider", "service", "endpoint")
HOST_LABELS = ("host", "gpu")
OUTCOME_GROUPS = ("success", "success_or_timeout", "failed", "all")
TEXT_FILTERS = ("request_id", "finish_reason", "error_type", "operation", "trace_id")
NUMBER_FILTERS = (
    "min_response_time_ms", "above_response_time_ms", "max_response_time_ms", "min_ttft_ms", "min_total_tokens",
)  # fmt: skip
REQUEST_FILTERS = ("status_code", *TEXT_FILTERS, *NUMBER_FILTERS, "has_error", "stream", "search", "group")
ERROR_FILTERS = ("request_id", "error_type", "severity", "group")
TAG_PREFIX = "tag."
# The labels of each type of gauge. `source` is no filter.
GAUGE_LABELS: Mapping[str, tuple[str, ...]] = {
    "system": ("host",),
    "monitor": ("host",),
    "gpu": ("host", "gpu"),
    "queue": ("model", "provider", "service", "source"),
    "engine": ("model", "provider", "service", "source"),
}
GAUGE_COLUMN = {"host": "host", "gpu": "gpu_id", "model": "model_name", "provider": "provider", "service": "service"}
# The model's column for each label of a request.
SERIES_COLUMN = {"model": "model_name", "provider": "provider", "service": "service", "endpoint": "endpoint"}


@dataclass(frozen=True)
class Filters:
    """The filters of one query. The values of one filter are combined with OR, the filters with AND."""

    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    gpu: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # None is the default of each query: "success" for times, "all" for lists.
    outcome: str | None = None
    request_id: str | None = None
    status_code: int | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    operation: str | None = None
    trace_id: str | None = None
    severity: str | None = None
    search: str | None = None
    group: int | None = None  # of errors: those in it, or the requests that they belong to
    has_error: bool | None = None
    stream: bool | None = None
    min_response_time_ms: float | None = None
    above_response_time_ms: float | None = None  # with `max`, a bucket of a histogram
    max_response_time_ms: float | None = None
    min_ttft_ms: float | None = None
    min_total_tokens: float | None = None

    def series_ids(self) -> list[int] | None:
        """Return the ids of the selected label sets of requests; None for all."""
        if not self.tags and not any(getattr(self, name) for name in LABELS):
            return None
        rows = Series.objects.filter(self.series_condition()).values_list("id", "tags")
        return [series_id for series_id, tags in rows.iterator(chunk_size=2000) if self._has_tags(tags)]

    def series_condition(self, prefix: str = "") -> Q:
        """Return the label filters as a condition on Series; `prefix` is the lookup path of a relation to it."""
        condition = Q()
        if self.model:
            condition &= is_model(f"{prefix}model_name", self.model)
        for name in LABELS:
            if name != "model" and getattr(self, name):
                condition &= Q(**{f"{prefix}{SERIES_COLUMN[name]}__in": getattr(self, name)})
        return condition

    def _has_tags(self, stored: str) -> bool:
        if not self.tags:
            return True
        tags = json.loads(stored) if stored else {}
        return all(str(tags.get(key, "")) in values for key, values in self.tags.items())

    def gauge_label_ids(self, kind: str) -> list[int] | None:
        """Return the ids of the selected label sets of gauges of this type; None for all."""
        condition = Q()
        for name in GAUGE_LABELS[kind]:
            if values := getattr(self, name, ()):
                condition &= (
                    is_model("model_name", values) if name == "model" else Q(**{f"{GAUGE_COLUMN[name]}__in": values})
                )
        return list(GaugeLabels.objects.filter(condition).values_list("id", flat=True)) if condition else None

    def as_dict(self) -> dict[str, Any]:
        """Return the filters that are set, by name."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "tags"}
        listed = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value not in (None, ())
        }
        return listed | {TAG_PREFIX + key: list(tag_values) for key, tag_values in self.tags.items()}


def promoted_tags() -> tuple[str, ...]:
    """Return the metadata keys that are labels (LLMMONITOR_TAGS)."""
    return tuple(settings.LLMMONITOR.tags)


def tag_labels() -> tuple[str, ...]:
    """Return the names of the promoted tags as labels and filters: `tag.KEY`."""
    return tuple(TAG_PREFIX + key for key in promoted_tags())
