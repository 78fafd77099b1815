"""What a question is narrowed to.

A filter holds for the metrics that have its label: `model`, `provider`, `service`, `endpoint` and the promoted tags
for requests and errors, `model` for queues and engines, `host` for machines, `host` and `gpu` for GPUs. So a page
that is narrowed to one model and one host shows that model's requests beside that host's load. A value that nothing
has gives no data. The other filters (`status_code`, `min_response_time_ms`, …) read single requests and hold for
lists and exports only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Q

from metrics.aggregation import OUTCOME_COLUMNS
from metrics.events import Severity
from metrics.models import GaugeLabels, Series
from metrics.queries.exceptions import BadQuery

LABELS = ("model", "provider", "service", "endpoint")
MACHINE_LABELS = ("host", "gpu")
OUTCOME_GROUPS = ("success", "failed", "all")
TEXT_FILTERS = ("request_id", "finish_reason", "error_type", "operation", "trace_id")
NUMBER_FILTERS = ("min_response_time_ms", "max_response_time_ms", "min_ttft_ms", "min_total_tokens")
RAW_FILTERS = ("status_code", *TEXT_FILTERS, *NUMBER_FILTERS, "has_error", "stream")
ERROR_FILTERS = ("request_id", "error_type", "severity")
TAG_PREFIX = "tag."
MAX_VALUES = 200
MAX_LENGTH = 400
# The model's column for each label of a request.
SERIES_COLUMN = {"model": "model_name", "provider": "provider", "service": "service", "endpoint": "endpoint"}


@dataclass(frozen=True)
class Filters:
    """The narrowing of one question. Values of one name are alternatives; names are all required."""

    PARAMETERS: ClassVar[tuple[str, ...]] = (
        *LABELS, *MACHINE_LABELS, "outcome", *(TAG_PREFIX + key for key in settings.LLMMONITOR.tags)
    )  # fmt: skip
    RAW_PARAMETERS: ClassVar[tuple[str, ...]] = RAW_FILTERS
    ERROR_PARAMETERS: ClassVar[tuple[str, ...]] = ERROR_FILTERS

    model: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    service: tuple[str, ...] = ()
    endpoint: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    gpu: tuple[str, ...] = ()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # None: each question's own default, "success" for times and "all" for lists.
    outcome: str | None = None
    request_id: str | None = None
    status_code: int | None = None
    finish_reason: str | None = None
    error_type: str | None = None
    operation: str | None = None
    trace_id: str | None = None
    severity: str | None = None
    has_error: bool | None = None
    stream: bool | None = None
    min_response_time_ms: float | None = None
    max_response_time_ms: float | None = None
    min_ttft_ms: float | None = None
    min_total_tokens: float | None = None

    @classmethod
    def from_params(cls, params: Any, raw: bool = False, errors: bool = False) -> Filters:
        """Filters out of a QueryDict (or a dict of strings or lists). Raises BadQuery.

        `raw` reads the filters of single requests, too, `errors` those of single errors. Other parameters are the
        caller's.
        """
        tags: dict[str, tuple[str, ...]] = {}
        for key in promoted_tags():
            values = _values(params, TAG_PREFIX + key)
            if values:
                tags[key] = values
        named = RAW_FILTERS if raw else ERROR_FILTERS if errors else ()
        readers: dict[str, Any] = dict.fromkeys(NUMBER_FILTERS, _number) | {
            "status_code": _whole,
            "has_error": _flag,
            "stream": _flag,
            "severity": lambda given, name: _choice(given, name, tuple(Severity), str.upper),
        }
        outcomes = (*OUTCOME_GROUPS, *OUTCOME_COLUMNS) if raw else OUTCOME_GROUPS
        given: dict[str, Any] = {name: _values(params, name) for name in (*LABELS, *MACHINE_LABELS)}
        given |= {name: readers.get(name, _one)(params, name) for name in named}
        return cls(**given, tags=tags, outcome=_choice(params, "outcome", outcomes))

    @classmethod
    def from_dict(cls, given: Any) -> Filters:
        """Filters out of a message of the live stream: names with a value or a list of values each. Raises BadQuery."""
        if not isinstance(given, Mapping):
            raise BadQuery("filters", "must be an object of names with values.", cls.PARAMETERS)
        for name in given:
            if name not in cls.PARAMETERS:
                raise BadQuery(str(name)[:60], "is not a filter.", cls.PARAMETERS)
        return cls.from_params(given)

    @property
    def raw(self) -> dict[str, Any]:
        """The filters that need single rows, those that were given."""
        return {name: getattr(self, name) for name in {*RAW_FILTERS, *ERROR_FILTERS} if getattr(self, name) is not None}

    @property
    def by_series(self) -> bool:
        """Whether any filter narrows the label sets of requests."""
        return any(getattr(self, name) for name in LABELS) or bool(self.tags)

    def series_ids(self) -> list[int] | None:
        """The label sets of requests that are meant; None for all of them."""
        if not self.by_series:
            return None
        rows = Series.objects.filter(self.series_condition()).values_list("id", "tags")
        return [one for one, tags in rows.iterator(chunk_size=2000) if self._has_tags(tags)]

    def series_condition(self, prefix: str = "") -> Q:
        """The labels as a condition on Series, or on a relation to it."""
        condition = Q()
        for name in LABELS:
            if getattr(self, name):
                condition &= Q(**{f"{prefix}{SERIES_COLUMN[name]}__in": getattr(self, name)})
        return condition

    def _has_tags(self, stored: str) -> bool:
        if not self.tags:
            return True
        own = json.loads(stored) if stored else {}
        return all(str(own.get(key, "")) in values for key, values in self.tags.items())

    def gauge_label_ids(self, kind: str) -> list[int] | None:
        """The label sets of gauges of this type that are meant; None for all of them."""
        condition = Q()
        if kind in ("system", "monitor", "gpu") and self.host:
            condition &= Q(host__in=self.host)
        if kind == "gpu" and self.gpu:
            condition &= Q(gpu_id__in=self.gpu)
        if kind in ("queue", "engine") and self.model:
            condition &= Q(model_name__in=self.model)
        return list(GaugeLabels.objects.filter(condition).values_list("id", flat=True)) if condition else None

    def as_dict(self) -> dict[str, Any]:
        """The filters that were given, by name."""
        found = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "tags"}
        given = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in found.items()
            if value not in (None, ())
        }
        return given | {TAG_PREFIX + key: list(values) for key, values in self.tags.items()}


def promoted_tags() -> tuple[str, ...]:
    """The metadata keys that are labels."""
    return tuple(settings.LLMMONITOR.tags)


def _values(params: Any, name: str) -> tuple[str, ...]:
    if hasattr(params, "getlist"):
        found = params.getlist(name)
    else:
        value = params.get(name, ())
        found = list(value) if isinstance(value, (list, tuple)) else [value]
    found = [str(one) for one in found if one not in (None, "")]
    if len(found) > MAX_VALUES:
        raise BadQuery(name, f"may be given {MAX_VALUES} times at most.")
    for one in found:
        if len(one) > MAX_LENGTH or "\x00" in one:
            raise BadQuery(name, f"may hold {MAX_LENGTH} characters, and no NUL.")
    return tuple(dict.fromkeys(found))


def _one(params: Any, name: str) -> str | None:
    found = _values(params, name)
    if len(found) > 1:
        raise BadQuery(name, "may be given once.")
    return found[0] if found else None


def _choice(params: Any, name: str, allowed: tuple[str, ...], form: Any = str.lower) -> str | None:
    found = _one(params, name)
    if found is None:
        return None
    if form(found) not in allowed:
        raise BadQuery(name, f"{found[:40]!r} is not one of its values.", allowed)
    return str(form(found))


def _flag(params: Any, name: str) -> bool | None:
    found = _choice(params, name, ("true", "false", "1", "0"))
    return None if found is None else found in ("true", "1")


def _number(params: Any, name: str) -> float | None:
    found = _one(params, name)
    if found is None:
        return None
    try:
        value = float(found)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadQuery(name, f"{found[:40]!r} is not a number.")
    return value


def _whole(params: Any, name: str) -> int | None:
    value = _number(params, name)
    if value is None:
        return None
    if value != int(value) or abs(value) >= 2**31:
        raise BadQuery(name, "must be a whole number.")
    return int(value)
