"""The app of alerts."""

from __future__ import annotations

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Rules, their evaluation, and the alerts."""

    name = "alerts"

    def ready(self) -> None:
        """Add the parts of alerts: numbers in each tick, retention, tables, exports, and the alerts of demo data."""
        from alerts.channels import secrets
        from alerts.demo_history import remove_alerts, store_history
        from alerts.exports import export_alerts, export_history
        from alerts.exposition import alert_families
        from alerts.health import monitor_fields as health_fields
        from alerts.hot_numbers import numbers_of_alerts
        from alerts.retention import delete_expired
        from alerts.stored_tables import stored_tables as tables
        from llmmonitor.backup.ciphers import add_cipher
        from metrics.registers import (
            demo_filled,
            demo_removed,
            exports,
            exposition,
            monitor_fields,
            retention,
            stored_tables,
            tick_parts,
        )

        tick_parts.add("alerts", numbers_of_alerts)
        monitor_fields.add("alerts", health_fields)
        retention.add("alerts", delete_expired)
        stored_tables.add("alerts", tables)
        exposition.add("alerts", alert_families)
        exports.add("alerts", export_alerts)
        exports.add("alert_history", export_history)
        demo_filled.add("alerts", store_history)
        demo_removed.add("alerts", remove_alerts)
        add_cipher("alerts.Channel", secrets.decrypt, secrets.encrypt)
