"""The app of measurements."""

from __future__ import annotations

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Measurements: models, recorder, queries, live stream, API."""

    name = "metrics"

    def ready(self) -> None:
        """Load the Celery app (its tasks bind to it) and the system checks."""
        import llmmonitor.celery  # noqa: F401
