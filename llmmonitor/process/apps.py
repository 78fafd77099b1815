"""The app that holds the commands `up` and `serve`."""

from __future__ import annotations

import gc

from django.apps import AppConfig


class ProcessConfig(AppConfig):
    """The server's processes."""

    name = "llmmonitor.process"
    label = "process"

    def ready(self) -> None:
        """Load the Celery app, which tasks need, and enable garbage collection, which manage.py disables."""
        import llmmonitor.celery  # noqa: F401

        gc.enable()
