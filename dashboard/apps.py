"""The Django app of the pages."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    """Pages and their static files."""

    name = "dashboard"

    def ready(self) -> None:
        """Register where the charts of alerts are, and that unused keys of the Connect page are deleted."""
        from alerts.registers import chart_urls
        from dashboard.connect.unused_keys import delete_unused_keys
        from dashboard.overview.alert_charts import chart_url
        from metrics.registers import retention

        chart_urls.add("overview", chart_url)
        retention.add("keys of the Connect page", delete_unused_keys)
