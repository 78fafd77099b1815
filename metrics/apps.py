"""The app of measurements."""

from __future__ import annotations

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Measurements: models, recorder, queries, live stream, API."""

    name = "metrics"
    verbose_name = "Measurements"  # in the admin

    def ready(self) -> None:
        """Connect the queries' receivers to the store's signals."""
        from metrics.queries.answers.hosts import clear_host_cache
        from metrics.store.upkeep.forgetting import hosts_removed

        hosts_removed.connect(clear_host_cache)
