"""The app of measurements."""

from __future__ import annotations

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Measurements: models, recorder, queries, live stream, API."""

    name = "metrics"
    verbose_name = "Measurements"  # in the admin

    def ready(self) -> None:
        """Connect the queries' receivers to the store's signals, and add the figures of the monitor and the tables of
        access to the registers.
        """
        from metrics.queries.answers.hosts import clear_host_cache
        from metrics.registers import monitor_fields, stored_tables
        from metrics.self_monitoring import monitor_fields as own_fields
        from metrics.sizes.tables_of_access import tables_of_access
        from metrics.store.forgetting import hosts_removed

        monitor_fields.add("monitor", own_fields)
        stored_tables.add("access", tables_of_access)
        hosts_removed.connect(clear_host_cache)
