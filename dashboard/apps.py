"""The Django app of the pages."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages and their static files."""

    name = "dashboard"

    def ready(self) -> None:
        """Register where the charts of alerts are."""
        from alerts.registers import chart_urls
        from dashboard.overview.alert_charts import chart_url

        chart_urls.add("overview", chart_url)
