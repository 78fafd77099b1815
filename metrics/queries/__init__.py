"""The read path: every answer about measurements comes from here, and nothing else reads their tables.

Each function takes a window, filters and the present time, and answers frozen dataclasses or plain values with units
in their names, ready for JSON. Answers over time come from rollups: their cost depends on the rollup rows in the
window, never on the number of requests. Reading stays within a time budget (`LLMMONITOR_QUERY_BUDGET_SECONDS`):
beyond it, QueryTooSlow says what to narrow.
"""

from __future__ import annotations

from metrics.queries.answers.current import current
from metrics.queries.answers.distribution import Distribution, distribution
from metrics.queries.answers.error_groups import error_groups
from metrics.queries.answers.exports import EXPORT_KINDS, Table, export
from metrics.queries.answers.heatmap import Heatmap, heatmap
from metrics.queries.answers.hosts import hosts
from metrics.queries.answers.lists import Page, errors, request, requests
from metrics.queries.answers.live import LiveSpec, check_step, live_view, parse_specs
from metrics.queries.answers.models import model, models
from metrics.queries.answers.presence import has_demo, has_events, newest_demo
from metrics.queries.answers.ranking import Ranking
from metrics.queries.answers.series import SeriesAnswer, series
from metrics.queries.answers.summary import Summary, summary
from metrics.queries.exceptions import BadQuery, QueryTooSlow
from metrics.queries.read.filters import Filters
from metrics.queries.time.window import RANGES, Window

__all__ = [
    "EXPORT_KINDS",
    "RANGES",
    "BadQuery",
    "Distribution",
    "Filters",
    "Heatmap",
    "LiveSpec",
    "Page",
    "QueryTooSlow",
    "Ranking",
    "SeriesAnswer",
    "Summary",
    "Table",
    "Window",
    "check_step",
    "current",
    "distribution",
    "error_groups",
    "errors",
    "export",
    "has_demo",
    "has_events",
    "heatmap",
    "hosts",
    "live_view",
    "model",
    "models",
    "newest_demo",
    "parse_specs",
    "request",
    "requests",
    "series",
    "summary",
]
