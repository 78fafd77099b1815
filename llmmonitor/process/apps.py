"""The app that holds the commands `up` and `serve`."""

from __future__ import annotations

import gc

from django.apps import AppConfig


class ProcessConfig(AppConfig):
    """The server's processes."""

    name = "llmmonitor.process"
    label = "process"

    def ready(self) -> None:
        """Load the Celery app, which the tasks bind to, and end what manage.py does for a fast start."""
        import llmmonitor.celery  # noqa: F401

        gc.enable()
