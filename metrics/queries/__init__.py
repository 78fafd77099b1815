"""The read path. Pages, the API and the live stream read measurements only through this package.

Each function takes a window, filters and the current time, and returns frozen dataclasses or plain values with units in
their names, ready for JSON. Figures over time are read from rollups, so the cost of a query depends on the number of
rollup rows in its window, not on the number of requests. A query that exceeds its time budget
(`LLMMONITOR_QUERY_BUDGET_SECONDS`), reads too many rows or waits too long for other queries raises QueryStopped.

`time` has windows and steps, `read` reads tables, `answers` has a module for each kind of answer, and `parameters`
parses what clients send.
"""

from __future__ import annotations

from metrics.queries.answers.annotations import annotation_page, annotations_of
from metrics.queries.answers.availability import Availability, availability
from metrics.queries.answers.by_label import percentiles_by_label
from metrics.queries.answers.choices import choices
from metrics.queries.answers.current import current
from metrics.queries.answers.distribution import Distribution, distribution
from metrics.queries.answers.error_groups import error_group, error_groups
from metrics.queries.answers.evaluation import Evaluated, evaluate, resolution_of
from metrics.queries.answers.exports import EXPORT_KINDS, Table, export
from metrics.queries.answers.heatmap import Heatmap, heatmap
from metrics.queries.answers.hosts import host_states, real_hosts
from metrics.queries.answers.lists import MAX_ID, Page, errors, request, requests, requests_around
from metrics.queries.answers.machine_at import gpus_at
from metrics.queries.answers.minute import live_view
from metrics.queries.answers.model_histograms import ModelHistograms, model_histograms
from metrics.queries.answers.model_ranking import model, models, summary_and_models
from metrics.queries.answers.moving import Moving, TooManyGroups, kept_from, moving, presence
from metrics.queries.answers.presence import (
    demo_has_stopped,
    demo_names,
    first_request_at,
    has_demo,
    has_events,
    is_known,
    names_by_age,
    newest_demo,
)
from metrics.queries.answers.request_totals import request_totals
from metrics.queries.answers.resource_heatmap import DeviceHeatmap, WeekHeatmap, device_heatmap, week_heatmap
from metrics.queries.answers.results import Ranking, SeriesCounts
from metrics.queries.answers.senders import Position, arrived, position, senders
from metrics.queries.answers.series import SeriesResult, label_names, series
from metrics.queries.answers.storage import Storage, TableStorage, storage
from metrics.queries.answers.summary import TIMES, TIMES_AND_COST, FigureSet, Summary, summary
from metrics.queries.exceptions import BadQuery, QueryStopped, QueryTooSlow
from metrics.queries.read.filters import Filters
from metrics.queries.read.gauge_totals import HostValues
from metrics.queries.read.sliding_gauges import Windows
from metrics.queries.series_spec import OTHERS, SeriesSpec
from metrics.queries.time.window import RANGES, Window

__all__ = [
    "EXPORT_KINDS",
    "MAX_ID",
    "OTHERS",
    "RANGES",
    "TIMES",
    "TIMES_AND_COST",
    "Availability",
    "BadQuery",
    "DeviceHeatmap",
    "Distribution",
    "Evaluated",
    "FigureSet",
    "Filters",
    "Heatmap",
    "HostValues",
    "ModelHistograms",
    "Moving",
    "Page",
    "Position",
    "QueryStopped",
    "QueryTooSlow",
    "Ranking",
    "SeriesCounts",
    "SeriesResult",
    "SeriesSpec",
    "Storage",
    "Summary",
    "Table",
    "TableStorage",
    "TooManyGroups",
    "WeekHeatmap",
    "Window",
    "Windows",
    "annotation_page",
    "annotations_of",
    "arrived",
    "availability",
    "choices",
    "current",
    "demo_has_stopped",
    "demo_names",
    "device_heatmap",
    "distribution",
    "error_group",
    "error_groups",
    "errors",
    "evaluate",
    "export",
    "first_request_at",
    "gpus_at",
    "has_demo",
    "has_events",
    "heatmap",
    "host_states",
    "is_known",
    "kept_from",
    "label_names",
    "live_view",
    "model",
    "model_histograms",
    "models",
    "moving",
    "names_by_age",
    "newest_demo",
    "percentiles_by_label",
    "position",
    "presence",
    "real_hosts",
    "request",
    "request_totals",
    "requests",
    "requests_around",
    "resolution_of",
    "senders",
    "series",
    "storage",
    "summary",
    "summary_and_models",
    "week_heatmap",
]
