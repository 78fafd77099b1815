"""All pages, in the order of their tabs."""

from __future__ import annotations

from dashboard.alerts.page import PAGE as ALERTS
from dashboard.connect.page import PAGE as CONNECT
from dashboard.overview.page import PAGE as OVERVIEW
from dashboard.page_spec import PageSpec

PAGES: tuple[PageSpec, ...] = (OVERVIEW, ALERTS, CONNECT)
