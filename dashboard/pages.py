"""All pages, in the order of their tabs."""

from __future__ import annotations

from dashboard.alerts.page import PAGE as ALERTS
from dashboard.connect.page import PAGE as CONNECT
from dashboard.errors.page import PAGE as ERRORS
from dashboard.latency.page import PAGE as LATENCY
from dashboard.machines.page import PAGE as MACHINES
from dashboard.models.page import PAGE as MODELS
from dashboard.overview.page import PAGE as OVERVIEW
from dashboard.page_spec import PageSpec
from dashboard.queue.page import PAGE as QUEUE
from dashboard.requests.page import PAGE as REQUESTS
from dashboard.system.page import PAGE as SYSTEM
from dashboard.throughput.page import PAGE as THROUGHPUT

PAGES: tuple[PageSpec, ...] = (
    OVERVIEW,
    LATENCY,
    THROUGHPUT,
    QUEUE,
    MACHINES,
    MODELS,
    REQUESTS,
    ERRORS,
    ALERTS,
    CONNECT,
    SYSTEM,
)
